// The ids of the v1 API: each an object with one `value`, so that a task id is never taken for an agent id in JSON.

import * as v from 'valibot'
import { idText, message, optional } from './schema.ts'

/** Given by the master at the first subscription: `<master id>-<4 digits>`. */
export const FrameworkID = message({ value: idText })
export type FrameworkID = v.InferOutput<typeof FrameworkID>

/** Given by the master: `<master id>-O<number>`. */
export const OfferID = message({ value: idText })
export type OfferID = v.InferOutput<typeof OfferID>

/** Given by the master at the first registration: `<master id>-S<number>`. */
export const AgentID = message({ value: idText })
export type AgentID = v.InferOutput<typeof AgentID>

/** Chosen by the framework; unique among its tasks that are not completed. */
export const TaskID = message({ value: idText })
export type TaskID = v.InferOutput<typeof TaskID>

/** Chosen by the framework; unique per framework and agent. */
export const ExecutorID = message({ value: idText })
export type ExecutorID = v.InferOutput<typeof ExecutorID>

/** Chosen by the agent; a nested container names its parent. */
export interface ContainerID {
  value: string
  parent?: ContainerID | undefined
}
export const ContainerID: v.GenericSchema<ContainerID> = message({
  value: idText,
  parent: optional(v.lazy(() => ContainerID)),
})

/** Given by the agent to a local resource provider. */
export const ResourceProviderID = message({ value: idText })
export type ResourceProviderID = v.InferOutput<typeof ResourceProviderID>

/** Chosen by the framework for an operation whose outcome it wants to hear of. */
export const OperationID = message({ value: idText })
export type OperationID = v.InferOutput<typeof OperationID>
