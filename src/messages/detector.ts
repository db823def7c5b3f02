// How agents and schedulers find the leading one of several masters. Each master serves it (`detector`), leading or not.

import type * as v from 'valibot'
import { call, protocol } from '../actors/protocol.ts'
import { seconds } from '../base/duration.ts'
import { MasterInfo } from './agent.ts'
import { message, optional, text } from './schema.ts'

/** The id under which every master answers. */
export const DETECTOR_ID = 'detector'

/** A question is answered after so long even if nothing has changed. */
export const DETECT_LIMIT_MS = seconds(5)

/** Absent: nobody leads at present, as far as is known. */
export const Detected = message({ leader: optional(MasterInfo) })
export type Detected = v.InferOutput<typeof Detected>

export const MasterDetector = protocol('master.detector', {
  /** Who leads? `known`: the id of the one that is known; while that is right, the answer waits. */
  detect: call(message({ known: optional(text) }), Detected),
})
