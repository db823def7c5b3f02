// Containers that have ended stay with Docker for a while; then many are removed at once.

import type { Clock } from '../../actors/clock.ts'
import type { Logger } from '../../base/log.ts'
import type { DockerCommand } from './docker-command.ts'
import { messageIn, saysNothingThere } from './docker-state.ts'

/** Names in one command. */
const AT_ONCE = 50

export interface RemovalsOptions {
  readonly docker: DockerCommand
  readonly delayMs: number
  readonly clock: Clock
  readonly log: Logger
}

export class Removals {
  readonly #o: RemovalsOptions
  /** In the order of their times, since all wait equally long. */
  readonly #due: { readonly atMs: number; readonly name: string }[] = []
  #isWaiting = false
  #isClosed = false

  constructor(options: RemovalsOptions) {
    this.#o = options
  }

  add(name: string): void {
    const { clock, delayMs } = this.#o
    this.#due.push({ atMs: clock.now() + delayMs, name })
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
      const { ok, stderr } = await docker.run(['rm', '--force', '--volumes', '--', ...names])
      if (!ok && !saysNothingThere(stderr) && !this.#isClosed) {
        log.warn({ names, error: messageIn(stderr) }, 'containers could not be removed from Docker')
      }
    }
    this.#isWaiting = false
    this.#wait()
  }
}
