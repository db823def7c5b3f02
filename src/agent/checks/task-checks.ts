// The checks of one task: asks at their pace while it runs, and says when its health or its check's result is news.
//
// A check whose answer does not come in time, counted from when it is its turn, has failed; the next one begins an interval after
// that. Nothing is asked any
// more once the task is to end.

import type { Clock, Timer } from '../../actors/clock.ts'
import type { CheckStatusInfo } from '../../messages/check.ts'
import type { TaskStatus } from '../../messages/status.ts'
import type { TaskInfo } from '../../messages/task.ts'
import { afterResult, type HealthState, UNKNOWN_HEALTH } from './health.ts'
import {
  checkProbe,
  checkStatus,
  failuresOf,
  graceMsOf,
  healthProbe,
  isHealthy,
  type Pace,
  paceOf,
  type Probe,
  type ProbeResult,
} from './probe.ts'
import type { Probed, Probes } from './probes.ts'

export interface TaskChecksOptions {
  readonly task: Pick<TaskInfo, 'check' | 'health_check'>
  readonly probed: Probed
  readonly probes: Probes
  readonly clock: Pick<Clock, 'now' | 'delay'>
  /** Waits for a promise as its owner does, and goes on in its turn. */
  readonly resume: <T>(promise: Promise<T>) => Promise<T>
  /** Its health was found out. `kills`: it is to be killed for that. */
  readonly onHealth: (kills: boolean) => void
  /** Its check has another result. */
  readonly onCheck: () => void
  /** What was said of it last by an agent before this one. */
  readonly before?: Pick<TaskStatus, 'healthy' | 'check_status'> | undefined
}

export class TaskChecks {
  readonly #o: TaskChecksOptions
  readonly #stop = new AbortController()
  readonly #timers = new Set<Timer>()
  #health: HealthState
  #checked: CheckStatusInfo | undefined

  constructor(options: TaskChecksOptions) {
    this.#o = options
    const { task, before } = options
    this.#health = { ...UNKNOWN_HEALTH, healthy: task.health_check && before?.healthy }
    this.#checked = task.check && (before?.check_status ?? checkStatus(task.check.type, undefined))
  }

  /** What every status of the task says of it. */
  get said(): Pick<TaskStatus, 'healthy' | 'check_status'> {
    const { healthy } = this.#health
    return {
      ...(healthy !== undefined && { healthy }),
      ...(this.#checked && { check_status: this.#checked }),
    }
  }

  /** `startedAtMs`: when the task began to run. */
  start(startedAtMs: number): void {
    const { check, health_check: health } = this.#o.task
    const healthy = health && healthProbe(health)
    if (health && healthy) {
      this.#repeat(healthy, paceOf(health), startedAtMs, result => {
        const sinceMs = this.#o.clock.now() - startedAtMs
        const rule = { consecutiveFailures: failuresOf(health) }
        const good = isHealthy(result, health)
        const { state, report } = afterResult(this.#health, good, sinceMs < graceMsOf(health), rule)
        this.#health = state
        if (report) this.#o.onHealth(report.kills)
      })
    }
    const probe = check && checkProbe(check)
    if (!check || !probe) return
    this.#repeat(probe, paceOf(check), startedAtMs, result => {
      const status = checkStatus(check.type, result)
      if (JSON.stringify(status) === JSON.stringify(this.#checked)) return
      this.#checked = status
      this.#o.onCheck()
    })
  }

  stop(): void {
    this.#stop.abort()
    for (const timer of this.#timers) this.#cancel(timer)
  }

  #repeat(
    probe: Probe,
    pace: Pace,
    startedAtMs: number,
    take: (result: ProbeResult | undefined) => void,
  ): void {
    const { clock } = this.#o
    const again = async (): Promise<void> => {
      const result = await this.#ask(probe, pace.timeoutMs)
      if (this.#stop.signal.aborted) return
      take(result)
      if (!this.#stop.signal.aborted) this.#in(pace.intervalMs, () => void again())
    }
    this.#in(Math.max(0, startedAtMs + pace.delayMs - clock.now()), () => void again())
  }

  async #ask(probe: Probe, timeoutMs: number): Promise<ProbeResult | undefined> {
    const { probes, probed, resume } = this.#o
    const stop = new AbortController()
    const abort = (): void => stop.abort()
    this.#stop.signal.addEventListener('abort', abort, { once: true })
    let timer: Timer | undefined
    const answered = new Promise<ProbeResult | undefined>(resolve => {
      // From when it is asked: that it had to wait for its turn is no fault of the task's.
      const begun = (): void => {
        if (!Number.isFinite(timeoutMs)) return
        timer = this.#in(timeoutMs, () => {
          abort()
          resolve(undefined)
        })
      }
      void probes.ask(probe, probed, stop.signal, begun).then(resolve)
    })
    const result = await resume(answered)
    if (timer) this.#cancel(timer)
    this.#stop.signal.removeEventListener('abort', abort)
    return result
  }

  #in(ms: number, act: () => void): Timer {
    const timer = this.#o.clock.delay(ms, () => {
      this.#timers.delete(timer)
      act()
    })
    this.#timers.add(timer)
    return timer
  }

  #cancel(timer: Timer): void {
    timer.cancel()
    this.#timers.delete(timer)
  }
}
