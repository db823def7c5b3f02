// What this agent tells the master it can do.

import type { AgentCapability } from '../messages/agent.ts'
import type { Isolation } from './containerizer/isolation.ts'

/**
 * MULTI_ROLE: tasks of one framework may be allocated to several roles; roles are read from the resources only.
 * HIERARCHICAL_ROLE: no role becomes a path. RESERVATION_REFINEMENT: reservations are carried as they come. AGENT_DRAINING:
 * it ends what it runs when an operator wants it empty.
 * The others of Mesos (RESOURCE_PROVIDER, RESIZE_VOLUME, AGENT_OPERATION_FEEDBACK) are named when they are
 * true: a master acts on them.
 */
const ALWAYS: readonly AgentCapability[] = [
  'MULTI_ROLE',
  'HIERARCHICAL_ROLE',
  'RESERVATION_REFINEMENT',
  'AGENT_DRAINING',
]

/** TASK_RESOURCE_LIMITS: both kinds of limits that a task may have are kept. */
export function agentCapabilities(isolation: Isolation): readonly AgentCapability[] {
  const keepsLimits = isolation.has('cgroups/cpu') && isolation.has('cgroups/mem')
  return keepsLimits ? [...ALWAYS, 'TASK_RESOURCE_LIMITS'] : ALWAYS
}
