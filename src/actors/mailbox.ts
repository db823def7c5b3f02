// What an actor can be told, and the queue in which it waits. Everything an actor knows came through here.

import type { HttpRequest, HttpResponse } from './http.ts'
import type { Pid } from './pid.ts'
import type { AskFailure, Handler } from './protocol.ts'

/** Where the answer to a question goes. Answering twice does nothing the second time. */
export interface Reply {
  answer(value: unknown): void
  fail(code: AskFailure, text: string): void
}

/**
 * How a linked actor came to be gone. `ended`: it was terminated, or terminated itself. `failed`: a handler of it threw.
 * `absent`: nobody had that id when the link was made. `unreachable`: the connection to its process broke; it may
 * still live.
 */
export type ExitReason = 'ended' | 'failed' | 'absent' | 'unreachable'

export type ActorEvent =
  /** A message, from an actor here or elsewhere; with `reply` it is a question. */
  | {
      readonly type: 'message'
      readonly name: string
      readonly handler: Handler
      readonly body: unknown
      readonly from: Pid
      readonly reply: Reply | undefined
    }
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

/** A first-in first-out queue of events; taking from it does not move the rest. */
export class Mailbox {
  #events: (ActorEvent | undefined)[] = []
  #head = 0

  get length(): number {
    return this.#events.length - this.#head
  }

  push(event: ActorEvent): void {
    this.#events.push(event)
  }

  shift(): ActorEvent | undefined {
    if (this.#head === this.#events.length) return undefined
    const event = this.#events[this.#head]
    this.#events[this.#head++] = undefined
    if (this.#head === this.#events.length) {
      this.#events = []
      this.#head = 0
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#events.length) {
      this.#events = this.#events.slice(this.#head)
      this.#head = 0
    }
    return event
  }

  /** Empties it; what was waiting is returned, in order. */
  drain(): ActorEvent[] {
    const rest = this.#events.slice(this.#head) as ActorEvent[]
    this.#events = []
    this.#head = 0
    return rest
  }

  /** Takes back the news of an actor's end, which its listener does not want to hear any more. */
  withdrawExited(pid: Pid): void {
    const rest = this.drain()
    this.#events = rest.filter(event => event.type !== 'exited' || event.pid !== pid)
  }

  /** How many events of a type wait. Looks at each: for those who only look. */
  count(type: ActorEvent['type']): number {
    let count = 0
    for (let at = this.#head; at < this.#events.length; at++) {
      if (this.#events[at]!.type === type) count++
    }
    return count
  }

  /** What waits, in order, for those who only look. */
  peek(): readonly ActorEvent[] {
    return this.#events.slice(this.#head) as ActorEvent[]
  }
}
