// What an agent that comes back runs: entered into the books, and held against what was in them.

import type { Reconciliation, ReregisterAgent } from '../messages/agent-registration.ts'
import type { FrameworkInfo } from '../messages/framework.ts'
import type { ExecutorInfo, Task } from '../messages/task.ts'
import { isTerminal } from '../messages/status.ts'
import { Resources } from '../resources/resources.ts'
import type { MasterContext } from './context.ts'
import { recoverFramework } from './frameworks.ts'
import type { AgentRecord, FrameworkRecord, TaskRecord } from './state.ts'
import { masterStatus, recordOf, roleOf, statusOf } from './status.ts'
import { sameJson } from './task-validation.ts'
import { removeExecutor } from './executors.ts'
import { addTask, removeTask } from './tasks.ts'

/**
 * Takes over what the agent runs. `announce`: schedulers were told that these tasks are lost or out of reach, so they
 * are told that they are back.
 */
export function adopt(
  m: MasterContext,
  agent: AgentRecord,
  message: ReregisterAgent,
  announce: boolean,
): void {
  for (const info of message.frameworks) meetFramework(m, agent, info.id?.value ?? '', info)
  for (const task of message.tasks) {
    const framework = m.state.frameworks.get(task.framework_id.value)
    if (framework) adoptTask(m, agent, framework, task, announce)
  }
  const alive = new Set<string>()
  for (const info of message.executor_infos) {
    const framework = m.state.frameworks.get(info.framework_id?.value ?? '')
    if (!framework) continue
    alive.add(`${framework.id} ${info.executor_id.value}`)
    adoptExecutor(m, agent, framework, info)
  }
  forgetExecutors(m, agent, alive)
}

/** A framework that the agent knows: unknown here, ended meanwhile, or described anew. */
function meetFramework(
  m: MasterContext,
  agent: AgentRecord,
  id: string,
  info: FrameworkInfo,
): void {
  const framework_id = { value: id }
  const known = m.state.frameworks.get(id)
  if (known) {
    if (!known.recovered && !sameJson(known.info, info)) {
      m.tellAgent(agent, 'update_framework', { framework: known.info })
    }
  } else if (id === '' || m.state.removedFrameworks.has(id)) {
    m.tellAgent(agent, 'shutdown_framework', { framework_id })
  } else {
    m.log.info({ framework_id: id, framework: info.name }, 'framework known again from an agent')
    recoverFramework(m, id, info)
  }
}

function adoptTask(
  m: MasterContext,
  agent: AgentRecord,
  framework: FrameworkRecord,
  task: Task,
  announce: boolean,
): void {
  const { framework_id, task_id } = task
  const known = framework.tasks.get(task_id.value)
  if (known) {
    if (known.task.agent_id.value === agent.id) return
    // Launched again elsewhere while this one was called lost, or forgotten by a failover.
    m.log.warn(
      {
        framework_id: framework.id,
        task_id: task_id.value,
        agent_id: agent.id,
        on: known.task.agent_id.value,
      },
      'an agent came back with a second task of this id, killing it',
    )
    m.tellAgent(agent, 'kill_task', { framework_id, task_id })
    return
  }
  const role = roleOf(task)
  const resources = Resources.of(task.resources).unallocate()
  const record = recordOf({ ...task, agent_id: { value: agent.id } }, role, resources)
  // Given up when the connection broke, though it had ended: it will be completed once more.
  if (isTerminal(task.state)) {
    const isSame = (other: Task): boolean =>
      other.task_id.value === task_id.value && other.agent_id.value === agent.id
    framework.completedTasks.remove(isSame)
  }
  addTask(m, framework, agent, record)
  if (!record.holding) return
  m.allocator.adopt(framework.id, agent.id, role, resources)
  if (!announce) return
  const message = `Agent ${agent.info.hostname} is back`
  const status = statusOf(task, task.state, 'REASON_AGENT_REREGISTERED', message, m.nowSeconds())
  m.tellFramework(framework, { type: 'UPDATE', update: { status } })
}

function adoptExecutor(
  m: MasterContext,
  agent: AgentRecord,
  framework: FrameworkRecord,
  info: ExecutorInfo,
): void {
  const id = info.executor_id.value
  const executors = framework.executors.get(agent.id) ?? new Map()
  if (executors.has(id)) return
  const role = info.resources?.[0]?.allocation_info?.role ?? [...framework.roles][0] ?? '*'
  const resources = Resources.of(info.resources).unallocate()
  executors.set(id, { info, role, resources, launchedFor: undefined })
  framework.executors.set(agent.id, executors)
  m.allocator.adopt(framework.id, agent.id, role, resources)
}

/** Executors that ended while the agent was away. */
function forgetExecutors(m: MasterContext, agent: AgentRecord, alive: ReadonlySet<string>): void {
  for (const framework of m.state.frameworks.values()) {
    for (const id of [...(framework.executors.get(agent.id)?.keys() ?? [])]) {
      if (!alive.has(`${framework.id} ${id}`)) removeExecutor(m, framework, agent.id, id)
    }
  }
}

/** Tasks that are known to have ended on an agent. */
export function endedTasks(
  m: MasterContext,
  agent: AgentRecord | undefined,
): ReadonlySet<TaskRecord> {
  if (!agent) return new Set()
  return new Set([...m.state.tasksOf(agent)].filter(({ task }) => isTerminal(task.state)))
}

/**
 * What the master believes the agent to run although it did not say so. It answers with an update of each. `ended`: what
 * was known to have ended when the agent's message came; what was heard since then is newer than its list.
 */
export function missingTasks(
  m: MasterContext,
  agent: AgentRecord,
  message: ReregisterAgent,
  ended: ReadonlySet<TaskRecord>,
): Reconciliation[] {
  const reported = new Set(message.tasks.map(t => `${t.framework_id.value} ${t.task_id.value}`))
  const missing: Reconciliation[] = []
  for (const [frameworkId, tasks] of agent.tasks) {
    const unknown = [...tasks.values()].filter(
      ({ task }) => !reported.has(`${frameworkId} ${task.task_id.value}`),
    )
    // An agent forgets a task that ended only when its scheduler has acknowledged that: so it has, by way of a connection
    // that is no more.
    const framework = m.state.frameworks.get(frameworkId)
    for (const record of unknown) {
      if (framework && ended.has(record)) removeTask(m, framework, record, 'completed')
    }
    const statuses = unknown
      .filter(({ task }) => !isTerminal(task.state))
      .map(({ task }) =>
        masterStatus(
          task.task_id.value,
          agent.id,
          task.state,
          'REASON_RECONCILIATION',
          'The agent did not list this task',
          m.nowSeconds(),
        ),
      )
    if (statuses.length > 0) missing.push({ framework_id: { value: frameworkId }, statuses })
  }
  return missing
}
