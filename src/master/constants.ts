// Numbers that Mesos fixes, in one place, and held against each other.

import { assert } from '../base/assert.ts'

/** A framework or subscriber that hears nothing for several of these takes the connection for broken. */
export const HEARTBEAT_INTERVAL_MS = 15_000
export const DEFAULT_AGENT_PING_TIMEOUT_MS = 15_000
export const DEFAULT_MAX_AGENT_PING_TIMEOUTS = 5
export const DEFAULT_AGENT_REREGISTER_TIMEOUT_MS = 10 * 60_000
/** Of so many removed frameworks, the latest ones, the ids are known not to come back. */
export const MAX_REMOVED_FRAMEWORKS = 100_000
/** The registry is written anew as a whole after so many operations, and what came before is truncated. */
export const OPERATIONS_PER_SNAPSHOT = 1_000

assert(
  DEFAULT_AGENT_PING_TIMEOUT_MS * DEFAULT_MAX_AGENT_PING_TIMEOUTS <
    DEFAULT_AGENT_REREGISTER_TIMEOUT_MS,
  'an agent must be found dead by pings before the time for coming back is over',
)
