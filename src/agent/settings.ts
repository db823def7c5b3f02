// The values of flags that an agent acts upon while it runs.

/** Times in milliseconds. */
export interface AgentSettings {
  readonly registrationBackoffMs: number
  readonly executorRegistrationTimeoutMs: number
  readonly executorReregistrationTimeoutMs: number
  readonly executorShutdownGraceMs: number
  readonly recoveryTimeoutMs: number
  /** `--docker_stop_timeout`. */
  readonly dockerStopTimeoutMs?: number
}

export const DEFAULT_SETTINGS: AgentSettings = {
  registrationBackoffMs: 1_000,
  executorRegistrationTimeoutMs: 60_000,
  executorReregistrationTimeoutMs: 2_000,
  executorShutdownGraceMs: 5_000,
  recoveryTimeoutMs: 15 * 60_000,
}
