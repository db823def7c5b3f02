// Agents: they register, fall silent, and leave. How they come back is reregistration.ts' business.

import type { Pid } from '../actors/pid.ts'
import type { RegisterAgent } from '../messages/agent-registration.ts'
import type { AgentInfo } from '../messages/agent.ts'
import { whyTooLarge } from '../messages/size.ts'
import { Resources } from '../resources/resources.ts'
import type { MasterContext } from './context.ts'
import { machineKey } from './registry/machines.ts'
import { drainOf, followService, isOnDownMachine, MACHINE_IS_DOWN, machineOf } from './service.ts'
import type { AgentRecord, FrameworkRecord } from './state.ts'
import { stateFor } from './status.ts'
import { removeExecutor } from './executors.ts'
import { endTask, endUnreachable } from './tasks.ts'

/** A new agent: admitted to the registry first, told of it then. */
export async function registerAgent(
  m: MasterContext,
  message: RegisterAgent,
  from: Pid,
): Promise<void> {
  const { state } = m
  const known = state.agentsByPid.get(from)
  if (known?.connected) return tellRegistered(m, known)
  const refusal = validateAgent(m, message.agent, from)
  if (refusal !== undefined) return refuseAgent(m, from, refusal)
  // Those who are not answered ask again.
  if (state.registering.has(from) || (known && state.registering.has(known.id))) return
  state.registering.add(from)
  const asking = watchAsking(m, from)
  try {
    if (known) {
      await dropAgent(m, known, REPLACED)
      // With the one that was dropped its link went, which was to the same address.
      m.link(from)
    }
    const id = newId(m)
    const info: AgentInfo = { ...message.agent, id: { value: id } }
    await m.registry({ type: 'admit_agent', info, cause: { by: from, why: 'registration' } })
    const agent = addAgent(m, info, from, message)
    if (asking.lost) disconnectAgent(m, agent)
    else tellRegistered(m, agent)
    m.metrics.count('slave_registrations')
    m.log.info({ agent_id: id, pid: from, hostname: info.hostname }, 'agent registered')
    await endOnDownMachine(m, agent)
  } finally {
    state.registering.delete(from)
    state.asking.delete(from)
  }
}

export function validateAgent(m: MasterContext, info: AgentInfo, from: Pid): string | undefined {
  if (isOnDownMachine(m, info, from)) return MACHINE_IS_DOWN
  const tooLarge = whyTooLarge('agent', info)
  return tooLarge && `Agent ${tooLarge}: give it fewer attributes or resources`
}

export function refuseAgent(m: MasterContext, from: Pid, message: string, id?: string): void {
  m.log.warn({ agent_id: id, pid: from, reason: message }, 'agent refused, shutting it down')
  m.tellAgent(from, 'shutdown', { message })
}

/**
 * Looks after an agent while the registry is written for it. If its connection breaks, it may be another process that is
 * found under that address afterwards, and it must not take the answer, and the id in it, for its own.
 */
export function watchAsking(m: MasterContext, from: Pid): { readonly lost: boolean } {
  const asking = { lost: false }
  m.state.asking.set(from, asking)
  m.link(from)
  return asking
}

/** Why an agent is dropped whose address another one has taken. */
export const REPLACED = 'a new agent registered at the same address'

/** An id that no agent has. Agents bring ids of their own, which may look like this master's. */
function newId(m: MasterContext): string {
  const { agents, unreachable, gone } = m.registryView
  for (;;) {
    const id = `${m.info.id}-S${m.state.nextAgent++}`
    if (!agents.has(id) && !unreachable.has(id) && !gone.has(id)) return id
  }
}

function tellRegistered(m: MasterContext, agent: AgentRecord): void {
  m.tellAgent(agent, 'registered', {
    agent_id: { value: agent.id },
    connection: connection(m),
    registration: newRegistration(m, agent.id),
    ...drainOf(m, agent.id),
  })
}

/** The name of an answer to an agent, which no other answer has. */
export function newRegistration(m: MasterContext, agentId: string): string {
  const name = `${m.info.id}-R${m.state.nextRegistration++}`
  m.state.registrations.set(agentId, name)
  return name
}

/**
 * How long an agent may hear nothing before it takes this master for lost: as long as it takes this master to give the agent
 * up. With one ping at a time that is the time between two, and the second may be a little late.
 */
