// Writes down all that happens at the boundary of one actor, from its first event on.

import * as v from 'valibot'
import type { Context } from './actor.ts'
import { decode, encode } from './codec.ts'
import type { Pid } from './pid.ts'
import { type Input, keepError, keep, type Output, type Read, Tape } from './tape.ts'
import { TapedContext } from './taped-context.ts'

/** One event, and what came of it. */
export interface RecordedEvent {
  readonly input: Input
  /** Whether promises had time to run between the event before and this one. */
  readonly fresh: boolean
  /** What the actor looked at, in order: readings of the clock, draws, ids of those it spawned. */
  readonly reads: readonly (readonly [Read, unknown])[]
  readonly outputs: readonly Output[]
}

export interface Recording {
  readonly self: Pid
  /** The name of the actor's class. */
  readonly actor: string
  /** It grew too large: what came after these events is missing. */
  readonly truncated: boolean
  readonly events: readonly RecordedEvent[]
}

export interface RecorderOptions {
  /** Of the whole record; what comes after it is left out, and the record says so. Default 16 MiB. */
  readonly maxBytes?: number
  /** Called after the actor's last event. */
  readonly onEnd?: (recorder: Recorder) => void
}

const VERSION = 1
const MAX_BYTES = 16 * 1024 * 1024

/**
 * Records one actor, for `replay` (src/sim/replay.ts): `runtime.spawn(actor, id, { record: new Recorder() })`. It holds
 * every event with its body, the readings of the clock and of chance, what came of each `ask` and `resume`, and
 * everything that the actor did. `toBytes` gives it as msgpack, at any time.
 *
 * The actor behaves as without it, down to the order of all events of its process; it is slower, since every body is
 * encoded once more.
 *
 * What does not come through the actor's context cannot be recorded, and departs in a replay or goes unnoticed: methods
 * of the actor that others call directly (let them `tell`; hand out callbacks made by `defer`), objects that it shares with
 * others, what it reads off a stream it writes to (`isOpen`, `bufferedBytes`), timers of `clock.delay` instead of its own,
 * values that are more than data (classes, functions, `Map`): these are marked where they stand, and a replay ends there.
 * Of errors that come back the name, message and code are kept, not the class. Metrics and log lines are not compared.
 *
 * A record has the bodies of all messages, secrets included.
 */
export class Recorder extends Tape {
  readonly #maxBytes: number
  readonly #onEnd: ((recorder: Recorder) => void) | undefined
  #self = '' as Pid
  #actor = ''
  readonly #sealed: Uint8Array[] = []
  #bytes = 0
  #truncated = false
  #events = 0
  #current:
    | { input: Input; fresh: boolean; reads: [Read, unknown][]; outputs: Output[] }
    | undefined
  #fresh = true

  constructor(options: RecorderOptions = {}) {
    super()
    this.#maxBytes = options.maxBytes ?? MAX_BYTES
    this.#onEnd = options.onEnd
  }

  /** For the runtime: puts itself between an actor and its context. */
  attach(context: Context, actor: string): Context {
    this.#self = context.self
    this.#actor = actor
    return new TapedContext(this, context)
  }

  /** Whether events are missing at the end. */
  get truncated(): boolean {
    return this.#truncated
  }

  /** The record up to now. For others than the actor itself: what it does in a turn is complete when the turn is. */
  toBytes(): Uint8Array {
    this.#seal()
    return encode({
      version: VERSION,
      self: this.#self,
      actor: this.#actor,
      truncated: this.#truncated,
      events: this.#sealed,
    })
  }

  protected get event(): number {
    return this.#events - 1
  }

  protected input(input: Input): void {
    this.#seal()
    this.#events++
    this.#current = { input, fresh: this.#fresh, reads: [], outputs: [] }
    this.#fresh = false
    void Promise.resolve().then(() => {
      this.#fresh = true
    })
  }

  did(output: Output): void {
    this.#current?.outputs.push(output)
  }

  read<T>(kind: Read, real: () => T): T {
    const value = real()
    this.#current?.reads.push([kind, value])
    return value
  }

  awaited<T>(op: number, real: () => Promise<T>): Promise<T> {
    const noted = real().then(
      value => {
        this.input({ on: 'resume', op, value: keep(value) })
        return value
      },
      (error: unknown) => {
        this.input({ on: 'reject', op, error: keepError(error) })
        throw error
      },
    )
    // Of two that are awaited the second may fail first; that is no unhandled rejection here either.
    noted.catch(() => {})
    return noted
  }

  protected override ended(): void {
    this.#seal()
    this.#onEnd?.(this)
  }

  #seal(): void {
    const current = this.#current
    this.#current = undefined
    if (!current || this.#truncated) return
    const bytes = encode(current)
    if (this.#bytes + bytes.length > this.#maxBytes) {
      this.#truncated = true
      return
    }
    this.#bytes += bytes.length
    this.#sealed.push(bytes)
  }
}

const Header = v.object({
  version: v.literal(VERSION),
  self: v.string(),
  actor: v.string(),
  truncated: v.boolean(),
  events: v.array(v.instance(Uint8Array)),
})

/** Reads what `toBytes` gave. Throws if it is no record, or one of another version. For files that one trusts. */
export function parseRecording(bytes: Uint8Array): Recording {
  const parsed = v.safeParse(Header, decode(bytes))
  if (!parsed.success) throw new Error(`no record of an actor: ${parsed.issues[0].message}`)
  const { self, actor, truncated, events } = parsed.output
  return {
    self: self as Pid,
    actor,
    truncated,
    events: events.map(event => decode(event) as RecordedEvent),
  }
}
