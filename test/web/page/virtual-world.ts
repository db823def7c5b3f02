// The page's world under a test's hand: time moves when told, and the test is the master.

import type { Reply, Timer, World } from '../../../src/web/page/world.ts'

export type Answer = (path: string, headers: Readonly<Record<string, string>>) => Promise<Reply>

/** Rejects as `fetch` does when nobody answers. */
export const unreachable: Answer = () => Promise.reject(new TypeError('Failed to fetch'))

export class VirtualWorld implements World {
  answer: Answer = unreachable
  /** Every path asked for, in order. */
  readonly asked: string[] = []
  #nowMs = 1_795_337_500_000
  #timers: { readonly atMs: number; readonly fn: () => void }[] = []

  now(): number {
    return this.#nowMs
  }

  delay(ms: number, fn: () => void): Timer {
    const timer = { atMs: this.#nowMs + ms, fn }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter(other => other !== timer)
      },
    }
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    this.asked.push(path)
    return this.answer(path, headers)
  }

  get pendingTimers(): number {
    return this.#timers.length
  }

  /** Runs all that is ready, then lets time pass, timer by timer. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    await settle()
    for (let next = this.#due(endMs); next; next = this.#due(endMs)) {
      this.#timers = this.#timers.filter(other => other !== next)
      this.#nowMs = next.atMs
      next.fn()
      await settle()
    }
    this.#nowMs = endMs
  }

  #due(endMs: number) {
    const [next] = this.#timers.filter(timer => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)
    return next
  }
}

/** An immediate comes after every promise continuation that is ready. */
export function settle(): Promise<void> {
  return new Promise(done => setImmediate(done))
}

export function reply(status: number, body: unknown, more: Partial<Reply> = {}): Reply {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return {
    status,
    etag: undefined,
    serverTimeMs: undefined,
    json: async () => JSON.parse(text) as unknown,
    text: async () => text,
    ...more,
  }
}
