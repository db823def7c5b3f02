// The last of what happened in a simulated world, kept as it came and written out only if somebody asks.

import { BoundedRing } from '../base/bounded-ring.ts'
import { fieldsOf, type Logger, type LogLevel, type LogMethod } from '../base/log.ts'

interface Entry {
  readonly atMs: number
  readonly text: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** A logger, and a place for notes of other kinds; the last `capacity` of both together are kept. */
export class Transcript {
  readonly #entries: BoundedRing<Entry>
  #startMs: number | undefined
  /** Shows the world's time; the world is made with the logger, so it comes later. */
  now: () => number = () => 0
  /** Sees each entry as it comes. */
  watch: (text: string, fields: Readonly<Record<string, unknown>>) => void = () => {}

  constructor(capacity: number) {
    this.#entries = new BoundedRing(capacity)
  }

  note(text: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const atMs = this.now()
    this.#startMs ??= atMs
    this.#entries.push({ atMs, text, fields })
    this.watch(text, fields)
  }

  /** One line each, with milliseconds since the first event of the run. */
  lines(): string[] {
    return [...this.#entries].map(({ atMs, text, fields }) => {
      const ms = (atMs - this.#startMs!).toFixed(1).padStart(10)
      const more = Object.keys(fields).length > 0 ? ` ${JSON.stringify(fields)}` : ''
      return `${ms} ${text}${more}`
    })
  }

  logger(level: 'debug' | 'info'): Logger {
    const make = (bindings: Readonly<Record<string, unknown>>): Logger => {
      const method =
        (at: LogLevel): LogMethod =>
        (...[first, second]: readonly [object, string] | readonly [string, undefined?]) => {
          const { host, actor, ...fields } = { ...bindings, ...fieldsOf(first) } as Record<
            string,
            unknown
          >
          this.note(`${at} ${String(host)} ${String(actor)}: ${second ?? first}`, fields)
        }
      return {
        debug: level === 'debug' ? method('debug') : () => {},
        info: method('info'),
        warn: method('warn'),
        error: method('error'),
        level,
        child: more => make({ ...bindings, ...more }),
      }
    }
    return make({})
  }
}