export const connection = ({ config }: MasterContext) => ({
  total_ping_timeout_seconds:
    (config.agentPingTimeoutMs * Math.max(config.maxAgentPingTimeouts, LEAST_PINGS)) / 1000,
})

const LEAST_PINGS = 2

/** Puts an agent that the registry has on the books. */
export function addAgent(
  m: MasterContext,
  info: AgentInfo,
  pid: Pid,
  from: RegisterAgent,
): AgentRecord {
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
    machine: machineKey(machineOf(info, pid)),
    asked: new Map(),
    pinged: false,
    missedPongs: 0,
    pingTimer: undefined,
  }
  m.state.agents.set(agent.id, agent)
  m.state.agentsByPid.set(pid, agent)
  m.allocator.addAgent(agent.id, agent.total)
  m.link(pid)
  // Not before it is told its id: it answers with that.
  agent.pingTimer = m.delay(0, () => observe(m, agent))
  followService(m, agent)
  m.changed()
  return agent
}

/** Somebody speaks for an agent that is not on the books (given up while it was out of reach): let it register again. */
export function tellStranger(m: MasterContext, agentId: string, from: Pid): void {
  const { registering } = m.state
  m.log.debug({ from, agent_id: agentId }, 'message of an agent that is not registered')
  if (!registering.has(agentId) && !registering.has(from)) {
    m.tellAgent(from, 'ping', { connected: false })
  }
}

/** The connection broke. The agent may be back at once, so only what cannot survive it is given up. */
export function disconnectAgent(m: MasterContext, agent: AgentRecord): void {
  if (!agent.connected) return
  agent.connected = false
  followService(m, agent)
  m.log.warn({ agent_id: agent.id, pid: agent.pid }, 'agent disconnected')
  for (const framework of m.state.frameworks.values()) {
    if (framework.info.checkpoint) continue
    loseTasks(m, agent, framework, {
      state: 'TASK_UNREACHABLE',
      reason: 'REASON_AGENT_DISCONNECTED',
      message: `Agent ${agent.info.hostname} disconnected`,
    })
  }
  m.changed()
}

/** What a framework had on an agent is off the books. Unreachable tasks may return with their agent; others are gone. */
function loseTasks(
  m: MasterContext,
  agent: AgentRecord,
  framework: FrameworkRecord,
  { state, reason, message }: Loss,
): void {
  const end = {
    state: stateFor(framework, state),
    reason,
    message,
    mayReturn: state === 'TASK_UNREACHABLE',
  }
  for (const record of [...(agent.tasks.get(framework.id)?.values() ?? [])]) {
    endTask(m, framework, record, end)
  }
  for (const id of [...(framework.executors.get(agent.id)?.keys() ?? [])]) {
    removeExecutor(m, framework, agent.id, id)
  }
}

interface Loss {
  readonly state: 'TASK_UNREACHABLE' | 'TASK_GONE' | 'TASK_GONE_BY_OPERATOR'
  readonly reason:
    | 'REASON_AGENT_DISCONNECTED'
    | 'REASON_AGENT_REMOVED'
    | 'REASON_AGENT_REMOVED_BY_OPERATOR'
  readonly message: string
}

/** Pings the agent for as long as it is on the books; pings without an answer are counted, an answer resets the count. */
function observe(m: MasterContext, agent: AgentRecord): void {
  m.tellAgent(agent, 'ping', { connected: agent.connected })
  agent.pinged = true
  agent.pingTimer = m.delay(m.config.agentPingTimeoutMs, async () => {
    if (agent.pinged) agent.missedPongs++
    if (agent.missedPongs >= m.config.maxAgentPingTimeouts) {
      m.log.warn(
        { agent_id: agent.id, pid: agent.pid, missed: agent.missedPongs },
        'agent does not answer pings',
      )
      m.metrics.count('slave_unreachable_scheduled')
      const done = await markUnreachable(m, agent, 'health check timed out')
      m.metrics.count(done ? 'slave_unreachable_completed' : 'slave_unreachable_canceled')
    }
    // It may have registered again while it was about to be given up.
    if (m.state.agents.get(agent.id) === agent) observe(m, agent)
  })
}

export function pong(agent: AgentRecord): void {
  agent.pinged = false
  agent.missedPongs = 0
}

