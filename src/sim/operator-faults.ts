// What operators do to a cluster that works: they drain agents, mark them gone, and take machines down for maintenance. They
// undo it later, and what they could not undo when all is to be whole again, `makeWhole` does.

import type { HttpResponse } from '../actors/http.ts'
import { seconds } from '../base/duration.ts'
import type { RegistrySnapshot } from '../master/registry/operations.ts'
import { type AgentHost, type Cluster, MASTER, type StateView } from './cluster.ts'
import type { FaultContext, Strike } from './fault.ts'

const PAUSE_MS = seconds(5)
/** A supervisor's. */
const RESTART_MS = seconds(2)
/** Why agents end that an operator wants to. */
const WANTED = [
  'Agent has been marked gone',
  "Operator initiated 'Machine DOWN'",
  'Machine is `DOWN`',
]

/** Nothing if the master does not lead; it may also never answer. */
async function said(cluster: Cluster, path: string, body?: object): Promise<string | undefined> {
  if (cluster.isDown(MASTER)) return undefined
  const { status, body: text }: HttpResponse = await cluster.request(path, body)
  return status === 200 ? String(text) : undefined
}

const call = (cluster: Cluster, body: object): Promise<string | undefined> =>
  said(cluster, '/api/v1', body)

async function pickAgent(f: FaultContext): Promise<StateView['slaves'][number] | undefined> {
  const text = await said(f.cluster, '/state')
  if (text === undefined) return undefined
  const { slaves } = JSON.parse(text) as StateView
  return slaves.length > 0 ? f.pick(slaves) : undefined
}

async function drainOne(f: FaultContext): Promise<void> {
  const { cluster, random, note, later } = f
  const agent = await pickAgent(f)
  if (!agent) return
  const agent_id = { value: agent.id }
  const drains = random.next() < 0.7
  const grace = f.pick([undefined, 0, 1])
  note(`an operator ${drains ? 'drains' : 'deactivates'} ${agent.id}`)
  const max_grace_period = grace === undefined ? {} : { max_grace_period: { seconds: grace } }
  await call(
    cluster,
    drains
      ? { type: 'DRAIN_AGENT', drain_agent: { agent_id, ...max_grace_period } }
      : { type: 'DEACTIVATE_AGENT', deactivate_agent: { agent_id } },
  )
  later(random.next() ** 2 * seconds(120), () => {
    note(`an operator reactivates ${agent.id}`)
    void call(cluster, { type: 'REACTIVATE_AGENT', reactivate_agent: { agent_id } })
  })
}

async function markOneGone(f: FaultContext): Promise<void> {
  const { cluster, random, note } = f
  const agent = await pickAgent(f)
  if (!agent) return
  const agent_id = { value: agent.id }
  note(`an operator gives ${agent.id} up`)
  await call(
    cluster,
    random.next() < 0.5
      ? { type: 'DRAIN_AGENT', drain_agent: { agent_id, mark_gone: true } }
      : { type: 'MARK_AGENT_GONE', mark_agent_gone: { agent_id } },
  )
}

async function maintain(f: FaultContext): Promise<void> {
  const { cluster, random, note, later } = f
  const hosts = cluster.agents.filter(() => random.next() < 0.3).map(hostOf)
  const machine_ids = hosts.map(ip => ({ hostname: ip, ip }))
  const unavailability = { start: { nanoseconds: cluster.world.clock.now() * 1e6 } }
  note(`an operator schedules maintenance of ${hosts.join(', ')}`)
  await said(cluster, '/maintenance/schedule', {
    windows: machine_ids.length > 0 ? [{ machine_ids, unavailability }] : [],
  })
  if (machine_ids.length === 0) return
  const one = [f.pick(machine_ids)]
  later(random.next() * seconds(30), () => {
    note(`an operator takes ${one[0]!.ip} down`)
    void said(cluster, '/machine/down', one)
  })
  later(seconds(30) + random.next() * seconds(60), () => {
    note(`an operator brings ${one[0]!.ip} up`)
    void said(cluster, '/machine/up', one)
  })
}

const hostOf = ({ address }: AgentHost): string => address.split(':')[0]!

const begun =
  (work: (f: FaultContext) => Promise<void>): Strike =>
  f =>
    void work(f)

export const OPERATOR_FAULTS = {
  drain: begun(drainOne),
  'agent gone': begun(markOneGone),
  maintenance: begun(maintain),
} as const satisfies Record<string, Strike>

/** Whether an agent ends because an operator wants it to; another one is started in its place. */
export function replacedByOperator(cluster: Cluster, host: AgentHost, reason: string): boolean {
  if (!WANTED.includes(reason)) return false
  const { clock } = cluster.world
  const { runtime } = host
  clock.delay(RESTART_MS, () => {
    if (host.runtime !== runtime || cluster.isDown(host.address)) return
    cluster.crashAgent(host)
    clock.delay(RESTART_MS, () => {
      if (cluster.isDown(host.address)) cluster.restartAgent(host)
    })
  })
  return true
}

/** All agents are put back into service, and no maintenance is planned; tried until it is so. */
export async function makeWhole(cluster: Cluster): Promise<void> {
  const again = (): void => void cluster.world.clock.delay(PAUSE_MS, () => void makeWhole(cluster))
  // A master that does not answer at all is asked once more, too.
  const found = await Promise.race([
    said(cluster, '/registrar(1)/registry'),
    new Promise<undefined>(resolve => {
      cluster.world.clock.delay(PAUSE_MS, () => resolve(undefined))
    }),
  ])
  if (found === undefined) return again()
  const { deactivated = [], schedule, down = [] } = JSON.parse(found) as RegistrySnapshot
  if (deactivated.length === 0 && !schedule) return
  for (const { id: agent_id } of deactivated) {
    void call(cluster, { type: 'REACTIVATE_AGENT', reactivate_agent: { agent_id } })
  }
  if (down.length > 0) void said(cluster, '/machine/up', down)
  else if (schedule) void said(cluster, '/maintenance/schedule', { windows: [] })
  again()
}
