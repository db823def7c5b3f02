// Agents: they register, come back with what they run, fall silent, and leave.

import type { Pid } from '../actors/pid.ts'
import type {
  Reconciliation,
  RegisterAgent,
  ReregisterAgent,
} from '../messages/agent-registration.ts'
import type { AgentInfo } from '../messages/agent.ts'
import type { Task } from '../messages/task.ts'
import { Resources } from '../resources/resources.ts'
import type { MasterContext } from './context.ts'
import { addFramework } from './frameworks.ts'
import { rescindOffer, returnOffer } from './offers.ts'
import type { AgentRecord, FrameworkRecord } from './state.ts'
import { masterStatus, recordOf, roleOf, stateFor } from './status.ts'
import { addTask, endTask, releaseTask, removeExecutor } from './tasks.ts'

/** A new agent: admitted to the registry first, told of it then. */
export async function registerAgent(
  m: MasterContext,
  message: RegisterAgent,
  from: Pid,
): Promise<void> {
  const { state } = m
  const known = state.agentsByPid.get(from)
  if (known?.connected) return tellRegistered(m, known)
  if (state.registering.has(from)) return
  state.registering.add(from)
  try {
    if (known) {
      m.log.info(
        { agent_id: known.id, pid: from },
        'a new agent registered at the address of this one',
      )
      await dropAgent(m, known, 'a new agent registered at the same address')
    }
    const id = `${m.info.id}-S${state.nextAgent++}`
    const info: AgentInfo = { ...message.agent, id: { value: id } }
    await m.registry({ type: 'admit_agent', info })
    const agent = addAgent(m, info, from, message)
    tellRegistered(m, agent)
    m.log.info({ agent_id: id, pid: from, hostname: info.hostname }, 'agent registered')
  } finally {
    state.registering.delete(from)
  }
}

function tellRegistered(m: MasterContext, agent: AgentRecord): void {
  m.tellAgent(agent, 'registered', { agent_id: { value: agent.id }, connection: connection(m) })
}

const connection = (m: MasterContext) => ({
  total_ping_timeout_seconds: (m.config.agentPingTimeoutMs * m.config.maxAgentPingTimeouts) / 1000,
})

function addAgent(m: MasterContext, info: AgentInfo, pid: Pid, from: RegisterAgent): AgentRecord {
  const agent: AgentRecord = {
    id: info.id!.value,
    info,
    pid,
    version: from.version,
    capabilities: from.agent_capabilities,
    total: Resources.of(info.resources),
    connected: true,
    registeredAtMs: m.now(),
    reregisteredAtMs: undefined,
    offers: new Map(),
    tasks: new Map(),
    pendingKills: [],
    missedPongs: 0,
    pingTimer: undefined,
  }
  m.state.agents.set(agent.id, agent)
  m.state.agentsByPid.set(pid, agent)
  m.allocator.addAgent(agent.id, agent.total)
  m.link(pid)
  observe(m, agent)
  m.allocateSoon()
  m.changed()
  return agent
}

