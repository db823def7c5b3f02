// The registrar: one writer of the registry, batching what comes while a write is on its way.

import * as v from 'valibot'
import { Actor } from '../actors/actor.ts'
import type { Timer } from '../actors/clock.ts'
import { json } from '../actors/http.ts'
import type { Timing } from '../actors/metrics.ts'
import type { Pid } from '../actors/pid.ts'
import {
  AskError,
  call,
  type Entries,
  type Protocol,
  protocol,
  type Ref,
  serve,
} from '../actors/protocol.ts'
import { type Deferred, deferred } from '../base/deferred.ts'
import { formatDuration } from '../base/duration.ts'
import { UserError } from '../base/errors.ts'
import { MasterInfo } from '../messages/agent.ts'
import { message } from '../messages/schema.ts'
import {
  OPERATIONS_PER_SNAPSHOT,
  REGISTRY_FOLLOW_INTERVAL_MS,
  TRUNCATE_AFTER_MS,
} from './constants.ts'
import { encodeEntry, type Replay } from './registry/entry.ts'
import { Follower, type LogRange, type ReadEntries } from './registry/follower.ts'
import { Operation, RegistrySnapshot } from './registry/operations.ts'
import { RegistryError } from './registry/registry.ts'

/** What the registrar needs of the replicated log. */
export interface RegistryLog {
  /** What the local replica has learned of it by now: others may have written more. */
  learned(): Promise<LogRange>
  /** Becomes the writer. What is in the log then, all of it can be read. */
  recover(): Promise<LogRange>
  readonly read: ReadEntries
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

export interface RegistrarOptions {
  /** Called when the registrar starts. */
  readonly makeLog: (ref: RefMaker) => RegistryLog
  /** Without this actor nothing can be written; absent if nothing can end. */
  readonly logPid: Pid | undefined
  /** How long reading the registry may take. */
  readonly fetchTimeoutMs: number
  /** How long one write may take. */
  readonly storeTimeoutMs: number
}

interface Queued {
  readonly operation: Operation
  readonly done: Deferred<Outcome>
}

/**
 * Operations that arrive while the log is being written wait, and go into the next entry together: under load many
 * cost one write. If a write fails, nobody knows whether it happened, so the process ends and a master reads the log
 * anew (Mesos' registrar does the same). So it does when a read or write does not end in time: a master that
 * cannot write leads nobody. And when the log ends, even while there is nothing to be written, rather than with the next
 * agent that comes.
 *
 * Until it recovers, which is when its master is elected, it follows what others write.
 */
export class Registrar extends Actor {
  override readonly idPrefix = 'registrar'
  override readonly failureEnds = 'process'

  readonly #o: RegistrarOptions
  #log!: RegistryLog
  /** Once recovered. */
  #replay!: Replay
  #follower!: Follower
  /** What is being read of what others write. */
  #following: Promise<void> | undefined
  #followTimer: Timer | undefined
  #masterId = ''
  #recovered = false
  #queue: Queued[] = []
  #writing = false
  #sinceSnapshot = 0
  #fetch!: Timing
  #store!: Timing

  readonly serves = [
    serve(RegistrarProtocol, {
      recover: ({ master }) => this.#recover(master),
      apply: operation => this.#enqueue(operation),
    }),
  ]

  constructor(options: RegistrarOptions) {
    super()
    this.#o = options
  }

