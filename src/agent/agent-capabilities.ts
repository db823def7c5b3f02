// What this agent tells the master it can do.

import type { AgentCapability } from '../messages/agent.ts'

/**
 * MULTI_ROLE: tasks of one framework may be allocated to several roles; roles are read from the resources only.
 * HIERARCHICAL_ROLE: no role becomes a path. RESERVATION_REFINEMENT: reservations are carried as they come.
 * The others of Mesos (RESOURCE_PROVIDER, RESIZE_VOLUME, AGENT_OPERATION_FEEDBACK, AGENT_DRAINING,
 * TASK_RESOURCE_LIMITS) are named when they are true: a master acts on them.
 */
export const AGENT_CAPABILITIES: readonly AgentCapability[] = [
  'MULTI_ROLE',
  'HIERARCHICAL_ROLE',
  'RESERVATION_REFINEMENT',
]
