// The values of flags that an agent acts upon while it runs.

/** Times in milliseconds. */
export interface AgentSettings {
  readonly registrationBackoffMs: number
  readonly executorRegistrationTimeoutMs: number
  readonly executorShutdownGraceMs: number
}

export const DEFAULT_SETTINGS: AgentSettings = {
  registrationBackoffMs: 1_000,
  executorRegistrationTimeoutMs: 60_000,
  executorShutdownGraceMs: 5_000,
}
