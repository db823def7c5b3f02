// Appending to a log, and how long each append took.

import { randomBytes } from 'node:crypto'
import { Actor } from '../../actors/actor.ts'
import type { Pid } from '../../actors/pid.ts'
import type { Runtime } from '../../actors/runtime.ts'
import { type Deferred, deferred } from '../../base/deferred.ts'
import { UserError } from '../../base/errors.ts'
import { type Log, LogService, Reader, Writer } from '../../log/log.ts'
import { refuseRegistryIn } from './no-registry.ts'

export const fillings = ['zero', 'one', 'random'] as const
/** What is appended: bytes of which all bits are 0, or 1, or by chance. */
export type Filling = (typeof fillings)[number]

export interface Append {
  /** When it was begun, in milliseconds since the epoch. */
  readonly atMs: number
  readonly bytes: number
  readonly tookMs: number
}

/** What `appendAll` needs of a log. */
export interface Appender {
  /** Rejects if another writes now. */
  append(bytes: Uint8Array): Promise<number>
}

/** So many entries at the end are looked at before anything is appended. */
const LOOKED_AT = 100

/** Elected to write. Resolves when it is; rejects if the log holds a master's registry. */
export async function openWriter(runtime: Runtime, log: Log): Promise<Appender> {
  const writer = new WritingActor(runtime.spawn(log, 'log(1)'))
  runtime.spawn(writer)
  await writer.ready.promise
  return writer
}

class WritingActor extends Actor implements Appender {
  override readonly idPrefix = 'benchmark'
  readonly serves = []
  readonly ready: Deferred<void> = deferred()
  readonly #log: Pid
  #writer!: Writer
  #failure: Deferred<never> = deferred()

  constructor(log: Pid) {
    super()
    this.#log = log
    // Whoever waits for an append hears of it; before that nobody may.
    this.#failure.promise.catch(() => {})
  }

  protected override async initialize(): Promise<void> {
    this.link(this.#log)
    const log = this.ref(LogService, this.#log)
    this.#writer = new Writer(log)
    try {
      let end: number | undefined
      while (end === undefined) end = await this.#writer.start()
      const reader = new Reader(log)
      const begin = await reader.beginning()
      const from = Math.max(begin, end - LOOKED_AT + 1)
      if (from <= end) refuseRegistryIn(await reader.read(from, end))
      this.ready.resolve()
    } catch (error) {
      this.ready.reject(error)
    }
  }

  protected override exited(): void {
    const error = new UserError('store_failed', 'The log has ended: its disk failed.')
    this.ready.reject(error)
    this.#failure.reject(error)
  }

  async append(bytes: Uint8Array): Promise<number> {
    const position = await Promise.race([this.#writer.append(bytes), this.#failure.promise])
    if (position !== undefined) return position
    throw new UserError('conflict', 'Another process was elected to write to the log.', {
      hint: 'Run one benchmark of a log at a time.',
    })
  }
}

export interface Load {
  readonly sizes: readonly number[]
  readonly type: Filling
  /** So many are under way at a time. */
  readonly outstanding: number
}

/** In the order in which they were begun. */
export async function appendAll(
  appender: Appender,
  { sizes, type, outstanding }: Load,
): Promise<readonly Append[]> {
  const appends: Append[] = []
  let next = 0
  const work = async (): Promise<void> => {
    while (next < sizes.length) {
      const index = next++
      const bytes = fill(type, sizes[index]!)
      const atMs = performance.timeOrigin + performance.now()
      const startMs = performance.now()
      await appender.append(bytes)
      appends[index] = { atMs, bytes: bytes.length, tookMs: performance.now() - startMs }
    }
  }
  await Promise.all(Array.from({ length: Math.min(outstanding, sizes.length) }, work))
  return appends
}

function fill(type: Filling, size: number): Uint8Array {
  if (type === 'random') return randomBytes(size)
  return new Uint8Array(size).fill(type === 'one' ? 0xff : 0)
}