  protected override initialize(): void {
    const { makeLog, logPid } = this.#o
    if (logPid) this.link(logPid)
    this.#log = makeLog((definition, to) => this.ref(definition, to))
    this.#follower = this.#newFollower()
    this.#follow()
    this.#fetch = this.metrics.timing('registrar/state_fetch_ms')
    this.#store = this.metrics.timing('registrar/state_store_ms')
    this.metrics.gauge('registrar/queued_operations', () => this.#queue.length)
    this.route('/registry', 'The registry as JSON.', () =>
      this.#recovered
        ? json(this.#replay.registry.snapshot())
        : { status: 503, body: 'The registry is not recovered yet.\n' },
    )
  }

  protected override exited(pid: Pid): void {
    throw new UserError('store_failed', `The replicated log, ${pid}, has ended.`, {
      hint: 'The log of this process says why, before this; start again when that is mended.',
    })
  }

  /** Ends the process if `work` takes longer than the flag allows. */
  async #within<T>(
    flag: 'registry_fetch_timeout' | 'registry_store_timeout',
    work: () => Promise<T>,
  ): Promise<T> {
    const fetches = flag === 'registry_fetch_timeout'
    const limitMs = fetches ? this.#o.fetchTimeoutMs : this.#o.storeTimeoutMs
    const timer = this.delay(limitMs, () => {
      const what = fetches ? 'read from' : 'written to'
      throw new UserError(
        'timeout',
        `The registry was not ${what} the replicated log within ${formatDuration(limitMs)}.`,
        {
          hint: `Look for what slows the disk of --work_dir (dmesg, iostat), or allow it longer with --${flag}.`,
        },
      )
    })
    try {
      return await this.resume(work())
    } finally {
      timer.cancel()
    }
  }

  #newFollower(): Follower {
    return new Follower(
      (from, to) => this.resume(this.#log.read(from, to)),
      () => this.sleep(0),
    )
  }

  /** Now and then, while others lead. */
  #follow(): void {
    const again = (): void => {
      this.#followTimer = this.delay(REGISTRY_FOLLOW_INTERVAL_MS, () => this.#follow())
    }
    this.#following = this.#readLearned().then(again, (error: unknown) => {
      // The log has ended, of which `exited` tells.
      if (error instanceof AskError) return
      if (mayComeBack(error)) return again()
      // Whoever leads may be of a newer version, and be able to.
      this.log.warn(
        { error },
        'what others write to the registry cannot be read; it is followed no more',
      )
      this.#follower = this.#newFollower()
    })
  }

  async #readLearned(): Promise<void> {
    await this.#catchUp(await this.resume(this.#log.learned()))
  }

  async #catchUp(range: LogRange): Promise<void> {
    while (!(await this.#follower.catchUp(range))) this.#follower = this.#newFollower()
  }

  /** Up to there, whatever is truncated or mended meanwhile. */
  async #catchUpInTheEnd({ begin, end }: LogRange): Promise<void> {
    for (;;) {
      try {
        return await this.#catchUp({ begin, end })
      } catch (error) {
        if (!mayComeBack(error)) throw error
        await this.sleep(REGISTRY_FOLLOW_INTERVAL_MS)
        begin = (await this.resume(this.#log.learned())).begin
      }
    }
  }

  async #recover(master: MasterInfo): Promise<RegistrySnapshot> {
    const startMs = this.clock.now()
    await this.#within('registry_fetch_timeout', async () => {
      const range = await this.#log.recover()
      await this.#following
      this.#followTimer?.cancel()
      await this.#catchUpInTheEnd(range)
    })
    this.#fetch.record(this.clock.now() - startMs)
    this.#replay = this.#follower.replay
    this.#sinceSnapshot = this.#follower.sinceSnapshot
    this.#masterId = master.id
    this.#recovered = true
    await this.#enqueue({
      type: 'recover',
      master,
      cause: { ...(master.pid !== undefined && { by: master.pid }), why: 'elected' },
    })
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
        const startMs = this.clock.now()
        await this.#append(this.#entry({ operations, sequence }))
        this.#store.record(this.clock.now() - startMs)
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

  /**
   * Writes the registry as a whole; only then is what came before it not needed any more. It is kept for a while: who
   * follows reads the last operations before it, and not the registry anew.
   */
  async #snapshot(): Promise<void> {
    const { registry, sequence } = this.#replay
    const entry = this.#entry({ snapshot: registry.snapshot(), sequence })
    const position = await this.#append(entry)
    this.#sinceSnapshot = 0
    this.log.info({ position, agents: registry.agents.size }, 'registry snapshot written')
    this.delay(TRUNCATE_AFTER_MS, () => this.#truncate(position))
  }

  async #truncate(position: number): Promise<void> {
    await this.#within('registry_store_timeout', () => this.#log.truncate(position))
    this.log.info({ position }, 'log truncated up to a registry snapshot')
  }

  #append(entry: Uint8Array): Promise<number> {
    return this.#within('registry_store_timeout', () => this.#log.append(entry))
  }

  #entry(
    content:
      | { readonly operations: Operation[]; readonly sequence: number }
      | { readonly snapshot: RegistrySnapshot; readonly sequence: number },
  ): Uint8Array {
    return encodeEntry({
      // One of operations is read by masters that know no other version.
      version: 'snapshot' in content ? 2 : 1,
      time_ms: this.clock.now(),
      master_id: this.#masterId,
      ...content,
    })
  }
}

/** A part of the log that was truncated just now, or is damaged here and may be had from others. */
function mayComeBack(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'not_found'
}
