// Reads requests as far as actors are to have them: whole, and within bounds; or, where it is a stream that is sent, its head.
// One of the few files that may touch the world.

import type { IncomingMessage } from 'node:http'
import type { HttpRequest, HttpResponse } from './http.ts'
import { text } from './http.ts'

/** Needed by the first client that compresses, not at the start. */
const zlib = () => import('node:zlib')

/** Larger request bodies are answered 413 and not read. */
const MAX_BODY_BYTES = 16 * 1024 * 1024
/** How long a client may take to send the whole of a request that is no stream. */
const REQUEST_LIMIT_MS = 120_000
/** Records one after the other, for as long as the client likes (Mesos' docs/recordio.md). */
const STREAM = /^application\/recordio\b/i
const NO_BYTES = new Uint8Array()

const TOO_SLOW = text(408, 'The request did not come in time.\n')
const BUSY = text(503, 'Too many large requests at once; try again.\n')
const NO_ROOM: HttpResponse = { ...BUSY, headers: { ...BUSY.headers, 'retry-after': '1' } }

/** The bytes of one request's body, as far as they have come. */
export interface Body {
  /** False: all together have become too many. */
  grow(bytes: number): boolean
  /** They are not needed any more. */
  end(): void
}

/** What the bodies of all requests take. */
export class Bodies {
  readonly #most: number
  bytes = 0
  refused = 0

  constructor(most: number) {
    this.#most = most
  }

  begin(): Body {
    let own = 0
    return {
      grow: bytes => {
        own += bytes
        this.bytes += bytes
        if (this.bytes <= this.#most) return true
        this.refused++
        return false
      },
      end: () => {
        this.bytes -= own
        own = 0
      },
    }
  }
}

/** Reads a whole request, or says with which response it is refused. */
export async function readRequest(
  incoming: IncomingMessage,
  room: Body,
): Promise<HttpRequest | HttpResponse> {
  const url = incoming.url ?? '/'
  const mark = url.indexOf('?')
  let path: string
  try {
    path = decodeURIComponent(mark === -1 ? url : url.slice(0, mark))
  } catch {
    return { status: 404 }
  }
  const tooLarge = text(413, `The request body is larger than ${MAX_BODY_BYTES} bytes.\n`)
  const isStream = STREAM.test(incoming.headers['content-type'] ?? '')
  let body = isStream ? NO_BYTES : await readBody(incoming, room)
  if (body === 'too slow') return TOO_SLOW
  if (body === 'too large') return tooLarge
  if (body === 'no room') return NO_ROOM
  if (!isStream && /^(x-)?gzip$/i.test(incoming.headers['content-encoding'] ?? '')) {
    const inflated = await inflate(body)
    if (inflated === 'invalid') return text(500, 'failed to decode body')
    if (inflated === 'too large') return tooLarge
    if (!room.grow(inflated.length)) return NO_ROOM
    body = inflated
    // It says nothing true about what a handler gets.
    delete incoming.headers['content-encoding']
  }
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  const query = new URLSearchParams(mark === -1 ? '' : url.slice(mark + 1))
  const request = { method: incoming.method ?? 'GET', path, query, headers, body }
  return isStream ? { ...request, pieces: incoming } : request
}

/** Stops at the limit: a small body may inflate to any size. */
async function inflate(body: Uint8Array): Promise<Uint8Array | 'invalid' | 'too large'> {
  const { gunzip } = await zlib()
  return new Promise(resolve => {
    gunzip(body, { maxOutputLength: MAX_BODY_BYTES }, (error, bytes) => {
      if (!error) return resolve(bytes)
      resolve(error.name === 'RangeError' ? 'too large' : 'invalid')
    })
  })
}

/** What a piece takes beside its bytes: clients choose how small their pieces are. */
const PIECE_BYTES = 200

/** The whole body, or why not. Rejects if the client goes away before its end. */
function readBody(
  incoming: IncomingMessage,
  room: Body,
): Promise<Uint8Array | 'too large' | 'too slow' | 'no room'> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => stop('too slow'), REQUEST_LIMIT_MS)
    const stop = (why: 'too large' | 'too slow' | 'no room'): void => {
      clearTimeout(limit)
      incoming.off('data', take)
      resolve(why)
    }
    const chunks: Buffer[] = []
    let sizeBytes = 0
    const take = (chunk: Buffer): void => {
      sizeBytes += chunk.length
      chunks.push(chunk)
      const fits = sizeBytes <= MAX_BODY_BYTES
      if (fits && room.grow(chunk.length + PIECE_BYTES)) return
      stop(fits ? 'no room' : 'too large')
    }
    incoming.on('data', take)
    incoming.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    incoming.once('error', reject)
    incoming.once('close', () => {
      clearTimeout(limit)
      reject(new Error('the request ended early'))
    })
  })
}
