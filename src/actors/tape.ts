// The boundary of one actor as data: all that comes to it, and all that it does. A recorder writes that down, a replay
// holds it against what was written down.

import { isDeepStrictEqual } from 'node:util'
import { messageOf } from '../base/errors.ts'
import { type Hooks, WRAP } from './actor.ts'
import { decode, encode } from './codec.ts'
import type { HttpHandler, HttpRequest } from './http.ts'
import type { ExitReason } from './mailbox.ts'
import type { Pid } from './pid.ts'
import { AskError, type Envelope, type Handler } from './protocol.ts'

/** A value as msgpack, taken at once, since its owner may change it; or why it cannot be kept. */
export type Kept = Uint8Array | { readonly lost: string }

/** A rejection or a failure. Of an error's class only the name is kept, but for `AskError`. */
export interface KeptError {
  readonly name: string
  readonly message: string
  readonly code?: string
}

/** What an actor is served. `op` is the number of what the actor had asked for: a timer, an answer, a callback. */
export type Input =
  | { readonly on: 'initialize' | 'finalize' }
  | {
      readonly on: 'message' | 'ask'
      readonly name: string
      readonly from: Pid
      readonly body: Kept
    }
  | { readonly on: 'exited'; readonly pid: Pid; readonly why: ExitReason }
  | { readonly on: 'http'; readonly route: string; readonly request: Kept }
  | { readonly on: Callback; readonly op: number; readonly args: Kept }
  | { readonly on: 'resume'; readonly op: number; readonly value: Kept }
  | { readonly on: 'reject'; readonly op: number; readonly error: KeptError }

/** A timer, an actor's own `dispatch`, what `defer` made, a stream's end. */
export type Callback = 'timer' | 'call' | 'deferred' | 'closed'

/** What an actor does. `of` is the number of the event that asked for it. */
export type Output =
  | {
      readonly did: 'tell' | 'ask' | 'forward'
      readonly to: Pid
      readonly name: string
      readonly body: Kept
      readonly op?: number
      readonly of?: number
      readonly timeoutMs?: number
    }
  | { readonly did: 'answer'; readonly of: number; readonly body: Kept }
  | { readonly did: 'respond'; readonly of: number; readonly status: number; readonly body: Kept }
  | { readonly did: 'fail'; readonly error: KeptError }
  | { readonly did: 'delay'; readonly op: number; readonly ms: number }
  | { readonly did: 'dispatch' | 'defer' | 'resume' | 'stream' | 'cancel'; readonly op: number }
  | { readonly did: 'link' | 'unlink' | 'terminate' | 'spawn'; readonly pid: Pid }
  | { readonly did: 'wait'; readonly op: number; readonly pid: Pid; readonly timeoutMs?: number }
  | { readonly did: 'route'; readonly path: string }

/** What an actor looks at and cannot know before. `now` is time; `draw` is chance. */
export type Read = 'now' | 'draw' | 'spawn' | 'waiting'

/** Packs a value, if it comes back as it was. */
export function keep(value: unknown): Kept {
  try {
    const bytes = encode(value)
    if (isDeepStrictEqual(plain(decode(bytes)), plain(value))) return bytes
    return { lost: 'a value that is more than data' }
  } catch (error) {
    return { lost: messageOf(error) }
  }
}

/** Bytes are the same in every class of theirs; all others have to be plain. */
function plain(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  }
  if (Array.isArray(value)) return value.map(plain)
  // There is no other zero in msgpack.
  if (value === 0) return 0
  if (typeof value !== 'object' || value === null) return value
  const { constructor } = value
  if (constructor !== Object && constructor !== undefined) {
    throw new Error(`a ${constructor.name} is more than data`)
  }
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]))
}

/** Undoes `keep`; throws for what could not be kept. */
export function unkeep(kept: Kept): unknown {
  if (kept instanceof Uint8Array) return bare(decode(kept))
  throw new Error(`it could not be recorded: ${kept.lost}`)
}

/** With all bytes in it of the class that the types promise, where a decoder makes them Node's `Buffer`. */
export function bare(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  }
  if (Array.isArray(value)) return value.map(bare)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, bare(member)]))
}

