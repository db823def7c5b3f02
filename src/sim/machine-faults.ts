// Faults of machines: processes die or stand still, disks are slow or full, clocks are wrong, addresses change hands.

import type { Address } from '../actors/pid.ts'
import { seconds } from '../base/duration.ts'
import { MASTER } from './cluster.ts'
import type { FaultContext, Strike } from './fault.ts'
import type { UnsyncedFate } from './memory-storage.ts'

const FATES: readonly UnsyncedFate[] = ['lost', 'torn', 'kept']
/** What a machine may have that takes another one's place. */
const MACHINES = [
  'cpus:4;mem:4096;disk:10000;ports:[31000-32000]',
  'cpus:2;mem:1024;disk:10000;ports:[31000-31999]',
  'cpus:8;mem:8192;disk:20000;ports:[31000-32000]',
]

/** Frameworks try again at once, again and again. */
const MOST_REFUSING_S = 8

const crashMaster: Strike = ({ cluster, random, note, later, pick }) => {
  if (cluster.isDown(MASTER)) return
  const fate = pick(FATES)
  const ms = random.next() ** 3 * seconds(60)
  note(`master crashes for ${ms.toFixed(0)} ms; unsynced writes ${fate}`)
  cluster.crashMaster(fate)
  later(ms, () => {
    if (!cluster.isDown(MASTER)) return
    note('master starts')
    cluster.bootMaster()
  })
}

const crashAgent: Strike = ({ cluster, random, note, later, pick }) => {
  const agent = pick(cluster.agents)
  if (cluster.isDown(agent.address)) return
  const ms = random.next() ** 3 * seconds(180)
  const whole = random.next() < 0.25
  note(`${whole ? 'machine of agent' : 'agent'} ${agent.address} crashes for ${ms.toFixed(0)} ms`)
  if (whole) cluster.crashMachine(agent)
  else cluster.crashAgent(agent)
  if (random.next() < 0.2) agent.resources = pick(MACHINES)
  later(ms, () => {
    note(`agent ${agent.address} starts with ${agent.resources}`)
    cluster.restartAgent(agent)
  })
}

function crashScheduler(f: FaultContext, successorAfterMs: number | undefined): void {
  const { frameworks, note } = f
  if (frameworks.addresses.length === 0) return
  const address = f.pick(frameworks.addresses)
  const then = successorAfterMs === undefined ? 'none follows' : `next in ${successorAfterMs} ms`
  note(`scheduler ${address} crashes; ${then}`)
  frameworks.crash(address, successorAfterMs)
}

/** Two schedulers die, and each one's successor is found where the other was. Or one, and its successor is there again. */
const reuseAddress: Strike = f => {
  const { frameworks, random, note } = f
  if (frameworks.addresses.length === 0) return
  const one = f.pick(frameworks.addresses)
  const other = f.pick(frameworks.addresses)
  note(`schedulers ${one} and ${other} crash; their successors take each other's address`)
  const afterMs = (): number => (random.next() < 0.5 ? 0 : random.next() ** 2 * seconds(60))
  frameworks.crash(one, afterMs(), other)
  if (other !== one) frameworks.crash(other, afterMs(), one)
}

const pause: Strike = f => {
  const { cluster, random, note } = f
  const some: Address = f.pick([MASTER, ...f.everyone()])
  const ms = random.next() ** 2 * seconds(200)
  note(`${some} stands still for ${ms.toFixed(0)} ms`)
  cluster.world.pause(some)
  f.later(ms, () => {
    note(`${some} goes on`)
    cluster.world.unpause(some)
  })
}

/** The rate holds at once, the offset for the process that comes next. Until calm, or the next such fault. */
const wrongClock: Strike = f => {
  const { cluster, random, note } = f
  const some = f.pick([MASTER, ...f.everyone()])
  const rate = 0.8 + random.next() * 0.45
  const offsetMs = (random.next() - 0.5) * seconds(3600)
  note(`the clock of ${some} runs at ${rate.toFixed(3)}, later ${offsetMs.toFixed(0)} ms ahead`)
  cluster.world.skew(some, { rate, offsetMs })
}

const slowDisk: Strike = ({ cluster, random, note, later }) => {
  cluster.disk.syncMs = 10 ** (1 + random.next() * 3.5)
  note(`a sync takes ${cluster.disk.syncMs.toFixed(0)} ms`)
  later(random.next() * seconds(60), () => {
    note('a sync takes 1 ms')
    cluster.disk.syncMs = 1
  })
}

const fullDisk: Strike = ({ cluster, random, note, later }) => {
  note("the master's disk is full")
  cluster.disk.full = true
  later(random.next() ** 2 * seconds(60), () => {
    note("there is room on the master's disk")
    cluster.disk.full = false
  })
}

const fullSandboxes: Strike = ({ cluster, random, note, later, pick }) => {
  const agent = pick(cluster.agents)
  note(`the disk of agent ${agent.address} is full`)
  const { files } = agent
  files.failure = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
  later(random.next() ** 2 * seconds(MOST_REFUSING_S), () => {
    note(`there is room on the disk of agent ${agent.address}`)
    files.failure = undefined
  })
}

const noProcesses: Strike = ({ cluster, random, note, later, pick }) => {
  const agent = pick(cluster.agents)
  note(`agent ${agent.address} cannot start processes`)
  const { processes } = agent
  processes.failure = Object.assign(new Error('spawn EAGAIN'), { code: 'EAGAIN' })
  later(random.next() ** 2 * seconds(MOST_REFUSING_S), () => {
    note(`agent ${agent.address} can start processes`)
    processes.failure = undefined
  })
}

const killTask: Strike = ({ cluster, note, pick }) => {
  const { address, processes } = pick(cluster.agents)
  const { living } = processes
  if (living.length === 0) return
  const one = pick(living)
  note(`process ${one.pid} on ${address} is killed from outside`)
  one.end()
}

export const MACHINE_FAULTS = {
  'master crash': crashMaster,
  'agent crash': crashAgent,
  'scheduler crash': f => crashScheduler(f, f.random.next() ** 3 * seconds(120)),
  // Not each time, or nobody would be left.
  'scheduler gone': f => crashScheduler(f, f.random.next() < 0.3 ? undefined : 0),
  'address reuse': reuseAddress,
  pause,
  'wrong clock': wrongClock,
  'slow sync': slowDisk,
  'full disk': fullDisk,
  'full sandboxes': fullSandboxes,
  'no processes': noProcesses,
  'task killed': killTask,
} as const satisfies Record<string, Strike>
