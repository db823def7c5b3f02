// How much may be said of one thing. What is larger than a message of the wire may be is dropped there; long before that,
// whoever describes something so is told.

import { encode } from '../actors/codec.ts'
import { formatBytes } from '../base/bytes.ts'

/** In bytes, encoded. */
export const MOST_BYTES = {
  /** The registry keeps in memory and in every snapshot what an agent says of itself: attributes and resources, mostly. */
  agent: 256 * 1024,
  /** Of maintenance, which the registry keeps as well. */
  schedule: 1024 * 1024,
  /** Goes with every task that is launched. */
  framework: 256 * 1024,
  /** With its executor, and the `data` of both. */
  task: 4 * 1024 * 1024,
  /** What an executor adds to a status: each is kept until it is acknowledged, and the last ones as long as their task. */
  statusData: 1024 * 1024,
  status: 64 * 1024,
  /** What a scheduler accepts offers for with one call. A message of the wire may be twice as large. */
  call: 32 * 1024 * 1024,
} as const

/** What is wrong with something of that kind, to follow on its name; undefined if nothing is. */
export function whyTooLarge(kind: keyof typeof MOST_BYTES, described: unknown): string | undefined {
  const bytes = encode(described).length
  const most = MOST_BYTES[kind]
  if (bytes <= most) return undefined
  return `is described in ${bytes} bytes, and ${formatBytes(most)} are the most`
}
