// Everything that an author of a framework needs, in one import.
//
// A framework is a scheduler, which decides what runs where, and (seldom) an executor of its own, which runs it. Both are
// actors: subclass `Scheduler`, override `offers` and `update`, and run it by `runScheduler`; examples/hello does so in
// forty lines, examples/test-framework has an executor as well. Objects have the shapes of the Mesos v1 API
// (src/messages), so what Mesos' documentation says of Offer, TaskInfo or TaskStatus holds here.

export type { AgentInfo } from '../messages/agent.ts'
export type { FrameworkInfo } from '../messages/framework.ts'
export type { Offer } from '../messages/offer.ts'
export { isTerminal, type TaskState, type TaskStatus } from '../messages/status.ts'
export type { ExecutorInfo, TaskInfo } from '../messages/task.ts'
export type { FrameworkDescription } from './description.ts'
export { Executor, type ExecutorEnvironment, type StatusUpdate } from './executor.ts'
export { fits, type Needs, pack, type TaskRequest, taskFromOffer } from './packing.ts'
export { runExecutor, type RunOptions, runScheduler } from './run.ts'
export { Scheduler, type SchedulerOptions } from './scheduler.ts'
