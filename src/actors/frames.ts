// What travels between two processes. One WebSocket message holds one or more of these, gathered per turn.

import * as v from 'valibot'
import { MalformedError } from './codec.ts'
import { FRAME } from './frame-kinds.ts'
import type { ExitReason } from './mailbox.ts'
import type { AskFailure } from './protocol.ts'

export { FRAME }

/** 2: a tell may leave out its beginning (`FRAME.again`). */
export const WIRE_VERSION = 2

/** First and alone on each side of a connection: who is there. */
export interface Hello {
  /** The address by which this process wants to be known; port 0 if it cannot be dialled. */
  readonly address: string
  /** A new one for each start of the process: tells a restarted peer from the one before. */
  readonly incarnation: string
  /** How many connections with the other side this one has seen established before; see `peers.ts`. */
  readonly generation: number
  readonly version: number
  /** Optional abilities, for forms of the wire that both sides agree to. */
  readonly features: readonly string[]
  /** Where this process proves who it is, and wants the same of others; see handshake.ts. */
  readonly auth?:
    | {
        readonly scheme: string
        readonly principal: string
        readonly nonce: string
        /** In the acceptor's greeting only. */
        readonly proof?: string | undefined
      }
    | undefined
}

/** No process sees more connections; a greeting that claims more is none. Counting stops there. */
export const MAX_GENERATION = 2 ** 32

const HelloSchema = v.object({
  address: v.pipe(v.string(), v.maxLength(300), v.regex(/^[^\s@:/]+:\d{1,5}$/)),
  incarnation: v.pipe(v.string(), v.maxLength(64)),
  generation: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(MAX_GENERATION)),
  version: v.number(),
  features: v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.maxLength(64)),
  auth: v.optional(
    v.object({
      scheme: v.pipe(v.string(), v.maxLength(64)),
      principal: v.pipe(v.string(), v.maxLength(1024)),
      nonce: v.pipe(v.string(), v.maxLength(64)),
      proof: v.optional(v.pipe(v.string(), v.maxLength(256))),
    }),
  ),
})

export type Frame =
  | readonly [typeof FRAME.hello, Hello]
  | readonly [typeof FRAME.tell, string, string, string, unknown]
  | readonly [typeof FRAME.ask, string, string, string, unknown, number]
  | readonly [typeof FRAME.reply, number, unknown]
  | readonly [typeof FRAME.fail, number, AskFailure, string]
  | readonly [typeof FRAME.link, string]
  | readonly [typeof FRAME.unlink, string]
  | readonly [typeof FRAME.exited, string, ExitReason]
  | readonly [typeof FRAME.ping]
  | readonly [typeof FRAME.pong]
  | readonly [typeof FRAME.challenge, Hello]
  | readonly [typeof FRAME.proof, string]

/** What concerns actors; the others keep up the connection itself. */
export type ActorFrame = Exclude<Frame, { readonly 0: 0 | 8 | 9 | 10 | 11 }>

export function isActorFrame(frame: Frame): frame is ActorFrame {
  return frame[0] > FRAME.hello && frame[0] < FRAME.ping
}

const isId = (x: unknown): boolean => typeof x === 'string' && x.length <= 1024
const isExitReason = (x: unknown): boolean => x === 'ended' || x === 'failed' || x === 'absent'
const isNumber = (x: unknown): boolean => Number.isSafeInteger(x)

/** What a decoded message consists of: its frames, and what was in the place of others. */
export interface Checked {
  readonly valid: readonly Frame[]
  /** How many others there were, and what was in the place of the first. */
  readonly malformed: number
  readonly first: string | undefined
}

/**
 * Checks the outline of one decoded message from a peer; bodies are checked by their protocol's schemas. One frame
 * that is wrong does not spoil the others. Throws `MalformedError` for what is no list at all.
 */
export function checkMessage(message: unknown): Checked {
  if (!Array.isArray(message)) throw new MalformedError('a message must be a list of frames')
  if (message.every(hasOutline))
    return { valid: message as Frame[], malformed: 0, first: undefined }
  const valid = message.filter(hasOutline) as Frame[]
  const first = describe(message.find(frame => !hasOutline(frame)))
  return { valid, malformed: message.length - valid.length, first }
}

function hasOutline(f: unknown): boolean {
  if (!Array.isArray(f)) return false
  switch (f[0]) {
    case FRAME.hello:
    case FRAME.challenge:
      return f.length === 2 && v.is(HelloSchema, f[1])
    case FRAME.proof:
      return f.length === 2 && typeof f[1] === 'string' && f[1].length <= 256
    case FRAME.tell:
      return f.length === 5 && isId(f[1]) && isId(f[2]) && isId(f[3])
    case FRAME.ask:
      return f.length === 6 && isId(f[1]) && isId(f[2]) && isId(f[3]) && isNumber(f[5])
    case FRAME.reply:
      return f.length === 3 && isNumber(f[1])
    case FRAME.fail:
      return (
        f.length === 4 && isNumber(f[1]) && typeof f[2] === 'string' && typeof f[3] === 'string'
      )
    case FRAME.link:
    case FRAME.unlink:
      return f.length === 2 && isId(f[1])
    case FRAME.exited:
      return f.length === 3 && isId(f[1]) && isExitReason(f[2])
    case FRAME.ping:
    case FRAME.pong:
      return f.length === 1
    default:
      return false
  }
}

function describe(frame: unknown): string {
  if (!Array.isArray(frame))
    return `a frame must be a list, not ${frame === null ? 'null' : typeof frame}`
  const kind =
    typeof frame[0] === 'number' ? `kind ${frame[0]}` : `a kind of type ${typeof frame[0]}`
  return `no frame of ${kind} has these ${frame.length} members`
}