export function keepError(error: unknown): KeptError {
  const { name = 'Error', code } = (error ?? {}) as { name?: unknown; code?: unknown }
  return {
    name: String(name),
    message: messageOf(error),
    ...(typeof code === 'string' && { code }),
  }
}

export function unkeepError({ name, message, code }: KeptError): Error {
  if (name === 'AskError') return new AskError(code as never, message)
  return Object.assign(new Error(message), { name, ...(code !== undefined && { code }) })
}

/** A request as data, and back. */
export const keepRequest = ({ method, path, query, headers, body }: HttpRequest): Kept =>
  keep({ method, path, query: query.toString(), headers: { ...headers }, body })

export function unkeepRequest(kept: Kept): HttpRequest {
  const { query, ...rest } = unkeep(kept) as Omit<HttpRequest, 'query'> & { query: string }
  return { ...rest, query: new URLSearchParams(query) }
}

/**
 * What a recorder and a replay have in common: how each way into an actor is wrapped. Whatever is served there
 * goes through `input`, whatever becomes of it through `did`.
 */
export abstract class Tape {
  /** Questions that are the actor's to answer, with the number of their event. */
  readonly #open = new Map<Envelope, number>()

  /** The number of the event being served. */
  protected abstract readonly event: number
  protected abstract input(input: Input): void
  abstract did(output: Output): void
  abstract read<T>(kind: Read, real: () => T): T
  /** A promise that settles inside a turn; `real` starts what it stands for. */
  abstract awaited<T>(op: number, real: () => Promise<T>): Promise<T>

  callback<A extends unknown[]>(
    on: Callback,
    op: number,
    run: (...args: A) => unknown,
  ): (...args: A) => unknown {
    return (...args) => {
      this.input({ on, op, args: keep(args) })
      return this.#guard(() => run(...args))
    }
  }

  hooks(real: Hooks): Hooks {
    return {
      initialize: () => {
        this.input({ on: 'initialize' })
        return this.#guard(() => real.initialize())
      },
      finalize: () => {
        this.input({ on: 'finalize' })
        try {
          this.#guard(() => real.finalize())
        } finally {
          this.ended()
        }
      },
      exited: (pid, why) => {
        this.input({ on: 'exited', pid, why })
        return this.#guard(() => real.exited(pid, why))
      },
      [WRAP]: (name, handler) => this.handler(name, handler),
    }
  }

  /** The actor has had its last turn. */
  protected ended(): void {}

  handler(name: string, real: Handler): Handler {
    return (body, from, envelope) => {
      const isAsk = (envelope as { readonly reply?: unknown }).reply !== undefined
      this.input({ on: isAsk ? 'ask' : 'message', name, from, body: keep(body) })
      if (!isAsk) return this.#guard(() => real(body, from, envelope))
      this.#open.set(envelope, this.event)
      return this.#guard(
        () => real(body, from, envelope),
        answer => {
          const of = this.#open.get(envelope)
          this.#open.delete(envelope)
          if (of !== undefined) this.did({ did: 'answer', of, body: keep(answer) })
        },
      )
    }
  }

  /** Of a message in hand that is given away: the number of its event if it is a question, from now on another's. */
  handOver(envelope: Envelope): number | undefined {
    const of = this.#open.get(envelope)
    this.#open.delete(envelope)
    return of
  }

  http(route: string, real: HttpHandler): HttpHandler {
    return request => {
      this.input({ on: 'http', route, request: keepRequest(request) })
      const of = this.event
      return this.#guard(
        () => real(request),
        ({ status, body }) => this.did({ did: 'respond', of, status, body: keep(body) }),
      )
    }
  }

  /** Notes what comes out of a handler, or that it failed, at once or later; and lets it pass. */
  #guard<T>(run: () => T, done?: (result: Awaited<T>) => void): T {
    const failed = (error: unknown): void => this.did({ did: 'fail', error: keepError(error) })
    let result: T
    try {
      result = run()
    } catch (error) {
      failed(error)
      throw error
    }
    if (result instanceof Promise) result.then(done, failed)
    else done?.(result as Awaited<T>)
    return result
  }
}
