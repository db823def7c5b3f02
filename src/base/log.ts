// What every actor may ask of a log, and the two logs that touch nothing: one that is silent, one that remembers.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/**
 * Levels in order. 'silent' is above all of them: as a threshold it lets nothing through.
 */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogThreshold = (typeof LOG_LEVELS)[number]

/** One record: fields for machines, then a sentence for people. An `Error` may stand for the fields. */
export interface LogMethod {
  (fields: object, message: string): void
  (message: string): void
}

/** A structured log; `createLogger` in logger.ts makes the real one. */
export interface Logger {
  readonly debug: LogMethod
  readonly info: LogMethod
  readonly warn: LogMethod
  readonly error: LogMethod
  /** Records below it are dropped. Ask before computing fields that are costly. */
  readonly level: LogThreshold
  /** Changes the level of the whole log, from the next record on. Absent: the level is fixed. */
  setLevel?(level: LogThreshold): void
  /** A log that adds `bindings` to each record; `actor` names the speaker. */
  child(bindings: LogBindings): Logger
}

/** A field of several lines: as text they come below the record, indented; in JSON they are a list. */
export class LogLines {
  readonly lines: readonly string[]

  constructor(lines: readonly string[]) {
    this.lines = lines
  }

  toJSON(): readonly string[] {
    return this.lines
  }
}

export interface LogBindings {
  readonly actor?: string
  readonly [field: string]: unknown
}

export function logs(threshold: LogThreshold, level: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(threshold)
}

const nothing: LogMethod = () => {}

/** Drops everything. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  level: 'silent',
  child: () => silentLogger,
}

export interface LogRecord {
  readonly level: LogLevel
  readonly message: string
  /** The bindings of the child that spoke, then the fields of the record. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** A log that keeps its records (its children's as well) in `records`, in order, for a test to look at. */
export interface CollectingLogger extends Logger {
  readonly records: readonly LogRecord[]
  /** Messages at `level`, or all. */
  messages(level?: LogLevel): readonly string[]
}

export function collectingLogger(level: LogThreshold = 'debug'): CollectingLogger {
  const records: LogRecord[] = []
  const make = (bindings: Readonly<Record<string, unknown>>): Logger => {
    const method = (at: LogLevel): LogMethod => {
      if (!logs(level, at)) return nothing
      return (...[first, second]: readonly [object, string] | readonly [string, undefined?]) => {
        const fields = { ...bindings, ...fieldsOf(first) }
        records.push({ level: at, message: second ?? first, fields })
      }
    }
    return {
      debug: method('debug'),
      info: method('info'),
      warn: method('warn'),
      error: method('error'),
      level,
      child: more => make({ ...bindings, ...more }),
    }
  }
  return {
    ...make({}),
    records,
    messages: at => records.filter(r => at === undefined || r.level === at).map(r => r.message),
  }
}

/** The fields of a log call's first argument: an `Error` in their place becomes the field `err`. */
export function fieldsOf(first: object | string): Readonly<Record<string, unknown>> {
  if (typeof first === 'string') return {}
  return first instanceof Error ? { err: first } : (first as Readonly<Record<string, unknown>>)
}

/** To be spread into a record's fields: empty, or how many like it went unsaid since the last one. */
export interface Repeats {
  readonly suppressed?: number
}

/**
 * For what would otherwise be said again and again (a peer that does not answer): calls `say` at most once in
 * `everyMs`, and hands it the number of calls that were swallowed in between.
 *
 *     const sometimes = onceAWhile(() => clock.now(), seconds(30))
 *     sometimes(repeats => log.warn({ master, ...repeats }, 'no answer from the master'))
 */
export function onceAWhile(
  clockNow: () => number,
  everyMs: number,
): (say: (repeats: Repeats) => void) => void {
  let saidAt = Number.NEGATIVE_INFINITY
  let suppressed = 0
  return say => {
    const now = clockNow()
    if (now - saidAt < everyMs) {
      suppressed++
      return
    }
    const repeats = suppressed === 0 ? {} : { suppressed }
    saidAt = now
    suppressed = 0
    say(repeats)
  }
}
