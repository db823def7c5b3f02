// Feeds a fresh actor the record of another one, and says where it does something else.

import { isDeepStrictEqual } from 'node:util'
import { type Actor, ATTACH, type Context, type Hooks } from '../actors/actor.ts'
import type { Timer } from '../actors/clock.ts'
import { decode } from '../actors/codec.ts'
import type { HttpHandler } from '../actors/http.ts'
import { BodyStream } from '../actors/http-stream.ts'
import { Metrics } from '../actors/metrics.ts'
import type { Pid } from '../actors/pid.ts'
import type { Envelope, Handler } from '../actors/protocol.ts'
import { parseRecording, type RecordedEvent, type Recording } from '../actors/recorder.ts'
import {
  bare,
  type Callback,
  type Input,
  type Kept,
  type Output,
  type Read,
  Tape,
  unkeep,
  unkeepError,
  unkeepRequest,
} from '../actors/tape.ts'
import { TapedContext } from '../actors/taped-context.ts'
import { AssertionError } from '../base/assert.ts'
import { type Deferred, deferred } from '../base/deferred.ts'
import { messageOf } from '../base/errors.ts'
import { type Logger, silentLogger } from '../base/log.ts'
import { SeededRandom } from '../base/random.ts'
import { VirtualClock } from './virtual-clock.ts'

export interface Replayed {
  /** Events that were fed, the one at which it departed included. */
  readonly events: number
  /** The record is not whole: what came after these events nobody knows. */
  readonly truncated: boolean
  /** Where the actor did something else than what is on record; absent if it never did. */
  readonly departure?: Departure
}

export interface Departure {
  /** The event's number, from 0, and what it was. */
  readonly event: number
  readonly input: string
  /** What the record has there, and what the actor did; `nothing` where there is nothing. */
  readonly recorded: string
  readonly actual: string
}

/**
 * Replays what a `Recorder` gave, on an actor made as the recorded one was. There is no network and no other actor: what the actor
 * asks for is answered from the record, time and chance included, and what it does is compared with the record, in order.
 * Whatever its constructor was given has to be harmless, since it is used: a disk of the simulator, say. What comes of it is
 * ignored, as long as it comes through `resume`.
 */
export async function replay(
  record: Uint8Array,
  actor: Actor,
  options: { readonly log?: Logger } = {},
): Promise<Replayed> {
  const recording = parseRecording(record)
  const tape = new Playback(recording, actor, options.log ?? silentLogger)
  return tape.run()
}

/** Ends the turn of an actor that cannot be given what it needs. */
class Departed extends Error {}

/** As a question in hand looks to an actor. */
const REPLY = {}

class Playback extends Tape {
  readonly #recording: Recording
  readonly #actor: Actor
  readonly #hooks: Hooks
  readonly #routes = new Map<string, HttpHandler>()
  readonly #callbacks = new Map<number, (...args: unknown[]) => unknown>()
  readonly #awaited = new Map<number, Deferred<unknown>>()
  readonly #envelopes = new Map<number, Envelope>()
  /** All outputs on record, each with the number of its event; `#done` of them have been seen again. */
  readonly #outputs: readonly (readonly [number, Output])[]
  #done = 0
  readonly #reads: Record<Exclude<Read, 'now'>, unknown[]>
  #times: unknown[] = []
  #now: unknown
  #departure: Departure | undefined
  protected event = -1

