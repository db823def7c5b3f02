// The conversation between a log and who uses it, in the same process. Spoken through `Reader` and `Writer`.

import * as v from 'valibot'
import { call, protocol, type Ref } from '../actors/protocol.ts'
import { MOST_POSITIONS, Position } from '../messages/log.ts'
import { ChangeResult, LogMembers, MembersChange } from '../messages/log-membership.ts'
import { ReadResult } from './local.ts'

const Nothing = v.object({})
const Term = v.number()
const Records = v.pipe(v.array(v.instance(Uint8Array)), v.minLength(1), v.maxLength(MOST_POSITIONS))
/** Where, or where the first of several is. Absent: leadership was lost. */
const Written = v.object({ position: v.optional(Position) })

/** What a log serves, to actors of its own process. */
export const LogService = protocol(
  'log',
  {
    start: call(Nothing, v.object({ term: Term, position: v.optional(Position) })),
    /** At positions that follow each other. */
    append: call(v.object({ term: Term, records: Records }), Written),
    truncate: call(v.object({ term: Term, to: Position }), Written),
    /** Answered once the replica votes. All from `begin` to below `learnedBelow` is learned here. */
    range: call(Nothing, v.object({ begin: Position, end: Position, learnedBelow: Position })),
    read: call(v.object({ from: Position, to: Position }), ReadResult),
    /** Who votes, as far as is known here. */
    members: call(Nothing, LogMembers),
    /** See reconfigure.ts. By whoever is elected here. */
    change: call(MembersChange, ChangeResult),
  },
  { local: true },
)

export type LogRef = Ref<typeof LogService.entries>
