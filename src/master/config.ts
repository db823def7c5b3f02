// The flags as the master's decisions need them: typed, in base units, without a trace of the command line.

import type { IsOperator } from '../actors/operators.ts'
import type { Alternatives } from './allocator/filters.ts'

export interface MasterConfig {
  readonly cluster: string | undefined
  readonly agentPingTimeoutMs: number
  readonly maxAgentPingTimeouts: number
  readonly agentReregisterTimeoutMs: number
  /** How long the registry may take to be read, and to be written; then the process ends. */
  readonly registryFetchTimeoutMs: number
  readonly registryStoreTimeoutMs: number
  readonly registryGcIntervalMs: number
  readonly registryMaxAgentAgeMs: number
  readonly registryMaxAgentCount: number
  /** The shortest time for which refused resources are kept from the framework that refused them. */
  readonly allocationIntervalMs: number
  /** Unanswered offers are rescinded after this; undefined: never. */
  readonly offerTimeoutMs: number | undefined
  readonly minAllocatable: Alternatives
  readonly filterGpuResources: boolean
  readonly weights: ReadonlyMap<string, number>
  /** Frameworks may run as root. */
  readonly rootSubmissions: boolean
  readonly maxCompletedFrameworks: number
  readonly maxCompletedTasksPerFramework: number
  readonly maxUnreachableTasksPerFramework: number
  /** Who may change something by the operator API; absent: everybody. */
  readonly isOperator?: IsOperator
  /** Flags as `/flags` and `/state` print them. */
  readonly printable: Readonly<Record<string, string>>
}
