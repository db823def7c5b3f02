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
/** A master that stands by reads so often what the one that leads has written. */
export const REGISTRY_FOLLOW_INTERVAL_MS = 1_000
/** What a snapshot makes superfluous is truncated so much later. */
export const TRUNCATE_AFTER_MS = 5_000

assert(
  REGISTRY_FOLLOW_INTERVAL_MS < TRUNCATE_AFTER_MS,
  'those that stand by must have read what is truncated',
)
assert(
  DEFAULT_AGENT_PING_TIMEOUT_MS * DEFAULT_MAX_AGENT_PING_TIMEOUTS <
    DEFAULT_AGENT_REREGISTER_TIMEOUT_MS,
  'an agent must be found dead by pings before the time for coming back is over',
)
