// An executor may put into a status what it likes, and much of it: what is too much is left out, for the state itself
// must arrive.

import { formatBytes } from '../base/bytes.ts'
import { MOST_BYTES, whyTooLarge } from './size.ts'
import type { TaskStatus } from './status.ts'

/** Of a message that is cut off, in characters. */
const MESSAGE_CHARACTERS = 4_096

/** A status as an executor sent it, without what is too large; its message says so. */
export function withinSize<S extends TaskStatus>(status: S): S {
  const { data, ...rest } = status
  const dataFits = Buffer.byteLength(data ?? '', 'base64') <= MOST_BYTES.statusData
  const restFits = whyTooLarge('status', rest) === undefined
  if (dataFits && restFits) return status
  const kept = restFits ? { ...status } : essence(status)
  if (!dataFits) delete kept.data
  const most = dataFits ? MOST_BYTES.status : MOST_BYTES.statusData
  const what = dataFits
    ? 'what else it says'
    : restFits
      ? 'its data'
      : 'its data and what else it says'
  const note = `(${what} left out: more than ${formatBytes(most)})`
  return { ...kept, message: kept.message ? `${kept.message} ${note}` : note }
}

/** What the cluster itself has to know. */
function essence<S extends TaskStatus>(status: S): S {
  const { labels: _, check_status: __, container_status: ___, limitation: ____, ...kept } = status
  const { message = '' } = status
  if (message.length > MESSAGE_CHARACTERS) kept.message = `${message.slice(0, MESSAGE_CHARACTERS)}…`
  return kept as S
}
