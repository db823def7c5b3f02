// What an agent tells a master that may know nothing of it: all that runs on it. What ran before is not said: it would be
// a message without bound. The agent's own /state has it.

import type { ReregisterAgent } from '../messages/agent-registration.ts'
import type { Task } from '../messages/task.ts'
import type { AgentExecutor, AgentState } from './agent-state.ts'
import { taskRecord } from './task-record.ts'

type Contents = Pick<ReregisterAgent, 'tasks' | 'executor_infos' | 'frameworks'>

/**
 * Tasks that ended but whose end is not acknowledged are among the tasks: the master has to forward it. So are those
 * that were refused. Command executors are not among the executors, for they are the agent's own affair.
 *
 * Nothing is said of a framework whose executors are being ended: the master that ordered it counts their resources as free
 * and may have given them to others, so that a next one would find more in use than there is.
 */
export function reregistration(state: AgentState): Contents {
  const frameworks = [...state.frameworks.values()].filter(({ state: at }) => at === 'RUNNING')
  const executors = frameworks.flatMap(framework => [...framework.executors.values()])
  return {
    tasks: [
      ...executors.flatMap(tasksOf),
      ...frameworks.flatMap(({ refused }) => [...refused.values()]),
    ],
    executor_infos: executors
      .filter(({ kind, state: at }) => kind === 'custom' && at !== 'TERMINATED')
      .map(({ info }) => info),
    frameworks: frameworks.map(({ info }) => info),
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