/** An agent that has an id: after a lost connection, after a failover of the master, or after it was given up. */
export async function reregisterAgent(
  m: MasterContext,
  message: ReregisterAgent,
  from: Pid,
): Promise<void> {
  const { state } = m
  const id = message.agent.id?.value
  if (id === undefined || id === '') return registerAgent(m, message, from)
  if (m.registryView.gone.has(id)) {
    m.log.warn(
      { agent_id: id, pid: from },
      'an agent that was marked gone came back, shutting it down',
    )
    m.tellAgent(from, 'shutdown', { message: 'Agent has been marked gone' })
    return
  }
  if (state.registering.has(id)) return
  state.registering.add(id)
  try {
    const existing = state.agents.get(id)
    const wasGivenUp = m.registryView.unreachable.has(id)
    const info = message.agent
    if (existing) {
      if (!sameAgent(existing.info, info)) await m.registry({ type: 'update_agent', info })
    } else {
      await m.registry({ type: 'mark_agent_reachable', info })
      const registered = m.registryView.agents.get(id)
      if (registered && !sameAgent(registered, info))
        await m.registry({ type: 'update_agent', info })
    }
    state.recoveredAgents.delete(id)
    // The registry was written meanwhile: look again.
    const before = state.agents.get(id)
    const agent = before ? returned(m, before, message, from) : addAgent(m, info, from, message)
    agent.reregisteredAtMs = m.now()
    const reconciliations = adoptTasks(m, agent, message, wasGivenUp || before !== undefined)
    m.tellAgent(agent, 'reregistered', {
      agent_id: { value: id },
      connection: connection(m),
      reconciliations,
    })
    for (const { frameworkId, taskId, policy } of agent.pendingKills.splice(0)) {
      m.tellAgent(agent, 'kill_task', {
        framework_id: { value: frameworkId },
        task_id: { value: taskId },
        ...(policy && { kill_policy: policy }),
      })
    }
    m.log.info({ agent_id: id, pid: from, tasks: message.tasks.length }, 'agent registered again')
  } finally {
    state.registering.delete(id)
  }
}

function sameAgent(a: AgentInfo, b: AgentInfo): boolean {
  return (
    a.hostname === b.hostname &&
    a.port === b.port &&
    Resources.of(a.resources).equals(Resources.of(b.resources)) &&
    JSON.stringify(a.attributes ?? []) === JSON.stringify(b.attributes ?? [])
  )
}

/** The agent is on the books: it lost its connection only. */
function returned(
  m: MasterContext,
  agent: AgentRecord,
  message: ReregisterAgent,
  from: Pid,
): AgentRecord {
  if (agent.pid !== from) {
    m.state.agentsByPid.delete(agent.pid)
    m.unlink(agent.pid)
    agent.pid = from
    m.state.agentsByPid.set(from, agent)
  }
  agent.info = message.agent
  agent.version = message.version
  agent.capabilities = message.agent_capabilities
  const total = Resources.of(message.agent.resources)
  if (!total.equals(agent.total)) {
    for (const offer of [...agent.offers.values()]) rescindOffer(m, offer)
    m.allocator.updateAgent(agent.id, total)
    agent.total = total
  }
  agent.connected = true
  agent.missedPongs = 0
  m.link(from)
  m.allocator.setAgentActive(agent.id, true)
  m.allocateSoon()
  m.changed()
  return agent
}

/**
 * Takes over what the agent runs, and lists for it what the master believes it to run although it did not say so.
 * `announce`: schedulers were told that these tasks are lost or out of reach, so they are told that they are back.
 */
function adoptTasks(
  m: MasterContext,
  agent: AgentRecord,
  message: ReregisterAgent,
  announce: boolean,
): Reconciliation[] {
  const infos = new Map(message.frameworks.map(info => [info.id?.value ?? '', info]))
  const frameworkOf = (id: string): FrameworkRecord | undefined => {
    const known = m.state.frameworks.get(id)
    if (known || m.state.removedFrameworks.has(id)) return known
    const info = infos.get(id)
    if (!info) return undefined
    m.log.info({ framework_id: id, framework: info.name }, 'framework known again from an agent')
    return addFramework(m, id, info)
  }
  for (const id of infos.keys()) {
    if (frameworkOf(id)) continue
    m.tellAgent(agent, 'shutdown_framework', { framework_id: { value: id } })
  }
  const reported = new Set<string>()
  for (const task of message.tasks) {
    const framework = frameworkOf(task.framework_id.value)
    if (!framework) continue
    reported.add(`${framework.id} ${task.task_id.value}`)
    adoptTask(m, agent, framework, task, announce)
  }
  for (const info of message.executor_infos) {
    const framework = frameworkOf(info.framework_id?.value ?? '')
    const id = info.executor_id.value
    if (!framework || framework.executors.get(agent.id)?.has(id)) continue
    const role = info.resources?.[0]?.allocation_info?.role ?? [...framework.roles][0] ?? '*'
    const resources = Resources.of(info.resources).unallocate()
    const executors = framework.executors.get(agent.id) ?? new Map()
    executors.set(id, { info, role, resources })
    framework.executors.set(agent.id, executors)
    m.allocator.adopt(framework.id, agent.id, role, resources)
  }
  forgetExecutors(m, agent, message)
  return missingTasks(m, agent, reported)
}

