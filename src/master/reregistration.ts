// Agents that have an id already come back: after a lost connection, after a failover of the master, or after they
// were given up. They say what they run, for a new master knows it from nowhere else.

import { addressOf, parseAddress, type Pid } from '../actors/pid.ts'
import type { ReregisterAgent, ReregisterPart } from '../messages/agent-registration.ts'
import type { AgentInfo } from '../messages/agent.ts'
import { Resources } from '../resources/resources.ts'
import { adopt, endedTasks, missingTasks } from './adoption.ts'
import {
  addAgent,
  connection,
  disconnectAgent,
  dropAgent,
  newRegistration,
  refuseAgent,
  REPLACED,
  registerAgent,
  watchAsking,
  endOnDownMachine,
  validateAgent,
} from './agents.ts'
import type { MasterContext } from './context.ts'
import { rescindOffer } from './offers.ts'
import { drainOf, followService } from './service.ts'
import type { AgentRecord } from './state.ts'
import { sameJson } from './task-validation.ts'
import { tellKill } from './tasks.ts'

/** An agent has more than this to say only if it is mad. */
const MOST_PARTS = 1024

/** A part of what an agent runs, before the rest. An attempt begins with the first one. */
export function reregisterPart(m: MasterContext, part: ReregisterPart, from: Pid): boolean {
  const { reregistering } = m.state
  const parts = part.index === 0 ? [] : reregistering.get(from)
  // Of an attempt whose beginning is missing nothing is taken: the agent begins again.
  if (!parts || parts.length !== part.index || part.index >= MOST_PARTS) {
    m.log.warn({ agent: from, index: part.index }, 'part of a registration ignored')
    return false
  }
  parts.push(part)
  reregistering.set(from, parts)
  m.link(from)
  return true
}

/** The message with all parts that came before it; undefined if some are missing. */
function whole(m: MasterContext, message: ReregisterAgent, from: Pid): ReregisterAgent | undefined {
  const parts = m.state.reregistering.get(from) ?? []
  m.state.reregistering.delete(from)
  if (!message.parts) return message
  if (parts.length !== message.parts) return undefined
  const all = [...parts, message]
  return {
    ...message,
    tasks: all.flatMap(({ tasks }) => tasks),
    executor_infos: all.flatMap(({ executor_infos: infos }) => infos),
    frameworks: all.flatMap(({ frameworks }) => frameworks),
  }
}

/** Served once the registry has the agent; a repeated request is dropped meanwhile. */
export async function reregisterAgent(
  m: MasterContext,
  last: ReregisterAgent,
  from: Pid,
): Promise<void> {
  const { state } = m
  const message = whole(m, last, from)
  if (!message) {
    m.log.warn({ agent: from, parts: last.parts }, 'registration ignored: parts of it are missing')
    return
  }
  const id = message.agent.id?.value
  if (id === undefined || id === '') return registerAgent(m, message, from)
  const refusal = whyRefused(m, id, message.agent, from)
  if (refusal !== undefined) return refuseAgent(m, from, refusal, id)
  const other = state.agentsByPid.get(from)
  const replaced = other?.id === id ? undefined : other
  // Those who are not answered ask again.
  if (state.registering.has(id) || (replaced && state.registering.has(replaced.id))) return
  if (tellOutdated(m, id, message, from)) return
  state.registering.add(id)
  const asking = watchAsking(m, from)
  let back: AgentRecord | undefined
  try {
    // Nobody else adds or removes an agent that is registering, but its connection may break.
    const known = state.agents.get(id)
    const ended = endedTasks(m, known)
    if (known && known.pid !== from) disconnectAgent(m, known)
    const wasConnected = known?.connected ?? false
    if (replaced) {
      await dropAgent(m, replaced, REPLACED)
      m.link(from)
    }
    await register(m, id, message.agent, from)
    if (wasConnected && !known?.connected) return
    const failedOver = state.recoveredAgents.delete(id)
    const agent = known
      ? returned(m, known, message, from)
      : addAgent(m, message.agent, from, message)
    agent.reregisteredAtMs = m.now()
    // While it was connected nothing of it was lost here: the books are right, and newer than this message.
    if (!wasConnected) adopt(m, agent, message, !failedOver)
    // Of another attempt that it began meanwhile, and gives up now.
    state.reregistering.delete(from)
    if (asking.lost) return disconnectAgent(m, agent)
    const reconciliations = missingTasks(m, agent, message, ended)
    m.tellAgent(agent, 'reregistered', {
      agent_id: { value: id },
      connection: connection(m),
      reconciliations,
      registration: newRegistration(m, id),
      ...drainOf(m, id),
    })
    for (const record of state.tasksOf(agent)) if (record.kill) tellKill(m, agent, record)
    m.metrics.count('slave_reregistrations')
    m.log.info({ agent_id: id, pid: from, tasks: message.tasks.length }, 'agent registered again')
    back = agent
  } finally {
    state.registering.delete(id)
    state.asking.delete(from)
  }
  if (!back) return
  m.mayBeDrained(back)
  await endOnDownMachine(m, back)
}

