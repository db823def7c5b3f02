// How an operator's command asks the leading master who keeps the registry's log, and changes it.

import * as v from 'valibot'
import { call, protocol } from '../actors/protocol.ts'
import { Position } from './log.ts'
import { message, text, variant } from './schema.ts'

/** The id under which every master with a log answers. */
export const LOG_MEMBERSHIP_ID = 'replicated-log'

/** `version` counts the changes. */
export const LogMembers = message({
  members: v.array(text),
  quorum: Position,
  version: Position,
})

/**
 * What became of a change of members.
 * - `changed`: these are the members now.
 * - `catching up`: the one to be added, or the one that was added last and does not vote yet, has learned positions below
 *   `learnedBelow` of those below `of`; try again.
 * - `refused`: and why; nothing has changed.
 * - `unknown`: leadership was lost on the way; look who the members are.
 */
export const ChangeResult = variant('type', [
  message({ type: v.literal('changed'), members: v.array(text) }),
  message({ type: v.literal('catching up'), learnedBelow: Position, of: Position }),
  message({ type: v.literal('refused'), why: text }),
  message({ type: v.literal('unknown') }),
])
export type ChangeResult = v.InferOutput<typeof ChangeResult>

/** One member more, or one less: `host:port`. */
export const MembersChange = v.union([message({ add: text }), message({ remove: text })])

export const LogMembershipService = protocol('master.log-membership', {
  members: call(message({}), LogMembers),
  change: call(MembersChange, ChangeResult),
})