function adoptTask(
  m: MasterContext,
  agent: AgentRecord,
  framework: FrameworkRecord,
  task: Task,
  announce: boolean,
): void {
  const known = framework.tasks.get(task.task_id.value)
  if (known && known.task.agent_id.value === agent.id) return
  const role = roleOf(task)
  const record = recordOf(task, role, Resources.of(task.resources).unallocate())
  addTask(m, framework, agent, record)
  if (!record.holding) return
  m.allocator.adopt(framework.id, agent.id, role, record.resources)
  if (!announce) return
  const status = masterStatus(
    task.task_id.value,
    agent.id,
    task.state,
    'REASON_AGENT_REREGISTERED',
    `Agent ${agent.info.hostname} is back`,
    m.nowSeconds(),
  )
  m.tellFramework(framework, { type: 'UPDATE', update: { status } })
}

/** Executors that ended while the agent was away. */
function forgetExecutors(m: MasterContext, agent: AgentRecord, message: ReregisterAgent): void {
  const alive = new Set(
    message.executor_infos.map(e => `${e.framework_id?.value} ${e.executor_id.value}`),
  )
  for (const framework of m.state.frameworks.values()) {
    for (const id of [...(framework.executors.get(agent.id)?.keys() ?? [])]) {
      if (!alive.has(`${framework.id} ${id}`)) removeExecutor(m, framework, agent.id, id)
    }
  }
}

