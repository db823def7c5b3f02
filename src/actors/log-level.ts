// `/logging/toggle`: says more in the log for a while, then what it said before.

import { parseDuration } from '../base/duration.ts'
import { messageOf } from '../base/errors.ts'
import type { LogThreshold, Logger } from '../base/log.ts'
import type { Clock, Timer } from './clock.ts'
import { type HttpRequest, type HttpResponse, text } from './http.ts'

/**
 * Mesos counts verbosity from 0, where nothing is said beyond `--logging_level`. Here every level above 0 is `debug`.
 */
export class LogLevel {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #original: LogThreshold
  readonly #originalVerbosity: number
  #verbosity: number
  #timer: Timer | undefined

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#clock = clock
    this.#original = log.level
    this.#originalVerbosity = log.level === 'debug' ? 1 : 0
    this.#verbosity = this.#originalVerbosity
  }

  /** Without parameters the verbosity in force; `?level=N&duration=15mins` sets it for so long. */
  toggle({ query }: HttpRequest): HttpResponse {
    const level = query.get('level')
    const duration = query.get('duration')
    if (level === null && duration === null) return text(200, `${this.#verbosity}\n`)
    if (duration === null) return text(400, "Expecting 'duration=value' in query.\n")
    if (level === null) return text(400, "Expecting 'level=value' in query.\n")
    if (!/^-?\d{1,9}$/.test(level)) return text(400, `Failed to convert '${level}' to a number.\n`)
    const verbosity = Number(level)
    if (verbosity < 0) return text(400, `Invalid level '${level}'.\n`)
    if (verbosity < this.#originalVerbosity) return text(400, `'${level}' < original level.\n`)
    let ms: number
    try {
      ms = parseDuration(duration)
    } catch (error) {
      return text(400, `${messageOf(error)}\n`)
    }
    if (!this.#log.setLevel) return text(501, 'The log level of this process is fixed.\n')
    this.#set(verbosity)
    this.#timer?.cancel()
    this.#timer = this.#clock.delay(ms, () => this.revert())
    return { status: 200 }
  }

  revert(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#verbosity !== this.#originalVerbosity) this.#set(this.#originalVerbosity)
  }

  #set(verbosity: number): void {
    if (verbosity !== this.#verbosity) {
      this.#log.info({ from: this.#verbosity, to: verbosity }, 'verbosity of the log changed')
    }
    this.#verbosity = verbosity
    this.#log.setLevel?.(verbosity > 0 ? 'debug' : this.#original)
  }
}
