// Containers that have ended stay with Docker for a while; then many are removed at once.

import type { Clock } from '../../actors/clock.ts'
import type { Logger } from '../../base/log.ts'
import type { DockerCommand } from './docker-command.ts'
import { messageIn, saysNothingThere } from './docker-state.ts'

/** Names in one command. */
const AT_ONCE = 50
/** What Docker could not remove it is asked about again. */
const AGAIN_MS = 60_000

export interface RemovalsOptions {
  readonly docker: DockerCommand
  readonly delayMs: number
  readonly clock: Clock
  readonly log: Logger
}

export class Removals {
  readonly #o: RemovalsOptions
  /** In the order of their times. */
  readonly #due: { readonly atMs: number; readonly name: string }[] = []
  #isWaiting = false
  #isClosed = false

  constructor(options: RemovalsOptions) {
    this.#o = options
  }

  add(name: string, delayMs: number = this.#o.delayMs): void {
    const atMs = this.#o.clock.now() + delayMs
    const before = this.#due.findLastIndex(each => each.atMs <= atMs)
    this.#due.splice(before + 1, 0, { atMs, name })
    this.#wait()
  }

  close(): void {
    this.#isClosed = true
  }

  #wait(): void {
    const [first] = this.#due
    if (this.#isWaiting || !first || this.#isClosed) return
    this.#isWaiting = true
    const { clock } = this.#o
    clock.delay(Math.max(0, first.atMs - clock.now()), () => void this.#remove())
  }

  async #remove(): Promise<void> {
    const { clock, docker, log } = this.#o
    const later = this.#due.findIndex(({ atMs }) => atMs > clock.now())
    const count = Math.min(AT_ONCE, later === -1 ? this.#due.length : later)
    const names = this.#due.splice(0, count).map(({ name }) => name)
    if (names.length > 0 && !this.#isClosed) {
      const { ok, stdout, stderr } = await docker.run([
        'rm',
        '--force',
        '--volumes',
        '--',
        ...names,
      ])
      const left = ok ? [] : names.filter(name => !isGone(name, stdout, stderr))
      if (left.length > 0 && !this.#isClosed) {
        const fields = { names: left, error: messageIn(stderr) }
        log.warn(fields, 'containers could not be removed from Docker; tried again')
        for (const name of left) this.add(name, AGAIN_MS)
      }
    }
    this.#isWaiting = false
    this.#wait()
  }
}

/** It says the name of each that it removed, and of each that it does not have. */
const isGone = (name: string, stdout: string, stderr: string): boolean =>
  stdout.split('\n').includes(name) ||
  stderr.split('\n').some(line => saysNothingThere(line) && line.trim().endsWith(` ${name}`))
