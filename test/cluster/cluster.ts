// A cluster in a simulated world: the real master, agents and schedulers, on virtual disks, processes and network.

import type { Address } from '../../src/actors/pid.ts'
import type { Runtime } from '../../src/actors/runtime.ts'
import { DEFAULT_SETTINGS } from '../../src/agent/settings.ts'
import { startAgent } from '../../src/agent/start.ts'
import { parseFlags } from '../../src/base/flags.ts'
import { collectingLogger, type CollectingLogger } from '../../src/base/log.ts'
import type { Scheduler } from '../../src/framework/scheduler.ts'
import { Log } from '../../src/log/log.ts'
import { masterConfig, masterFlags } from '../../src/master/flags.ts'
import { startMaster } from '../../src/master/start.ts'
import type { TaskState } from '../../src/messages/status.ts'
import { parseResources } from '../../src/resources/parse.ts'
import { MemoryFiles } from '../../src/sim/memory-files.ts'
import { MemoryDisk } from '../../src/sim/memory-storage.ts'
import { VirtualProcesses } from '../../src/sim/virtual-processes.ts'
import { World } from '../../src/sim/world.ts'
import { MASTER } from './batch.ts'

export interface AgentHost {
  readonly address: Address
  runtime: Runtime
  processes: VirtualProcesses
}

/** What `/state` shows, as far as tests look. */
export interface StateView {
  readonly slaves: readonly {
    readonly id: string
    readonly pid: string
    readonly active: boolean
    readonly used_resources: { readonly cpus: number }
    readonly offered_resources: { readonly cpus: number }
  }[]
  readonly frameworks: readonly {
    readonly id: string
    readonly connected: boolean
    readonly recovered: boolean
    readonly used_resources: { readonly cpus: number }
    readonly tasks: readonly { readonly id: string; readonly state: TaskState }[]
    readonly completed_tasks: readonly { readonly id: string; readonly state: TaskState }[]
  }[]
  readonly completed_frameworks: readonly { readonly id: string }[]
}

export class Cluster {
  readonly world: World
  readonly log: CollectingLogger = collectingLogger('info')
  readonly disk = new MemoryDisk()
  readonly agents: AgentHost[] = []
  master!: Runtime
  #schedulers = 0

  constructor(seed = 1) {
    this.world = new World({ seed, log: this.log })
  }

  async startMaster(argv: readonly string[] = []): Promise<void> {
    const parsed = parseFlags(masterFlags, { argv, env: {}, readFile: () => '' })
    if (!parsed.ok) throw new Error(parsed.errors.join('\n'))
    this.master = this.world.start(MASTER)
    const storage = this.disk.storage(this.master.clock)
    const log = await Log.open({ storage, quorum: 1 })
    startMaster(this.master, { config: masterConfig(parsed.values), hostname: '10.0.0.1', log })
    await this.world.settle()
  }

  crashMaster(): void {
    this.world.crash(MASTER)
    this.disk.crash()
  }

  startAgent(resources = 'cpus:4;mem:4096;disk:10000;ports:[31000-32000]'): AgentHost {
    const address = `10.0.1.${this.agents.length + 1}:5051`
    const host: AgentHost = { address, runtime: undefined as never, processes: undefined as never }
    this.agents.push(host)
    this.#startAgent(host, resources)
    return host
  }

  restartAgent(host: AgentHost): void {
    this.#startAgent(host, 'cpus:4;mem:4096;disk:10000;ports:[31000-32000]')
  }

  #startAgent(host: AgentHost, resources: string): void {
    const files = new MemoryFiles(this.world.clock)
    host.runtime = this.world.start(host.address)
    host.processes = new VirtualProcesses({ clock: this.world.clock, files })
    startAgent(host.runtime, {
      masters: [MASTER],
      hostname: host.address.split(':')[0]!,
      ip: host.address.split(':')[0]!,
      port: 5051,
      resources: parseResources(resources).list(),
      attributes: [],
      workDir: '/work',
      runtimeDir: '/run/mesos',
      settings: DEFAULT_SETTINGS,
      printableFlags: {},
      version: '0.1.0',
      environment: { PATH: '/usr/bin:/bin' },
      user: 'root',
      processes: host.processes,
      files,
    })
  }

  crashAgent(host: AgentHost): void {
    this.world.crash(host.address)
  }

  /** Starts a scheduler in a process of its own, one that does not listen. */
  run<T extends Scheduler>(scheduler: T): { readonly scheduler: T; readonly address: Address } {
    const address = `framework-${++this.#schedulers}:0`
    scheduler.fillIn({ user: 'root', hostname: 'client' })
    this.world.start(address).spawn(scheduler)
    return { scheduler, address }
  }

  async state(): Promise<StateView> {
    const answer = this.master.http({
      method: 'GET',
      path: '/state',
      query: new URLSearchParams(),
      headers: {},
      body: new Uint8Array(),
    })
    await this.world.settle()
    const { body } = await answer
    return JSON.parse(String(body)) as StateView
  }

  until(reached: () => boolean, what: string, limitMs?: number): Promise<void> {
    return this.world.until(reached, what, limitMs)
  }
}
