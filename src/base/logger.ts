// The log of a real process: lines of text for people, or pino's JSON for machines, written before the call returns.
// A world file: it reads the system's clock and writes to standard error.

import { writeSync } from 'node:fs'
import { type Logger as Pino, pino, stdSerializers } from 'pino'
import {
  type LogBindings,
  type LogLevel,
  type LogMethod,
  type LogThreshold,
  type Logger,
} from './log.ts'
import { fieldsOf, logs } from './log.ts'
import { fieldText, headText, recordText } from './log-text.ts'

/** Where lines go; each ends with a newline. */
export interface LogDestination {
  write(line: string): void
}

export interface LoggerOptions {
  readonly level: LogThreshold
  readonly format: 'text' | 'json'
  /** The program; stands for the actor's name where no actor speaks. */
  readonly name: string
  /** Default: standard error, synchronously, so that the last words before a crash are not lost. */
  readonly destination?: LogDestination
  /** Milliseconds since the epoch; a fraction gives microseconds. Default: the system's clock. */
  readonly now?: () => number
}

/**
 * A log on one destination. Text is one line a record in the form of glog, which operators of Mesos read and grep:
 * `I1123 05:53:02.123456 master: agent registered agent_id=S1 pid=slave(1)@10.0.0.7:5051`; an error's stack
 * follows, indented. JSON is pino's: `{"level":30,"time":…,"name":…,"actor":…,…,"msg":…}`.
 */
export function createLogger(options: LoggerOptions): Logger {
  const { level, format, name, destination = standardError } = options
  const now = options.now ?? (() => performance.timeOrigin + performance.now())
  const threshold = { level }
  if (format === 'text') return textLogger({ threshold, name, destination, now }, {})
  const json = pino(
    {
      // All of them: the threshold, which may change, is asked before.
      level: 'debug',
      name,
      // No `pid`: in this program that word is an actor's address.
      base: {},
      timestamp: () => `,"time":${Math.floor(now())}`,
      formatters: { log: withErrors },
      // Done by `withErrors`; twice would take the result for an ordinary object.
      serializers: { err: (value: unknown) => value },
    },
    destination,
  )
  return jsonLogger(json, threshold)
}

/** Of a log and all its children. */
interface Threshold {
  level: LogThreshold
}

interface TextSink {
  readonly threshold: Threshold
  readonly name: string
  readonly destination: LogDestination
  readonly now: () => number
}

function textLogger(sink: TextSink, bindings: LogBindings): Logger {
  const { actor, ...rest } = bindings
  const speaker = actor ?? sink.name
  // A child's bindings never change, so their text is made once.
  const bound = Object.entries(rest)
    .map(([key, value]) => fieldText(key, value))
    .join('')
  const method = (level: LogLevel): LogMethod => {
    return (...[first, second]: readonly [object, string] | readonly [string, undefined?]) => {
      if (!logs(sink.threshold.level, level)) return
      const head = headText(level, new Date(sink.now()), sink.now(), speaker)
      sink.destination.write(recordText(head, second ?? first, bound, fieldsOf(first)))
    }
  }
  return {
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    get level() {
      return sink.threshold.level
    },
    setLevel: to => {
      sink.threshold.level = to
    },
    child: more => textLogger(sink, { ...bindings, ...more }),
  }
}

function jsonLogger(json: Pino, threshold: Threshold): Logger {
  const method = (level: LogLevel): LogMethod => {
    return (...record: readonly unknown[]) => {
      if (logs(threshold.level, level)) Reflect.apply(json[level], json, record)
    }
  }
  return {
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    get level() {
      return threshold.level
    },
    setLevel: level => {
      threshold.level = level
    },
    child: bindings => jsonLogger(json.child(bindings), threshold),
  }
}

/** An `Error` has no enumerable fields and would be written as `{}`, whatever field it is in. */
function withErrors(fields: object): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(fields)) {
    out[key] = value instanceof Error ? stdSerializers.err(value) : value
  }
  return out
}

const STDERR = 2
const FULL_PIPE_WAIT_MS = 5
const FULL_PIPE_WAITS = 200

/**
 * Writes with the system call itself. A pipe that stays full for a second loses the line: a reader that hangs must
 * not hang the cluster. Until it reads again the lines that follow are lost without any wait, and counted: how many they
 * were is the first thing that it reads then. A reader that is gone (EPIPE) or a full disk loses lines as well, and
 * the program goes on.
 */
export class PipeDestination implements LogDestination {
  readonly #write: (bytes: Uint8Array) => number
  readonly #wait: () => void
  #lost = 0
  /** The end of a line of which the beginning was written. */
  #broken = false

  /** `write` is the system's; `wait` returns a moment later. */
  constructor(write: (bytes: Uint8Array) => number, wait: () => void) {
    this.#write = write
    this.#wait = wait
  }

  write(line: string): void {
    const lost = this.#lost
    if (lost > 0) {
      const gap = `${this.#broken ? '\n' : ''}(${lost} lines were lost: nobody read them)\n`
      if (this.#put(gap, 0) !== 'written') return void this.#lost++
      this.#lost = 0
      this.#broken = false
    }
    if (this.#put(line, FULL_PIPE_WAITS) === 'full') this.#lost++
  }

  #put(text: string, waits: number): 'written' | 'full' | 'failed' {
    let rest: Uint8Array = Buffer.from(text)
    const { length } = rest
    for (let left = waits; rest.length > 0; left--) {
      try {
        rest = rest.subarray(this.#write(rest))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return 'failed'
        if (left <= 0) {
          this.#broken ||= rest.length < length
          return 'full'
        }
        this.#wait()
      }
    }
    return 'written'
  }
}

const standardError = new PipeDestination(
  bytes => writeSync(STDERR, bytes),
  () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_WAIT_MS),
)
