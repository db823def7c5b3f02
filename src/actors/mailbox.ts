// What an actor can be told, and the queue in which it waits. Everything an actor knows came through here.

import type { Charge } from './backlog.ts'
import type { HttpRequest, HttpResponse } from './http.ts'
import type { Pid } from './pid.ts'
import type { AskFailure, Entry, Handler } from './protocol.ts'

/** Where the answer to a question goes. Answering twice does nothing the second time. */
export interface Reply {
  answer(value: unknown): void
  fail(code: AskFailure, text: string): void
}

/**
 * How a linked actor came to be gone. `ended`: it was terminated, or terminated itself. `failed`: a handler of it threw.
 * `absent`: nobody had that id when the link was made, or nobody listened at its address. `unreachable`: the connection to
 * its process broke, or there was no answer; it may still live.
 */
export type ExitReason = 'ended' | 'failed' | 'absent' | 'unreachable'

/** What serves a message of one kind at one actor. */
export interface Served {
  /** Its name on the wire. */
  readonly wire: string
  readonly entry: Entry
  readonly handler: Handler
  /** For actors of this process only. */
  readonly local: boolean
}

export type ActorEvent =
  /** A message, from an actor here or elsewhere; with `reply` it is a question. */
  | {
      readonly type: 'message'
      readonly served: Served
      readonly body: unknown
      readonly from: Pid
      readonly reply: Reply | undefined
      /** For what came from another process, to whom it is charged while it waits. Never left out: all have one shape. */
      readonly charge: Charge | undefined
    }
  /** An actor's first. */
  | { readonly type: 'initialize' }
  /** A timer that fired, or a call from code of the same process. */
  | { readonly type: 'dispatch'; readonly name?: string; readonly run: () => unknown }
  /** Something awaited has come: its continuation runs in this turn. */
  | { readonly type: 'resume'; readonly run: () => void }
  | {
      readonly type: 'http'
      readonly request: HttpRequest
      readonly handler: (request: HttpRequest) => HttpResponse | Promise<HttpResponse>
      readonly respond: (response: HttpResponse) => void
    }
  /** A linked actor ended, or its connection broke. */
  | { readonly type: 'exited'; readonly pid: Pid; readonly why: ExitReason }
  | { readonly type: 'terminate' }

/** Events that say nothing but what they are: one of each for everybody. */
export const INITIALIZE: ActorEvent = { type: 'initialize' }
export const TERMINATE: ActorEvent = { type: 'terminate' }

/** Places taken from the queue before they are given back. */
const MOVE_AT = 1_024
/** A longer array is not kept for the next one who needs one. */
const LONGEST_SPARE = 4_096

type Places = (ActorEvent | undefined)[]

/** An array that grew and is empty now: whoever queues next need not grow one again. One for all, so it costs nothing. */
let spare: Places | undefined

/**
 * A first-in first-out queue of events; taking from it does not move the rest. Most actors never have more than one, so
 * the first has a place of its own.
 */
export class Mailbox {
  #first: ActorEvent | undefined
  #rest: Places | undefined
  /** The rest is from here … */
  #head = 0
  /** … to here. */
  #tail = 0

  get length(): number {
    return this.#first === undefined ? 0 : 1 + this.#tail - this.#head
  }

  push(event: ActorEvent): void {
    if (this.#first === undefined) this.#first = event
    else (this.#rest ??= takeSpare())[this.#tail++] = event
  }

  shift(): ActorEvent | undefined {
    const event = this.#first
    const rest = this.#rest
    if (rest === undefined) {
      this.#first = undefined
      return event
    }
    const head = this.#head++
    this.#first = rest[head]
    rest[head] = undefined
    if (head + 1 === this.#tail) {
      this.#rest = undefined
      this.#head = 0
      this.#tail = 0
      if (rest.length <= LONGEST_SPARE) spare = rest
    } else if (head >= MOVE_AT && head * 2 >= this.#tail) {
      this.#rest = rest.slice(head + 1, this.#tail)
      this.#tail -= head + 1
      this.#head = 0
    }
    return event
  }

  /** Empties it; what was waiting is returned, in order. */
  drain(): readonly ActorEvent[] {
    if (this.#first === undefined) return NONE
    const all = [...this.peek()]
    this.#first = undefined
    this.#rest = undefined
    this.#head = 0
    this.#tail = 0
    return all
  }

  /** Takes back the news of an actor's end, which its listener does not want to hear any more. */
  withdrawExited(pid: Pid): void {
    for (const event of this.drain()) {
      if (event.type !== 'exited' || event.pid !== pid) this.push(event)
    }
  }

  /** How many events of a type wait. Looks at each: for those who only look. */
  count(type: ActorEvent['type']): number {
    let count = 0
    for (const event of this.peek()) if (event.type === type) count++
    return count
  }

  /** What waits, in order, for those who only look. */
  peek(): readonly ActorEvent[] {
    if (this.#first === undefined) return NONE
    const rest = this.#rest?.slice(this.#head, this.#tail) ?? []
    return [this.#first, ...(rest as ActorEvent[])]
  }
}

const NONE: readonly ActorEvent[] = []

function takeSpare(): Places {
  const taken = spare ?? []
  spare = undefined
  return taken
}
