// Asks a registry over HTTP, for one image. Whoever answers is not trusted: sizes and times are bounded, and so is where it may
// send the agent. One of the few files that may touch the world.

import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { messageOf, UserError } from '../../base/errors.ts'
import { type Challenge, type Credentials, parseChallenges, tokenIn } from './registry-auth.ts'
import type { Remote } from './registry-url.ts'

const MAX_REDIRECTS = 5
const MAX_TOKEN = 2 ** 18
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export interface RegistryLimits {
  /** In this time it has to answer, and then to send `leastBytes` more, or the rest. */
  readonly stallMs: number
  /** Who sends a byte now and then would hold a place for ever. */
  readonly leastBytes: number
}
export const LIMITS: RegistryLimits = { stallMs: 60_000, leastBytes: 2 ** 16 }

export interface RegistryAccess {
  readonly remote: Remote
  readonly credentials: Credentials | undefined
  readonly limits: RegistryLimits
  /** Gives up. */
  readonly stop: AbortSignal
}

interface Answer {
  readonly response: Response
  readonly pace: Pace
}

export class RegistryClient {
  readonly #o: RegistryAccess
  /** What the registry accepted last. Tokens may last a minute. */
  #authorization: string | undefined

  constructor(access: RegistryAccess) {
    this.#o = access
  }

  /** What is below the image's repository, all of it. */
  async read(path: string, accept: string, maxBytes: number): Promise<Buffer> {
    const answer = await this.#get(path, accept)
    return whole(answer, maxBytes, this.#what(path))
  }

  /** The same as it comes. It fails at its end if it is not what the digest says. */
  async stream(path: string, digest: string, maxBytes: number): Promise<Readable> {
    const { response, pace } = await this.#get(path, '*/*')
    const what = this.#what(path)
    const checked = async function* (): AsyncGenerator<Buffer> {
      const hash = createHash('sha256')
      for await (const chunk of chunks({ response, pace }, maxBytes, what)) {
        hash.update(chunk)
        yield chunk
      }
      if (`sha256:${hash.digest('hex')}` === digest) return
      throw new UserError('data_damaged', `${what} does not have the digest that it is named by`)
    }
    const stream = Readable.from(checked(), { objectMode: false })
    // Whoever does not want the rest does not wait for it.
    return stream.once('close', () => pace.stop())
  }

  #what(path: string): string {
    const { host, repository } = this.#o.remote
    return `'${repository}/${path}' of the registry '${host}'`
  }