  constructor(recording: Recording, actor: Actor, log: Logger) {
    super()
    this.#recording = recording
    this.#actor = actor
    const { events } = recording
    this.#outputs = events.flatMap(({ outputs }, at) =>
      outputs.map(output => [at, output] as const),
    )
    const all = events.flatMap(({ reads }) => reads)
    const of = (kind: Read): unknown[] => all.flatMap(([k, value]) => (k === kind ? [value] : []))
    this.#reads = { draw: of('draw'), spawn: of('spawn'), waiting: of('waiting') }
    this.#now = of('now')[0] ?? 0
    const nowhere = this.#nowhere(recording.self, log)
    this.#hooks = actor[ATTACH](new TapedContext(this, nowhere))
  }

  async run(): Promise<Replayed> {
    const { events, truncated } = this.#recording
    const clock = new VirtualClock()
    for (const event of events) {
      // Promises get their time where they had it, so that continuations come between the same events.
      if (event.fresh) await this.#settled(clock)
      if (this.#departure) break
      this.event++
      this.#feed(event)
    }
    if (!this.#departure) await this.#settled(clock)
    return {
      events: this.event + 1,
      truncated,
      ...(this.#departure && { departure: this.#departure }),
    }
  }

  async #settled(clock: VirtualClock): Promise<void> {
    await clock.settle()
    const missing = this.#outputs[this.#done]
    if (missing && missing[0] <= this.event) this.#note(missing[1], undefined)
  }

  #feed({ input, reads }: RecordedEvent): void {
    this.#times = reads.flatMap(([kind, value]) => (kind === 'now' ? [value] : []))
    try {
      const result = this.#serve(input)
      // What it throws is an output, which has been compared; here it must only not go unhandled.
      if (result instanceof Promise) result.catch(() => {})
    } catch (error) {
      if (!(error instanceof Departed || this.#failed())) throw error
    }
  }

  /** Whether the last thing that was compared was the actor's failure. */
  #failed(): boolean {
    return this.#departure !== undefined || this.#outputs[this.#done - 1]?.[1].did === 'fail'
  }

  #serve(input: Input): unknown {
    const hooks = this.hooks(this.#hooks)
    switch (input.on) {
      case 'initialize':
        return hooks.initialize()
      case 'finalize':
        return hooks.finalize()
      case 'exited':
        return hooks.exited(input.pid, input.why)
      case 'message':
      case 'ask': {
        const { name, from, body } = input
        const envelope = { from, ...(input.on === 'ask' && { reply: REPLY }) }
        this.#envelopes.set(this.event, envelope)
        return this.handler(name, this.#handler(name))(this.#value(body) as never, from, envelope)
      }
      case 'http':
        return this.#known(this.#routes, input.route)(this.#request(input.request))
      case 'resume':
        return this.#known(this.#awaited, input.op).resolve(this.#value(input.value))
      case 'reject':
        return this.#known(this.#awaited, input.op).reject(unkeepError(input.error))
      default:
        return this.#known(this.#callbacks, input.op)(...(this.#value(input.args) as unknown[]))
    }
  }

  #handler(wire: string): Handler {
    for (const { protocol, handlers } of this.#actor.serves) {
      const found = Object.entries(protocol.wire).find(([, name]) => name === wire)
      if (found) return handlers[found[0]]!
    }
    return this.#depart(undefined, `does not serve ${wire}`)
  }

  #known<K, T>(all: ReadonlyMap<K, T>, key: K): T {
    return all.get(key) ?? this.#depart(undefined, 'never asked for it')
  }

  #value(kept: Kept): unknown {
    return this.#orDepart(() => unkeep(kept))
  }

  #request(kept: Kept): ReturnType<typeof unkeepRequest> {
    return this.#orDepart(() => unkeepRequest(kept))
  }

  #orDepart<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      return this.#depart(undefined, `cannot be served this: ${messageOf(error)}`)
    }
  }

  /** The first departure counts: what follows from it says nothing. */
  #note(recorded: Output | undefined, actual: Output | string | undefined): void {
    this.#departure ??= {
      event: this.event,
      input: describe(this.#recording.events[this.event]?.input),
      recorded: describe(recorded),
      actual: typeof actual === 'string' ? actual : describe(actual),
    }
  }

  #depart(recorded: Output | undefined, actual: string): never {
    this.#note(recorded, actual)
    throw new Departed(actual)
  }

  protected input(): void {}

  did(output: Output): void {
    if (this.#departure) return
    const [event = 0, recorded] = this.#outputs[this.#done] ?? []
    // What it does from here on is ignored, and it is not fed any more.
    if (recorded && same(recorded, output)) this.#done++
    else this.#note(event > this.event ? undefined : recorded, output)
  }

  read<T>(kind: Read, _real: () => T): T {
    if (kind === 'now') {
      // A clock may be read once more or once less: that alone is nothing that anybody sees.
      if (this.#times.length > 0) this.#now = this.#times.shift()
      return this.#now as T
    }
    const values = this.#reads[kind]
    if (values.length === 0) this.#depart(undefined, `needs one more '${kind}' than is on record`)
    return bare(values.shift()) as T
  }

  awaited<T>(op: number, _real: () => Promise<T>): Promise<T> {
    const answer = deferred<unknown>()
    answer.promise.catch(() => {})
    this.#awaited.set(op, answer)
    return answer.promise as Promise<T>
  }

  override callback<A extends unknown[]>(
    on: Callback,
    op: number,
    run: (...args: A) => unknown,
  ): (...args: A) => unknown {
    const wrapped = super.callback(on, op, run)
    this.#callbacks.set(op, wrapped as (...args: unknown[]) => unknown)
    return wrapped
  }

  override http(route: string, real: HttpHandler): HttpHandler {
    const wrapped = super.http(route, real)
    this.#routes.set(route, wrapped)
    return wrapped
  }

  /** A context in which nothing happens. */
  #nowhere(self: Pid, log: Logger): Context {
    const never: Timer = { cancel: () => {} }
    const nothing = (): void => {}
    /* c8 ignore next 3 -- what is read comes from the tape; only a bug in here would ask this context. */
    const unread = (): never => {
      throw new AssertionError('the tape has what is read')
    }
    return {
      self,
      log,
      clock: { now: unread, delay: () => never, soon: nothing },
      random: new SeededRandom(0),
      metrics: new Metrics().scope(),
      ref: (_definition, to) => ({
        pid: to,
        tell: nothing,
        ask: unread,
        forward: () => undefined as never,
      }),
      refs: (_definition, to) => ({ pids: [...to], tell: nothing }),
      delay: () => never,
      dispatch: nothing,
      resume: unread,
      waitFor: unread,
      // Others call it, and there are no others.
      defer: () => nothing,
      link: nothing,
      unlink: nothing,
      route: nothing,
      stream: () => new BodyStream({ maxBufferedBytes: Number.POSITIVE_INFINITY }),
      waiting: unread,
      spawn: unread,
      terminate: nothing,
    }
  }
}

/** Bodies are the same when they say the same, in whatever order their members were packed. */
function same(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(readable(a), readable(b))
}

function readable(thing: unknown): unknown {
  if (typeof thing !== 'object' || thing === null) return thing
  return Object.fromEntries(
    Object.entries(thing).map(([key, value]) => [
      key,
      value instanceof Uint8Array ? shown(decode(value)) : value,
    ]),
  )
}

/** Bytes of one class only, so that they can be compared. */
function shown(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('base64') }
  if (Array.isArray(value)) return value.map(shown)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shown(member)]))
}

const LONGEST_TEXT = 2_000

/** In JSON, cut where it is too long for a line. */
function describe(thing: Input | Output | undefined): string {
  if (thing === undefined) return 'nothing'
  const text = JSON.stringify(readable(thing))
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text
}