function missingTasks(
  m: MasterContext,
  agent: AgentRecord,
  reported: ReadonlySet<string>,
): Reconciliation[] {
  const missing: Reconciliation[] = []
  for (const [frameworkId, tasks] of agent.tasks) {
    const framework = m.state.frameworks.get(frameworkId)
    if (!framework) continue
    const statuses = [...tasks.values()]
      .filter(({ task }) => !reported.has(`${frameworkId} ${task.task_id.value}`))
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

/** The connection broke. The agent may be back at once, so only what cannot survive it is given up. */
export function disconnectAgent(m: MasterContext, agent: AgentRecord): void {
  if (!agent.connected) return
  agent.connected = false
  m.allocator.setAgentActive(agent.id, false)
  for (const offer of [...agent.offers.values()]) rescindOffer(m, offer)
  m.log.warn({ agent_id: agent.id, pid: agent.pid }, 'agent disconnected')
  for (const frameworkId of [...agent.tasks.keys()]) {
    const framework = m.state.frameworks.get(frameworkId)
    if (!framework || framework.info.checkpoint) continue
    loseTasks(
      m,
      agent,
      framework,
      'REASON_AGENT_DISCONNECTED',
      `Agent ${agent.info.hostname} disconnected`,
    )
  }
  for (const framework of m.state.frameworks.values()) {
    if (framework.info.checkpoint) continue
    for (const id of [...(framework.executors.get(agent.id)?.keys() ?? [])]) {
      removeExecutor(m, framework, agent.id, id)
    }
  }
  m.changed()
}

function loseTasks(
  m: MasterContext,
  agent: AgentRecord,
  framework: FrameworkRecord,
  reason: 'REASON_AGENT_DISCONNECTED' | 'REASON_AGENT_REMOVED',
  message: string,
): void {
  const state = stateFor(framework, 'TASK_UNREACHABLE')
  for (const record of [...(agent.tasks.get(framework.id)?.values() ?? [])]) {
    endTask(m, framework, record, { state, reason, message })
  }
}

/** Pings the agent for as long as it is on the books; its silence is counted, its answer resets the count. */
function observe(m: MasterContext, agent: AgentRecord): void {
  m.tellAgent(agent, 'ping', { connected: agent.connected })
  agent.pingTimer = m.delay(m.config.agentPingTimeoutMs, async () => {
    agent.missedPongs++
    if (agent.missedPongs < m.config.maxAgentPingTimeouts) return observe(m, agent)
    m.log.warn(
      { agent_id: agent.id, pid: agent.pid, missed: agent.missedPongs },
      'agent does not answer pings',
    )
    await markUnreachable(m, agent, 'health check timed out')
  })
}

export function pong(agent: AgentRecord): void {
  agent.missedPongs = 0
}

/** Gives an agent up that may come back: the registry first, then the tasks. */
export async function markUnreachable(
  m: MasterContext,
  agent: AgentRecord,
  why: string,
): Promise<void> {
  const { state } = m
  if (state.registering.has(agent.id) || !state.agents.has(agent.id)) return
  state.registering.add(agent.id)
  try {
    await m.registry({
      type: 'mark_agent_unreachable',
      agent_id: { value: agent.id },
      time_ms: m.now(),
    })
    removeAgent(m, agent, `Agent ${agent.info.hostname} is unreachable: ${why}`)
  } finally {
    state.registering.delete(agent.id)
  }
}

/** An agent that said it leaves for good, or whose address another one took. */
export async function dropAgent(m: MasterContext, agent: AgentRecord, why: string): Promise<void> {
  if (m.state.registering.has(agent.id)) return
  m.state.registering.add(agent.id)
  try {
    await m.registry({ type: 'remove_agent', agent_id: { value: agent.id } })
    removeAgent(m, agent, `Agent ${agent.info.hostname} removed: ${why}`)
  } finally {
    m.state.registering.delete(agent.id)
  }
}

/** After the registry agreed: takes an agent and all on it off the books. */
function removeAgent(m: MasterContext, agent: AgentRecord, message: string): void {
  const { state } = m
  if (state.agents.get(agent.id) !== agent) return
  agent.pingTimer?.cancel()
  agent.connected = false
  m.allocator.setAgentActive(agent.id, false)
  for (const offer of [...agent.offers.values()]) {
    returnOffer(m, offer)
    const framework = state.frameworks.get(offer.frameworkId)
    if (framework) {
      m.tellFramework(framework, { type: 'RESCIND', rescind: { offer_id: { value: offer.id } } })
    }
  }
  for (const frameworkId of [...agent.tasks.keys()]) {
    const framework = state.frameworks.get(frameworkId)
    if (framework) loseTasks(m, agent, framework, 'REASON_AGENT_REMOVED', message)
    else for (const record of agent.tasks.get(frameworkId)!.values()) releaseTask(m, record)
  }
  for (const framework of state.frameworks.values()) {
    for (const id of [...(framework.executors.get(agent.id)?.keys() ?? [])]) {
      removeExecutor(m, framework, agent.id, id)
    }
  }
  m.allocator.removeAgent(agent.id)
  state.agents.delete(agent.id)
  if (state.agentsByPid.get(agent.pid) === agent) {
    state.agentsByPid.delete(agent.pid)
    m.unlink(agent.pid)
  }
  for (const framework of state.frameworks.values()) {
    m.tellFramework(framework, { type: 'FAILURE', failure: { agent_id: { value: agent.id } } })
  }
  m.log.warn({ agent_id: agent.id, pid: agent.pid }, message)
  m.changed()
}

/** After an election: agents of the registry that did not come back in time are given up. */
export async function giveUpRecovered(m: MasterContext): Promise<void> {
  for (const [id, info] of [...m.state.recoveredAgents]) {
    if (m.state.registering.has(id) || !m.state.recoveredAgents.has(id)) continue
    m.log.warn(
      { agent_id: id, hostname: info.hostname },
      'agent did not come back after the failover in time',
    )
    m.state.recoveredAgents.delete(id)
    await m.registry({ type: 'mark_agent_unreachable', agent_id: { value: id }, time_ms: m.now() })
    for (const framework of m.state.frameworks.values()) {
      m.tellFramework(framework, { type: 'FAILURE', failure: { agent_id: { value: id } } })
    }
    m.changed()
  }
}
