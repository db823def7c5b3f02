// What an agent tells a master that may know nothing of it: all that runs on it, and what ran.

import type { ReregisterAgent } from '../messages/agent-registration.ts'
import type { Task } from '../messages/task.ts'
import type { AgentExecutor, AgentState } from './agent-state.ts'
import { taskRecord } from './task-record.ts'

type Contents = Pick<
  ReregisterAgent,
  'tasks' | 'executor_infos' | 'frameworks' | 'completed_frameworks'
>

/**
 * Tasks that ended but whose end is not acknowledged are among the tasks: the master has to forward it. So are those
 * that were refused. Command executors are not among the executors, for they are the agent's own affair.
 */
export function reregistration(state: AgentState): Contents {
  const executors = [...state.executors()]
  return {
    tasks: [
      ...executors.flatMap(tasksOf),
      ...[...state.frameworks.values()].flatMap(({ refused }) => [...refused.values()]),
    ],
    executor_infos: executors
      .filter(({ kind, state: at }) => kind === 'custom' && at !== 'TERMINATED')
      .map(({ info }) => info),
    frameworks: [...state.frameworks.values()].map(({ info }) => info),
    completed_frameworks: [...state.completedFrameworks.values()].map(
      ({ info, completedExecutors }) => ({
        framework_info: info,
        tasks: completedExecutors.toArray().flatMap(({ completed }) => completed),
      }),
    ),
  }
}

function tasksOf(executor: AgentExecutor): Task[] {
  const { framework, queued, tasks, terminated } = executor
  return [
    ...[...queued.values()].map(task => taskRecord(task, framework.info)),
    ...tasks.values(),
    ...terminated.values(),
  ]
}