/**
 * The books are made after what the agent says it runs. If it said so before it had our last answer, then tasks followed on
 * that answer which are not in its list and may still come to it, or run by now. It is told the name of the answer, which
 * travels behind all that was sent with it; when it knows that name, its list is complete.
 */
function tellOutdated(
  m: MasterContext,
  id: string,
  { registration }: ReregisterAgent,
  from: Pid,
): boolean {
  const { agents, registrations } = m.state
  const known = agents.get(id)
  const last = registrations.get(id)
  // While it was connected all the time the books are right.
  if (last === undefined || registration === last || (known?.connected && known.pid === from)) {
    return false
  }
  m.tellAgent(from, 'ping', { connected: false, registration: last })
  return true
}

/** Agents that are told to end. */
function whyRefused(m: MasterContext, id: string, info: AgentInfo, from: Pid): string | undefined {
  if (m.registryView.gone.has(id)) return 'Agent has been marked gone'
  const invalid = validateAgent(m, info, from)
  if (invalid !== undefined) return invalid
  const known = m.state.agents.get(id)
  if (!known) return undefined
  const moved = hostOf(known.pid) !== hostOf(from) || known.info.hostname !== info.hostname
  return moved ? 'Agent attempted to reregister with different IP / hostname' : undefined
}

const hostOf = (pid: Pid): string | undefined => parseAddress(addressOf(pid))?.host

async function register(m: MasterContext, id: string, info: AgentInfo, from: Pid): Promise<void> {
  const cause = { by: from, why: 're-registration' }
  // An agent that the registry does not know is taken as it is: it may have forgotten those who were away for long.
  await m.registry({ type: 'mark_agent_reachable', info, cause })
  const registered = m.registryView.agents.get(id)
  if (registered && !sameAgent(registered, info))
    await m.registry({ type: 'update_agent', info, cause })
}

function sameAgent(a: AgentInfo, b: AgentInfo): boolean {
  return (
    a.hostname === b.hostname &&
    a.port === b.port &&
    Resources.of(a.resources).equals(Resources.of(b.resources)) &&
    sameJson(a.attributes ?? [], b.attributes ?? []) &&
    sameJson(a.domain, b.domain)
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
  if (!sameAgent(agent.info, message.agent)) {
    for (const offer of [...agent.offers.values()]) rescindOffer(m, offer)
    agent.total = Resources.of(message.agent.resources)
    m.allocator.updateAgent(agent.id, agent.total)
  }
  agent.info = message.agent
  agent.version = message.version
  agent.capabilities = message.agent_capabilities
  agent.connected = true
  agent.pinged = false
  agent.missedPongs = 0
  m.link(from)
  followService(m, agent)
  m.changed()
  return agent
}
