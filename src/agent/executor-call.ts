// Is an executor's call well-formed? The reasons are those of Mesos' executor API.

import { base64ToUuid } from '../base/base64.ts'
import type { ExecutorCall } from '../messages/executor-api.ts'
import type { TaskStatus } from '../messages/status.ts'

/** 16 zero bytes are no UUID. */
const NIL = '00000000-0000-0000-0000-000000000000'

/** An UPDATE that `whyInvalid` lets pass has this status. */
export type AcknowledgeableStatus = TaskStatus & { readonly uuid: string }

/** What is wrong with a call; undefined if nothing. */
export function whyInvalid(call: ExecutorCall): string | undefined {
  if (call.type !== 'UPDATE') return undefined
  const { status } = call.update
  const executor = call.executor_id.value
  if (status.uuid === undefined) return "Expecting 'uuid' to be present"
  const uuid = base64ToUuid(status.uuid)
  if (uuid === undefined || uuid === NIL) return 'Not a valid UUID'
  const named = status.executor_id?.value
  if (named !== undefined && named !== executor) {
    return `ExecutorID in Call: ${executor} does not match ExecutorID in TaskStatus: ${named}`
  }
  const who = `from executor ${executor} of framework ${call.framework_id.value}`
  if (status.source !== 'SOURCE_EXECUTOR') {
    return `Received Call ${who} with invalid source, expecting 'SOURCE_EXECUTOR'`
  }
  if (status.state === 'TASK_STAGING') {
    return `Received TASK_STAGING ${who} which is not allowed`
  }
  return undefined
}