/** Gives an agent up that may come back: the registry first, then the tasks. False if it is coming back already. */
async function markUnreachable(
  m: MasterContext,
  agent: AgentRecord,
  why: string,
): Promise<boolean> {
  const { agents, registering } = m.state
  if (registering.has(agent.id) || agents.get(agent.id) !== agent) return false
  registering.add(agent.id)
  try {
    await m.registry({
      type: 'mark_agent_unreachable',
      agent_id: { value: agent.id },
      time_ms: m.now(),
      cause: { why },
    })
    const message = `Agent ${agent.info.hostname} is unreachable: ${why}`
    removeAgent(m, agent, { state: 'TASK_UNREACHABLE', reason: 'REASON_AGENT_REMOVED', message })
    m.metrics.count('slave_removals/reason_unhealthy')
    return true
  } finally {
    registering.delete(agent.id)
  }
}

/** An agent that said it leaves for good, or whose address another one took. Its tasks are over. */
export async function dropAgent(m: MasterContext, agent: AgentRecord, why: string): Promise<void> {
  const { agents, registering } = m.state
  if (registering.has(agent.id) || agents.get(agent.id) !== agent) return
  registering.add(agent.id)
  try {
    await m.registry({
      type: 'remove_agent',
      agent_id: { value: agent.id },
      cause: { by: agent.pid, why },
    })
    const message = `Agent ${agent.info.hostname} removed: ${why}`
    removeAgent(m, agent, { state: 'TASK_GONE', reason: 'REASON_AGENT_REMOVED', message })
    endUnreachable(m, agent.id, { reason: 'REASON_AGENT_REMOVED', message })
    m.state.registrations.delete(agent.id)
    m.metrics.count(
      why === REPLACED ? 'slave_removals/reason_registered' : 'slave_removals/reason_unregistered',
    )
  } finally {
    registering.delete(agent.id)
  }
}

/** An operator declared its machine to be down, maybe while it was being registered. */
export async function endOnDownMachine(m: MasterContext, agent: AgentRecord): Promise<void> {
  if (!isOnDownMachine(m, agent.info, agent.pid)) return
  m.tellAgent(agent, 'shutdown', { message: "Operator initiated 'Machine DOWN'" })
  await dropAgent(m, agent, "Operator initiated 'Machine DOWN'")
}

/** After the registry agreed: takes an agent and all on it off the books. */
export function removeAgent(m: MasterContext, agent: AgentRecord, loss: Loss): void {
  const { state } = m
  agent.pingTimer?.cancel()
  agent.connected = false
  followService(m, agent)
  for (const framework of state.frameworks.values()) loseTasks(m, agent, framework, loss)
  m.allocator.removeAgent(agent.id)
  state.agents.delete(agent.id)
  if (state.agentsByPid.get(agent.pid) === agent) {
    state.agentsByPid.delete(agent.pid)
    m.unlink(agent.pid)
  }
  tellFailure(m, agent.id)
  m.metrics.count('slave_removals')
  m.log.warn({ agent_id: agent.id, pid: agent.pid }, loss.message)
  m.changed()
}

function tellFailure(m: MasterContext, agentId: string): void {
  for (const framework of m.state.frameworks.values()) {
    m.tellFramework(framework, { type: 'FAILURE', failure: { agent_id: { value: agentId } } })
  }
}

/** After an election: agents of the registry that did not come back in time are given up. All at once, as one write. */
export async function giveUpRecovered(m: MasterContext): Promise<void> {
  const late = [...m.state.recoveredAgents].filter(([id]) => !m.state.registering.has(id))
  await Promise.all(late.map(([id, info]) => giveUp(m, id, info)))
}

async function giveUp(m: MasterContext, id: string, info: AgentInfo): Promise<void> {
  const { recoveredAgents, registering } = m.state
  m.log.warn(
    { agent_id: id, hostname: info.hostname },
    'agent did not come back after the failover in time',
  )
  registering.add(id)
  try {
    await m.registry({
      type: 'mark_agent_unreachable',
      agent_id: { value: id },
      time_ms: m.now(),
      cause: { why: 'did not come back in time after a failover' },
    })
    recoveredAgents.delete(id)
    m.metrics.count('recovery_slave_removals')
    tellFailure(m, id)
    m.changed()
  } finally {
    registering.delete(id)
  }
}
