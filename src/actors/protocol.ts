// Typed protocols as values: one definition gives the handlers' types, the sender's types and the schemas at the door.

import type { GenericSchema, InferOutput } from 'valibot'
import type { Pid } from './pid.ts'

/** A request that is answered. */
export interface Call<Req extends GenericSchema, Res extends GenericSchema> {
  readonly kind: 'call'
  readonly request: Req
  readonly response: Res
}

/** A message that is not answered; delivery is not promised. */
export interface Cast<Msg extends GenericSchema> {
  readonly kind: 'cast'
  readonly request: Msg
}

export type Entry = Call<GenericSchema, GenericSchema> | Cast<GenericSchema>
export type Entries = Readonly<Record<string, Entry>>

/** A conversation: its name, and its messages by name. On the wire a message is named `<protocol>/<entry>`. */
export interface Protocol<E extends Entries = Entries> {
  readonly name: string
  readonly entries: E
  /** Spoken between actors of one process only: from elsewhere it is refused, as if its actor did not know it. */
  readonly local: boolean
  /** Wire names, made once: `wire.promise` is `log.replica/promise`. */
  readonly wire: { readonly [K in keyof E]: string }
}

/** Declares a request and the shape of its answer. */
export function call<const Req extends GenericSchema, const Res extends GenericSchema>(
  request: Req,
  response: Res,
): Call<Req, Res> {
  return { kind: 'call', request, response }
}

/** Declares a one-way message. */
export function cast<const Msg extends GenericSchema>(request: Msg): Cast<Msg> {
  return { kind: 'cast', request }
}

/** Declares a conversation. Its name must be unique: it is the prefix of its messages on the wire. */
export function protocol<const E extends Entries>(
  name: string,
  entries: E,
  options: { readonly local?: boolean } = {},
): Protocol<E> {
  const wire = Object.fromEntries(Object.keys(entries).map(entry => [entry, `${name}/${entry}`]))
  return {
    name,
    entries,
    local: options.local ?? false,
    wire: wire as { [K in keyof E]: string },
  }
}

export type CallNames<E extends Entries> = {
  [K in keyof E]: E[K]['kind'] extends 'call' ? K : never
}[keyof E]

export type CastNames<E extends Entries> = {
  [K in keyof E]: E[K]['kind'] extends 'cast' ? K : never
}[keyof E]

export type RequestOf<T> = T extends { request: infer S extends GenericSchema }
  ? InferOutput<S>
  : never
export type ResponseOf<T> = T extends { response: infer S extends GenericSchema }
  ? InferOutput<S>
  : never

/**
 * Every message of a protocol has exactly one handler: a missing, extra or mistyped one is a compile error. A question is
 * answered by what its handler returns; a promise answers later, when it settles, also in another turn (the actor's
 * end answers what is then still open with `FAILED`). `envelope` is for `Ref.forward`.
 */
export type Handlers<E extends Entries> = {
  readonly [K in keyof E]: E[K]['kind'] extends 'call'
    ? (
        request: RequestOf<E[K]>,
        from: Pid,
        envelope: Envelope,
      ) => ResponseOf<E[K]> | Promise<ResponseOf<E[K]>>
    : (message: RequestOf<E[K]>, from: Pid, envelope: Envelope) => void | Promise<void>
}

/** A message in hand: who sent it, and, if it is a question, the way back of its answer. For `Ref.forward`. */
export interface Envelope {
  readonly from: Pid
}

export type Handler = (body: never, from: Pid, envelope: Envelope) => unknown

/** A protocol together with the handlers that serve it. */
export interface Served {
  readonly protocol: Protocol
  readonly handlers: Readonly<Record<string, Handler>>
}

/** Binds handlers to a protocol, as a member of an actor's `serves`. */
export function serve<E extends Entries>(definition: Protocol<E>, handlers: Handlers<E>): Served {
  return { protocol: definition, handlers }
}

/** How an `ask` may end without an answer. */
export type AskFailure =
  /** No actor has that id there: the request was certainly not served. */
  | 'NO_SUCH_ACTOR'
  /** The actor does not know this message, or its body does not fit: certainly not served. */
  | 'REFUSED'
  /** The actor failed or ended while serving it: the outcome is unknown. */
  | 'FAILED'
  /** The connection broke, or could not be made: the outcome is unknown. */
  | 'DISCONNECTED'
  /** No answer within the time given: the outcome is unknown. */
  | 'TIMEOUT'

/** The rejection of an `ask`. */
export class AskError extends Error {
  override readonly name = 'AskError'
  readonly code: AskFailure

  constructor(code: AskFailure, message: string) {
    super(message)
    this.code = code
  }
}

/** A typed address: what may be said to an actor is in its type. */
export interface Ref<E extends Entries> {
  readonly pid: Pid
  /** Sends a one-way message: at most once, in order for each pair of sender and receiver. */
  tell<K extends CastNames<E>>(name: K, message: RequestOf<E[K]>): void
  /** Sends a request; rejects with `AskError`. Without `timeoutMs` it waits until the answer or the connection's end. */
  ask<K extends CallNames<E>>(
    name: K,
    request: RequestOf<E[K]>,
    options?: { readonly timeoutMs?: number },
  ): Promise<ResponseOf<E[K]>>
  /**
   * Hands the message in hand over to another actor, with this body: `return other.forward(envelope, 'name', body)` as the
   * last thing its handler does. Whoever asked gets the other's answer (or failure) straight from there, and this actor
   * has nothing more to do with it, not even when it ends. Within a process the other sees the first sender as `from`;
   * in another process it sees this actor, since no process can speak in the name of another.
   */
  forward<K extends keyof E>(
    envelope: Envelope,
    name: K,
    body: RequestOf<E[K]>,
  ): E[K]['kind'] extends 'call' ? ResponseOf<E[K]> : void
}

/** Typed addresses of many actors, here or elsewhere, for telling all of them the same. */
export interface Refs<E extends Entries> {
  readonly pids: readonly Pid[]
  /**
   * Tells each of them, as `Ref.tell` would, in the same order among what else is said to it; but the message is encoded
   * once, not for each. Throws if it cannot be: then nobody has been told.
   */
  tell<K extends CastNames<E>>(name: K, message: RequestOf<E[K]>): void
}
