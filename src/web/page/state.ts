// What the master's `GET /state` says, as far as the page reads it (Mesos' own JSON, so field names
// are Mesos'). Times are seconds since the epoch with a fraction, 0 when they never were; memory
// and disk are MB.

/**
 * Amounts by name: numbers for scalars, text such as `[31000-32000]` for ranges and `{a, b}` for
 * sets.
 */
export interface Resources {
  readonly cpus?: number
  readonly gpus?: number
  readonly mem?: number
  readonly disk?: number
  readonly ports?: string
}

export interface Status {
  readonly state: string
  readonly timestamp: number
  readonly message?: string
  readonly reason?: string
  readonly source?: string
  readonly healthy?: boolean
  readonly container_status?: { readonly container_id?: { readonly value: string } }
}

export interface Task {
  readonly id: string
  readonly name: string
  readonly framework_id: string
  /** Empty for a command task: its executor then has the task's id. */
  readonly executor_id: string
  readonly slave_id: string
  readonly state: string
  readonly resources: Resources
  readonly role?: string
  readonly statuses?: readonly Status[]
  readonly user?: string
  readonly labels?: readonly { readonly key: string; readonly value?: string }[]
}

export interface Offer {
  readonly id: string
  readonly framework_id: string
  readonly slave_id: string
  readonly allocation_info?: { readonly role?: string }
  readonly resources: Resources
}

export interface Framework {
  readonly id: string
  readonly name: string
  readonly hostname?: string
  readonly webui_url?: string
  readonly user?: string
  readonly principal?: string
  readonly role?: string
  readonly roles?: readonly string[]
  readonly active: boolean
  readonly connected?: boolean
  readonly recovered?: boolean
  readonly failover_timeout?: number
  readonly registered_time?: number
  readonly reregistered_time?: number
  readonly unregistered_time?: number
  readonly used_resources?: Resources
  readonly offered_resources?: Resources
  readonly tasks?: readonly Task[]
  readonly unreachable_tasks?: readonly Task[]
  readonly completed_tasks?: readonly Task[]
  readonly offers?: readonly Offer[]
}

export interface Agent {
  readonly id: string
  readonly hostname: string
  readonly port?: number
  readonly pid?: string
  readonly attributes?: Readonly<Record<string, string | number>>
  readonly registered_time?: number
  readonly reregistered_time?: number
  readonly resources: Resources
  readonly used_resources?: Resources
  readonly offered_resources?: Resources
  readonly active: boolean
  readonly deactivated?: boolean
  readonly drain_info?: { readonly state?: string }
  readonly version?: string
}

/** What was written to the registry at one position. Texts, to be shown as they are. */
export interface PastOperation {
  readonly what: string
  /** Who caused it, and why. */
  readonly who: string
  /** False: written, but not known to be chosen. */
  readonly learned: boolean
  readonly changes: readonly string[]
  readonly more_changes: number
}

/** An agent of which the registry remembers only since when it is away. */
export interface Departed {
  readonly id: string
  readonly time_ms: number
}

/** Which moment a state is of, when it is not the present one: `mesos-log replay --serve`. */
export interface Past {
  readonly directory: string
  /** The positions of the log that are known. */
  readonly first: number
  readonly last: number
  readonly position: number
  /** The last position up to there at which the registry was written, and when. */
  readonly written_at: number
  readonly time_ms: number
  readonly operations: readonly PastOperation[]
  readonly more_operations: number
  readonly unreachable: readonly Departed[]
  readonly gone: readonly Departed[]
}

export interface ClusterState {
  readonly version: string
  readonly id: string
  readonly start_time: number
  readonly elected_time?: number
  readonly cluster?: string
  readonly leader?: string
  readonly leader_info?: { readonly hostname: string; readonly port: number }
  readonly unreachable_slaves?: number
  readonly slaves: readonly Agent[]
  /** Agents of the registry that have not come back since the master started. */
  readonly recovered_slaves?: readonly { readonly id: string; readonly hostname: string }[]
  readonly frameworks: readonly Framework[]
  readonly completed_frameworks?: readonly Framework[]
  /** Present if this is not the cluster as it is, but its registry as it was. */
  readonly past?: Past
}

/** `host:port` of the leading master, as one types it after `--master=`. */
export function leaderAddress(state: ClusterState, fallback: string): string {
  if (state.leader_info) return `${state.leader_info.hostname}:${state.leader_info.port}`
  return state.leader?.split('@')[1] ?? fallback
}
