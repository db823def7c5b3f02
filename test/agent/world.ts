// One agent and a scripted master in a simulated world.

import type { Runtime } from '../../src/actors/runtime.ts'
import { Checkpoints } from '../../src/agent/checkpoint/checkpoints.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { recoverAgent, type RecoverAgentOptions } from '../../src/agent/recover-agent.ts'
import { DEFAULT_SETTINGS } from '../../src/agent/settings.ts'
import { startAgent } from '../../src/agent/start.ts'
import { collectingLogger, type CollectingLogger } from '../../src/base/log.ts'
import type { FrameworkInfo } from '../../src/messages/framework.ts'
import type { ExecutorInfo, TaskInfo } from '../../src/messages/task.ts'
import { parseAttributes, parseResources } from '../../src/resources/parse.ts'
import { MemoryCheckpoints } from '../../src/sim/memory-checkpoints.ts'
import { MemoryFiles } from '../../src/sim/memory-files.ts'
import { VirtualProbes } from '../../src/sim/virtual-probes.ts'
import { VirtualProcesses, type VirtualProcessesOptions } from '../../src/sim/virtual-processes.ts'
import { World } from '../../src/sim/world.ts'
import { FakeMaster } from './fake-master.ts'

export const MASTER = '10.0.0.1:5050'
export const AGENT = '10.0.0.2:5051'
export const EXECUTOR = '10.0.0.2:0'

export interface Scene {
  readonly world: World
  readonly log: CollectingLogger
  readonly files: MemoryFiles
  readonly processes: VirtualProcesses
  readonly probes: VirtualProbes
  readonly shutdowns: string[]
  agent: Runtime
  master: FakeMaster
  readonly checkpoints: MemoryCheckpoints
  /** The agent's process dies, and with it what does not survive it. */
  crashAgent(): void
  /** Starts an agent where there was one. */
  restartAgent(more?: Partial<AgentOptions & RecoverAgentOptions>): Promise<void>
  /** Starts a master where there is none. */
  startMaster(): FakeMaster
  /** Runs until the last state of a task is this one. */
  reaches(taskId: string, state: string): Promise<void>
  /** The agent's answer to a GET. */
  get(path: string): Promise<{ status: number; body: string }>
}

export interface SceneOptions {
  readonly options?: Partial<AgentOptions>
  readonly program?: VirtualProcessesOptions['program']
  readonly launchMs?: number
  /** False: no master yet, and nothing has happened. */
  readonly master?: boolean
}

export async function scene(given: SceneOptions = {}): Promise<Scene> {
  const log = collectingLogger()
  const world = new World({ log })
  const files = new MemoryFiles(world.clock)
  const processes = new VirtualProcesses({
    clock: world.clock,
    files,
    ...(given.program && { program: given.program }),
    ...(given.launchMs !== undefined && { launchMs: given.launchMs }),
  })
  const shutdowns: string[] = []
  const probes = new VirtualProbes()
  const disk = new MemoryCheckpoints()
  const startMaster = (): FakeMaster => {
    const fake = new FakeMaster()
    world.start(MASTER).spawn(fake, 'master')
    made.master = fake
    return fake
  }
  const made: Scene = {
    world,
    log,
    files,
    processes,
    probes,
    shutdowns,
    checkpoints: disk,
    crashAgent: () => {
      world.crash(AGENT)
      processes.agentDied()
    },
    restartAgent: async (more = {}) => {
      made.agent = world.start(AGENT)
      const options = { ...agentOptions(), ...more }
      const recover = { disk, strict: true, policy: 'equal' as const, cleanup: false, log, ...more }
      const recovered = await recoverAgent(options, recover)
      startAgent(made.agent, { ...options, ...(recovered && { recovered }) })
    },
    agent: undefined as never,
    master: undefined as never,
    startMaster,
    reaches: (taskId, state) =>
      world.until(
        () => made.master.states(taskId).at(-1) === state,
        `${taskId}: ${state}`,
        7200_000,
      ),
    get: async path => {
      const [bare = '', query = ''] = path.split('?')
      const answer = made.agent.http({
        method: 'GET',
        path: bare,
        query: new URLSearchParams(query),
        headers: {},
        body: new Uint8Array(),
      })
      await world.settle()
      const { status, body = '' } = await answer
      return { status, body: typeof body === 'string' ? body : new TextDecoder().decode(body) }
    },
  }
  if (given.master !== false) startMaster()
  made.agent = world.start(AGENT)
  const agentOptions = (): AgentOptions => ({
    masters: [MASTER],
    hostname: 'agent.example.org',
    ip: '10.0.0.2',
    port: 5051,
    resources: parseResources('cpus:4;mem:4096;disk:10000;ports:[31000-32000]').list(),
    attributes: parseAttributes('rack:r1;level:10'),
    workDir: '/work',
    runtimeDir: '/run/mesos',
    settings: DEFAULT_SETTINGS,
    printableFlags: { port: '5051' },
    version: '0.1.0',
    environment: { PATH: '/usr/bin:/bin' },
    user: 'root',
    switchUser: true,
    processes,
    probes,
    checkpoints: new Checkpoints({ disk, workDir: '/work', clock: made.agent.clock, log }),
    isolation: new Set(),
    files,
    onShutdown: reason => shutdowns.push(reason),
    ...given.options,
  })
  startAgent(made.agent, agentOptions())
  if (given.master !== false) {
    await world.until(
      () => log.messages('info').includes('registered with the master'),
      'the agent has registered',
    )
  }
  return made
}

export const framework = (
  id: string,
  ...capabilities: readonly string[]
): FrameworkInfo & { id: { value: string } } => ({
  id: { value: id },
  name: `framework ${id}`,
  user: 'root',
  roles: ['conf'],
  capabilities: ['MULTI_ROLE', ...capabilities].map(type => ({ type })),
})

export const AWARE = framework('F1', 'PARTITION_AWARE')

const resources = () => [
  {
    name: 'cpus',
    type: 'SCALAR' as const,
    scalar: { value: 0.1 },
    allocation_info: { role: 'conf' },
  },
  {
    name: 'mem',
    type: 'SCALAR' as const,
    scalar: { value: 32 },
    allocation_info: { role: 'conf' },
  },
]

export const command = (id: string, value: string, more: Partial<TaskInfo> = {}): TaskInfo => ({
  name: id,
  task_id: { value: id },
  agent_id: { value: 'S0' },
  resources: resources(),
  command: { value },
  ...more,
})

/** The executor of groups. */
export const podExecutor = (id = 'pod', more: Partial<ExecutorInfo> = {}): ExecutorInfo => ({
  type: 'DEFAULT',
  executor_id: { value: id },
  framework_id: { value: 'F1' },
  resources: resources(),
  ...more,
})

export const custom = (
  id: string,
  executorId = 'ex',
  more: Partial<ExecutorInfo> = {},
): TaskInfo => ({
  name: id,
  task_id: { value: id },
  agent_id: { value: 'S0' },
  resources: resources(),
  executor: {
    type: 'CUSTOM',
    executor_id: { value: executorId },
    name: 'my executor',
    source: 'conf',
    command: { value: 'my-executor' },
    resources: resources(),
    ...more,
  },
})