  async #get(path: string, accept: string): Promise<Answer> {
    const { base, repository } = this.#o.remote
    const url = new URL(`${base}/v2/${repository}/${path}`)
    let answer = await this.#follow(url, accept, this.#authorization)
    if (answer.response.status === 401) {
      const challenges = parseChallenges(answer.response.headers.get('www-authenticate') ?? '')
      answer.pace.stop()
      this.#authorization = await this.#authorize(challenges)
      answer = await this.#follow(url, accept, this.#authorization)
    }
    const { status } = answer.response
    if (status === 200) return answer
    answer.pace.stop()
    if (status === 401 || status === 403) {
      throw new UserError('forbidden', `${this.#what(path)} may not be had (${status})`)
    }
    if (status === 404) throw new UserError('not_found', `there is no ${this.#what(path)}`)
    const code = status === 429 ? 'too_many_requests' : 'unavailable'
    throw new UserError(code, `${this.#what(path)} could not be had: it answered ${status}`)
  }

  /** As far as it may. Only who asked for an authorization gets it. */
  async #follow(first: URL, accept: string, authorization?: string): Promise<Answer> {
    let url = first
    for (let i = 0; i <= MAX_REDIRECTS; i++) {
      const answer = await this.#ask(url, accept, url.origin === first.origin && authorization)
      const location = answer.response.headers.get('location')
      if (!REDIRECTS.has(answer.response.status) || location === null) return answer
      answer.pace.stop()
      if (!URL.canParse(location, url.href)) break
      url = new URL(location, url)
      this.#checkSafe(url)
    }
    throw new UserError('unavailable', `the registry '${first.host}' redirects to nowhere`)
  }

  #checkSafe(url: URL): void {
    if (url.protocol === 'https:' || (url.protocol === 'http:' && !this.#o.remote.isSecure)) return
    const { host } = this.#o.remote
    throw new UserError('unavailable', `the registry '${host}' leads to '${url.host}', without TLS`)
  }

  async #ask(url: URL, accept: string, authorization?: string | false): Promise<Answer> {
    const pace = new Pace(this.#o.limits, this.#o.stop)
    try {
      const response = await fetch(url, {
        redirect: 'manual',
        signal: pace.signal,
        headers: {
          accept,
          'accept-encoding': 'identity',
          'user-agent': 'mesos-agent',
          ...(authorization && { authorization }),
        },
      })
      return { response, pace }
    } catch (error) {
      throw pace.reason(`the registry '${url.host}'`, error)
    }
  }

  /** What to say to a registry that asked who we are. */
  async #authorize(challenges: readonly Challenge[]): Promise<string> {
    const { remote, credentials } = this.#o
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
    if (!bearer) {
      const isBasic = challenges.some(({ scheme }) => scheme === 'basic')
      if (isBasic && credentials !== undefined) return `Basic ${credentials}`
      const why = isBasic ? 'and there are none for it' : 'in a way that is not known'
      throw new UserError(
        'unauthenticated',
        `the registry '${remote.host}' wants credentials, ${why}`,
      )
    }
    const { realm = '', service, scope = `repository:${remote.repository}:pull` } = bearer.params
    if (!URL.canParse(realm)) {
      throw new UserError('unauthenticated', `the registry '${remote.host}' names no realm`)
    }
    const url = new URL(realm)
    this.#checkSafe(url)
    if (service !== undefined) url.searchParams.set('service', service)
    url.searchParams.set('scope', scope)
    const basic = credentials === undefined ? undefined : `Basic ${credentials}`
    const answer = await this.#follow(url, 'application/json', basic)
    const { status } = answer.response
    if (status !== 200) {
      answer.pace.stop()
      throw new UserError('unauthenticated', `'${url.host}' gave no token: it answered ${status}`)
    }
    const bytes = await whole(answer, MAX_TOKEN, `the token of '${url.host}'`)
    return `Bearer ${tokenIn(jsonOf(bytes, `the token of '${url.host}'`))}`
  }
}

function jsonOf(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    throw new UserError('invalid_value', `${what} is no JSON`)
  }
}

async function whole(answer: Answer, maxBytes: number, what: string): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of chunks(answer, maxBytes, what)) parts.push(chunk)
  return Buffer.concat(parts)
}

async function* chunks(
  { response, pace }: Answer,
  maxBytes: number,
  what: string,
): AsyncGenerator<Buffer> {
  let bytes = 0
  try {
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (bytes > maxBytes) {
        throw new UserError('too_large', `${what} is larger than ${maxBytes} bytes`)
      }
      pace.moved(chunk.length)
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    }
  } catch (error) {
    throw pace.reason(what, error)
  } finally {
    pace.stop()
  }
}

/** Ends a request that does not get on, or is not wanted any more. */
class Pace {
  readonly #limits: RegistryLimits
  readonly #own = new AbortController()
  readonly #given: AbortSignal
  readonly signal: AbortSignal
  #timer: NodeJS.Timeout
  #bytes = 0
  #isStalled = false

  constructor(limits: RegistryLimits, stop: AbortSignal) {
    this.#limits = limits
    this.#given = stop
    this.signal = AbortSignal.any([stop, this.#own.signal])
    this.#timer = this.#start()
  }

  #start(): NodeJS.Timeout {
    return setTimeout(() => {
      this.#isStalled = true
      this.#own.abort()
    }, this.#limits.stallMs)
  }

  moved(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes < this.#limits.leastBytes) return
    this.#bytes = 0
    clearTimeout(this.#timer)
    this.#timer = this.#start()
  }

  /** Closes what is left of the connection. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#own.abort()
  }

  /** Why it failed, in words. */
  reason(what: string, error: unknown): UserError {
    clearTimeout(this.#timer)
    if (error instanceof UserError) return error
    if (this.#given.aborted) return new UserError('unavailable', 'It is not wanted any more.')
    const { cause } = error as { cause?: unknown }
    const why = this.#isStalled
      ? `too little came in ${this.#limits.stallMs / 1000} s`
      : cause instanceof Error && cause.message !== ''
        ? cause.message
        : messageOf(error)
    return new UserError('unavailable', `${what} could not be had: ${why}`, { cause: error })
  }
}
