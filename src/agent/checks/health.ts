// What the results of a health check mean, one after the other. Pure.

/** How a health check stands. */
export interface HealthState {
  /** In a row, those of the grace period left out. */
  readonly failures: number
  /** What was said last; undefined: nothing yet. */
  readonly healthy: boolean | undefined
}

export const UNKNOWN_HEALTH: HealthState = { failures: 0, healthy: undefined }

export interface HealthRule {
  /** So many failures in a row end the task. */
  readonly consecutiveFailures: number
}

export interface HealthReport {
  readonly healthy: boolean
  /** The task is to be killed for it. */
  readonly kills: boolean
}

/**
 * After one more result. `inGrace`: the task began only a moment ago, and may fail until it has been healthy once. Health is reported
 * when it changes, failures each time.
 */
export function afterResult(
  { failures, healthy }: HealthState,
  succeeded: boolean,
  inGrace: boolean,
  { consecutiveFailures }: HealthRule,
): { readonly state: HealthState; readonly report: HealthReport | undefined } {
  if (succeeded) {
    const report = healthy === true ? undefined : { healthy: true, kills: false }
    return { state: { failures: 0, healthy: true }, report }
  }
  if (inGrace && healthy === undefined) return { state: { failures, healthy }, report: undefined }
  const now = failures + 1
  return {
    state: { failures: now, healthy: false },
    report: { healthy: false, kills: now >= consecutiveFailures },
  }
}
