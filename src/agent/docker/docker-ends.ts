// How Docker's containers end: by themselves or killed, and what Docker says of it. Docker may be slow, stopped or restarted
// meanwhile; it is asked until it answers.

import type { Clock } from '../../actors/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import { memoryBytes } from '../containerizer/cgroup-values.ts'
import type { Amounts, Limitation } from '../containerizer/container.ts'
import type { KillSignal } from '../processes.ts'
import { exitedWith } from '../wait-status.ts'
import { killDirectly, startOf } from './docker-cgroups.ts'
import type { DockerCommand } from './docker-command.ts'
import { type DockerState, messageIn } from './docker-state.ts'

const FIRST_AGAIN_MS = 200
const MAX_AGAIN_MS = 5_000
const KILL_TIMEOUT_MS = 10_000
const MB = 2 ** 20
/** The exit status of one that SIGKILL ended. */
const KILLED = exitedWith(137)

export interface DockerContainer {
  readonly id: string
  readonly name: string
  /** Of the command that is attached to it. */
  readonly pid: number
  /** Its own first process, and when that began. */
  readonly first: number
  readonly firstStart: string | undefined
  readonly stopSignal: string
  resources: Amounts
  limits: Partial<Amounts>
  kill: KillSignal | undefined
  limitation: Limitation | undefined
}

export interface DockerEndsOptions {
  readonly docker: DockerCommand
  /** Rejects if Docker does not answer. */
  readonly inspect: (name: string) => Promise<DockerState | undefined>
  readonly clock: Clock
  readonly log: Logger
  readonly isClosed: () => boolean
}

export class DockerEnds {
  readonly #o: DockerEndsOptions
  readonly #ended = new WeakSet<DockerContainer>()

  constructor(options: DockerEndsOptions) {
    this.#o = options
  }

  /** Resolves with its wait status when it has ended. `ofClient`: how the command that was attached did. Never, if the agent ends. */
  async of(container: DockerContainer, ofClient: number): Promise<number> {
    const { inspect, isClosed, log } = this.#o
    let isSecondLook = false
    for (let waitMs = FIRST_AGAIN_MS; ; waitMs = Math.min(2 * waitMs, MAX_AGAIN_MS)) {
      if (isClosed()) return new Promise<number>(() => {})
      let state: DockerState | undefined
      try {
        state = await inspect(container.name)
      } catch (error) {
        log.warn(
          { container: container.name, error: messageOf(error) },
          'Docker does not tell how a container ended',
        )
        await this.#pause(waitMs)
        continue
      }
      if (isClosed()) return new Promise<number>(() => {})
      if (state?.isRunning) {
        // Its command was killed, or lost Docker: the container goes on.
        await this.#pause(waitMs)
        continue
      }
      // Docker may hear of the lack of memory after the end.
      const isDubious = state?.waitStatus === KILLED && !state.isOutOfMemory && !container.kill
      if (isDubious && !isSecondLook) {
        isSecondLook = true
        await this.#pause(FIRST_AGAIN_MS)
        continue
      }
      this.#ended.add(container)
      if (state?.isOutOfMemory) container.limitation = exceeded(container)
      return state?.waitStatus ?? ofClient
    }
  }

  kill(container: DockerContainer, signal: KillSignal): void {
    if (container.kill === 'SIGKILL' || container.kill === signal) return
    container.kill = signal
    void this.#send(container, signal, FIRST_AGAIN_MS)
  }

  /** Until Docker has taken it, or something stronger is sent. */
  async #send(container: DockerContainer, signal: KillSignal, againMs: number): Promise<void> {
    const { docker, isClosed, log } = this.#o
    const { name, first, firstStart, stopSignal } = container
    const text = signal === 'SIGTERM' ? stopSignal : 'KILL'
    const { ok, stderr } = await docker.run(['kill', `--signal=${text}`, '--', name], {
      timeoutMs: KILL_TIMEOUT_MS,
    })
    if (ok || this.#ended.has(container) || isClosed() || container.kill !== signal) return
    const hasGone = firstStart !== undefined && startOf(first) !== firstStart
    if (hasGone) return
    log.warn({ container: name, error: messageIn(stderr) }, 'Docker could not kill a container')
    // All of a container ends with its first process, whether Docker sees it or not.
    if (signal === 'SIGKILL') killDirectly(first, firstStart)
    await this.#pause(againMs)
    return this.#send(container, signal, Math.min(2 * againMs, MAX_AGAIN_MS))
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => this.#o.clock.delay(ms, resolve))
  }
}

function exceeded({ resources, limits }: DockerContainer): Limitation {
  const mb = Math.round(memoryBytes(limits.memMb ?? resources.memMb) / MB)
  const has = Number.isFinite(mb) ? `${mb}MB` : 'unlimited'
  return {
    reason: 'REASON_CONTAINER_LIMITATION_MEMORY',
    message: `Memory limit exceeded: Requested: ${has}; Docker reports that its container ran out of memory`,
    resources: Number.isFinite(mb) ? [{ name: 'mem', type: 'SCALAR', scalar: { value: mb } }] : [],
  }
}
