// The registrar: one writer of the registry, batching what comes while a write is on its way.

import * as v from 'valibot'
import { Actor } from '../actors/actor.ts'
import { json } from '../actors/http.ts'
import type { Pid } from '../actors/pid.ts'
import { call, type Entries, type Protocol, protocol, type Ref, serve } from '../actors/protocol.ts'
import { type Deferred, deferred } from '../base/deferred.ts'
import { MasterInfo } from '../messages/agent.ts'
import { message } from '../messages/schema.ts'
import { OPERATIONS_PER_SNAPSHOT } from './constants.ts'
import { decodeEntry, encodeEntry, Replay } from './registry/entry.ts'
import { Operation, RegistrySnapshot } from './registry/operations.ts'
import { RegistryError } from './registry/registry.ts'

/** What the registrar needs of the replicated log. */
export interface RegistryLog {
  /** Becomes the writer and returns all entries, oldest first. */
  recover(): Promise<readonly Uint8Array[]>
  /** Resolves to the entry's position when a quorum has it on disk; rejects if this is no longer the writer. */
  append(bytes: Uint8Array): Promise<number>
  /** Drops all entries below `position`. */
  truncate(position: number): Promise<void>
}

/** Makes references that belong to the registrar, so that answers come through its mailbox. */
export type RefMaker = <E extends Entries>(definition: Protocol<E>, to: Pid) => Ref<E>

const Outcome = message({ changed: v.boolean(), error: v.optional(v.string()) })
type Outcome = v.InferOutput<typeof Outcome>

/** Spoken between the master and its registrar only. */
export const RegistrarProtocol = protocol(
  'registrar',
  {
    /** Reads the log, writes the new master in; answers with the registry. Once, before any `apply`. */
    recover: call(message({ master: MasterInfo }), RegistrySnapshot),
    /** Answers when a quorum has the operation on disk. `error`: it does not fit the registry, nothing was written. */
    apply: call(Operation, Outcome),
  },
  { local: true },
)

interface Queued {
  readonly operation: Operation
  readonly done: Deferred<Outcome>
}

/**
 * Operations that arrive while the log is being written wait, and go into the next entry together: under load many
 * cost one write. If a write fails, nobody knows whether it happened, so the process ends and a master reads the log
 * anew (Mesos' registrar does the same).
 */
export class Registrar extends Actor {
  override readonly idPrefix = 'registrar'
  override readonly failureEnds = 'process'

  readonly #makeLog: (ref: RefMaker) => RegistryLog
  #log!: RegistryLog
  readonly #replay = new Replay()
  #masterId = ''
  #recovered = false
  #queue: Queued[] = []
  #writing = false
  #sinceSnapshot = 0

  readonly serves = [
    serve(RegistrarProtocol, {
      recover: ({ master }) => this.#recover(master),
      apply: operation => this.#enqueue(operation),
    }),
  ]

  constructor(makeLog: (ref: RefMaker) => RegistryLog) {
    super()
    this.#makeLog = makeLog
  }

  protected override initialize(): void {
    this.#log = this.#makeLog((definition, to) => this.ref(definition, to))
    this.route('/registry', 'The registry as JSON.', () =>
      this.#recovered
        ? json(this.#replay.registry.snapshot())
        : { status: 503, body: 'The registry is not recovered yet.\n' },
    )
  }

  async #recover(master: MasterInfo): Promise<RegistrySnapshot> {
    for (const bytes of await this.resume(this.#log.recover())) {
      const entry = decodeEntry(bytes)
      this.#replay.apply(entry)
      this.#sinceSnapshot = entry.snapshot
        ? 0
        : this.#sinceSnapshot + (entry.operations?.length ?? 0)
    }
    this.#masterId = master.id
    this.#recovered = true
    await this.#enqueue({ type: 'recover', master })
    return this.#replay.registry.snapshot()
  }

  #enqueue(operation: Operation): Promise<Outcome> {
    if (!this.#recovered) {
      return Promise.resolve({
        changed: false,
        error: 'Attempted to apply the operation before recovering',
      })
    }
    const done = deferred<Outcome>()
    this.#queue.push({ operation, done })
    if (!this.#writing) {
      this.#writing = true
      this.dispatch(() => this.#write())
    }
    return done.promise
  }

  /** One entry at a time: applied here first, since the next may build on it, but answered only once it is on disk. */
  async #write(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0)
      const { sequence } = this.#replay
      const operations: Operation[] = []
      const outcomes = batch.map(({ operation, done }) => {
        const outcome = this.#apply(operation)
        if (outcome.changed) operations.push(operation)
        return { outcome, done }
      })
      if (operations.length > 0) {
        await this.resume(this.#log.append(this.#entry({ operations, sequence })))
        this.#sinceSnapshot += operations.length
      }
      for (const { outcome, done } of outcomes) done.resolve(outcome)
      if (this.#sinceSnapshot >= OPERATIONS_PER_SNAPSHOT) await this.#snapshot()
    }
    this.#writing = false
  }

  #apply(operation: Operation): Outcome {
    try {
      const changed = this.#replay.registry.apply(operation)
      if (changed) this.#replay.sequence++
      return { changed }
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      this.log.warn(
        { operation: operation.type, reason: error.message },
        'registry operation refused',
      )
      return { changed: false, error: error.message }
    }
  }

  /** Writes the registry as a whole; only then is what came before it not needed any more. */
  async #snapshot(): Promise<void> {
    const { registry, sequence } = this.#replay
    const entry = this.#entry({ snapshot: registry.snapshot(), sequence })
    const position = await this.resume(this.#log.append(entry))
    await this.resume(this.#log.truncate(position))
    this.#sinceSnapshot = 0
    this.log.info(
      { position, agents: registry.agents.size },
      'registry snapshot written, log truncated',
    )
  }

  #entry(
    content:
      | { readonly operations: Operation[]; readonly sequence: number }
      | { readonly snapshot: RegistrySnapshot; readonly sequence: number },
  ): Uint8Array {
    return encodeEntry({
      version: 1,
      time_ms: this.clock.now(),
      master_id: this.#masterId,
      ...content,
    })
  }
}
