// What an agent tells a master that may know nothing of it: all that runs on it. What ran before is not said: it would be
// a message without bound. The agent's own /state has it.

import { encode } from '../actors/codec.ts'
import type {
  RegisterAgent,
  ReregisterAgent,
  ReregisterPart,
} from '../messages/agent-registration.ts'
import type { Task } from '../messages/task.ts'
import type { AgentExecutor, AgentState } from './agent-state.ts'
import type { Reregistration } from './registration.ts'
import { taskRecord } from './task-record.ts'

type Contents = Omit<ReregisterPart, 'index'>

/** More than this, in bytes, goes into a message of its own: much less than a message may have, and much more than is usual. */
const PART_BYTES = 1024 * 1024

export function reregistration(
  identity: RegisterAgent & Pick<ReregisterAgent, 'registration'>,
  all: Contents,
): Reregistration {
  const parts = inParts(all)
  const last = parts.pop()!
  return {
    type: 'reregister',
    parts: parts.map((part, index) => ({ index, ...part })),
    body: { ...identity, ...last, parts: parts.length },
  }
}

/** One at least. */
function inParts(all: Contents): Contents[] {
  const parts = [empty()]
  let bytes = 0
  const add = (kind: keyof Contents): void => {
    for (const one of all[kind]) {
      const size = encode(one).length
      if (bytes > 0 && bytes + size > PART_BYTES) {
        parts.push(empty())
        bytes = 0
      }
      bytes += size
      ;(parts.at(-1)![kind] as (typeof one)[]).push(one)
    }
  }
  add('frameworks')
  add('executor_infos')
  add('tasks')
  return parts
}

const empty = (): Contents => ({ tasks: [], executor_infos: [], frameworks: [] })

/**
 * Tasks that ended but whose end is not acknowledged are among the tasks: the master has to forward it. So are those
 * that were refused. Command executors are not among the executors, for they are the agent's own affair.
 *
 * Nothing is said of a framework whose executors are being ended: the master that ordered it counts their resources as free
 * and may have given them to others, so that a next one would find more in use than there is.
 */
export function contents(state: AgentState): Contents {
  const frameworks = [...state.frameworks.values()].filter(({ state: at }) => at === 'RUNNING')
  const executors = frameworks.flatMap(framework => [...framework.executors.values()])
  return {
    tasks: [
      ...executors.flatMap(tasksOf),
      ...frameworks.flatMap(({ refused }) => [...refused.values()]),
    ],
    executor_infos: executors
      .filter(({ kind, state: at }) => kind !== 'command' && at !== 'TERMINATED')
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
