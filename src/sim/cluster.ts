// A cluster in a simulated world: the real master, agents and schedulers, on virtual disks, processes and network.

import type { HttpResponse } from '../actors/http.ts'
import type { Limits } from '../actors/limits.ts'
import type { Address } from '../actors/pid.ts'
import type { Runtime } from '../actors/runtime.ts'
import { Checkpoints } from '../agent/checkpoint/checkpoints.ts'
import type { AgentOptions } from '../agent/options.ts'
import type { LaunchSpec } from '../agent/processes.ts'
import { recoverAgent } from '../agent/recover-agent.ts'
import { DEFAULT_SETTINGS } from '../agent/settings.ts'
import { startAgent } from '../agent/start.ts'
import { parseFlags } from '../base/flags.ts'
import { type Logger, silentLogger } from '../base/log.ts'
import { messageOf } from '../base/errors.ts'
import { SeededRandom } from '../base/random.ts'
import type { Scheduler } from '../framework/scheduler.ts'
import { Log } from '../log/log.ts'
import { masterConfig, masterFlags } from '../master/flags.ts'
import { type StartMasterOptions, startMaster } from '../master/start.ts'
import type { TaskState } from '../messages/status.ts'
import { parseResources } from '../resources/parse.ts'
import { MemoryCheckpoints } from './memory-checkpoints.ts'
import { MemoryFiles } from './memory-files.ts'
import type { UnsyncedFate } from './memory-storage.ts'
import { VirtualDisk } from './virtual-disk.ts'
import { VirtualProbes } from './virtual-probes.ts'
import { VirtualProcesses, type VirtualProgram } from './virtual-processes.ts'
import { World } from './world.ts'

/** Where the simulated cluster's master listens. */
export const MASTER = '10.0.0.1:5050'

/** Small, so that segments are closed, read and given back all the time. */
const SEGMENT_BYTES = 8 * 1024

const AGENT_RESOURCES = 'cpus:4;mem:4096;disk:10000;ports:[31000-32000]'

/** After a master ended since its disk was full. */
const RESTART_MS = 1_000

export interface AgentHost {
  readonly address: Address
  /** What the machine has, as `--resources` would say it. */
  resources: string
  runtime: Runtime
  processes: VirtualProcesses
  files: MemoryFiles
  /** What its agents write down for their successors. */
  checkpoints: MemoryCheckpoints
}

export interface ClusterOptions {
  /** Default: silent. */
  readonly log?: Logger
  readonly masterFlags?: readonly string[]
  /** What tasks do, where that is not what `shellProgram` makes of their commands. */
  readonly program?: (host: AgentHost, spec: LaunchSpec) => VirtualProgram
  /** From an agent's launch of a process to its first instruction; default 0. */
  readonly launchMs?: number
  /** Looks at the books of each master that starts. */
  readonly inspect?: StartMasterOptions['inspect']
  /** As in `WorldOptions`. */
  readonly isolate?: boolean
  /** Hears of what checks find, as `WorldOptions.onProblem`. */
  readonly onProblem?: (text: string) => void
  /** Of all its processes. */
  readonly limits?: Partial<Limits>
  /** An agent was told to end, by a master that does not want it. */
  readonly onAgentShutdown?: (host: AgentHost, reason: string) => void
}

interface Amounts {
  readonly cpus: number
  readonly mem: number
}

interface TaskView {
  readonly id: string
  readonly slave_id: string
  readonly state: TaskState
}

/** What `/state` shows, as far as somebody here looks. */
export interface StateView {
  readonly slaves: readonly {
    readonly id: string
    readonly pid: string
    readonly active: boolean
    readonly resources: Amounts
    readonly used_resources: Amounts
    readonly offered_resources: Amounts
  }[]
  readonly frameworks: readonly {
    readonly id: string
    readonly connected: boolean
    readonly recovered: boolean
    readonly used_resources: Amounts
    readonly tasks: readonly TaskView[]
    readonly completed_tasks: readonly TaskView[]
    readonly unreachable_tasks: readonly TaskView[]
    readonly offers: readonly { readonly id: string; readonly slave_id: string }[]
  }[]
  readonly completed_frameworks: readonly { readonly id: string }[]
}

export class Cluster {
  readonly world: World
  /** The master's. */
  readonly disk: VirtualDisk
  readonly agents: AgentHost[] = []
  master!: Runtime
  /** Why a master could not be started; the next `settle` of a test would not see it otherwise. */
  readonly failures: string[] = []
  readonly #options: ClusterOptions
  #schedulers = 0

  constructor(seed = 1, options: ClusterOptions = {}) {
    this.#options = options
    const { log = silentLogger, onProblem, limits, isolate = true } = options
    this.world = new World({
      seed,
      log,
      isolate,
      ...(onProblem && { onProblem }),
      ...(limits && { limits }),
    })
    this.disk = new VirtualDisk(new SeededRandom([seed, 3]))
  }

  isDown(address: Address): boolean {
    return !this.world.isAlive(address)
  }

  async startMaster(): Promise<void> {
    this.bootMaster()
    await this.world.settle()
    if (this.failures.length > 0) throw new Error(this.failures.join('\n'))
  }

  /** Starts the master in this turn of the world; it leads some turns later. */
  bootMaster(): void {
    const { masterFlags: argv = [], inspect } = this.#options
    const parsed = parseFlags(masterFlags, { argv, env: {}, readFile: () => '' })
    if (!parsed.ok) throw new Error(parsed.errors.join('\n'))
    const config = masterConfig(parsed.values)
    const runtime = this.world.start(MASTER)
    this.master = runtime
    // The master before it may have ended by itself.
    if (this.disk.inUse) this.disk.crash()
    const storage = this.disk.storage(runtime.clock, SEGMENT_BYTES)
    Log.open({ storage, quorum: 1 }).then(
      log => {
        // A master that died while it read its disk starts nothing.
        if (this.master !== runtime || this.isDown(MASTER)) return
        startMaster(runtime, { config, hostname: '10.0.0.1', log, ...(inspect && { inspect }) })
      },
      (error: unknown) => {
        const why = messageOf(error)
        if (!why.includes('ENOSPC')) return void this.failures.push(`the log did not open: ${why}`)
        // It ends with a message, and whoever watches it starts it again.
        this.world.clock.delay(RESTART_MS, () => {
          if (this.master !== runtime || this.isDown(MASTER)) return
          this.crashMaster()
          this.bootMaster()
        })
      },
    )
  }

  crashMaster(fate?: UnsyncedFate): void {
    if (this.isDown(MASTER)) return
    this.world.crash(MASTER)
    this.disk.crash(fate)
  }

  startAgent(resources = AGENT_RESOURCES): AgentHost {
    const address = `10.0.1.${this.agents.length + 1}:5051`
    const host = { address, resources } as AgentHost
    this.agents.push(host)
    this.restartAgent(host)
    return host
  }

  /** Starts an agent on a machine where none runs. */
  restartAgent(host: AgentHost): void {
    const { clock } = this.world
    const runtime = this.world.start(host.address)
    host.runtime = runtime
    host.files ??= new MemoryFiles(clock)
    host.checkpoints ??= new MemoryCheckpoints()
    host.processes ??= this.#processesOf(host)
    host.processes.parent = this.world.process(host.address)
    const options = this.#agentOptions(host)
    const { log } = runtime
    const recover = { disk: host.checkpoints, strict: true, policy: 'additive', log } as const
    recoverAgent(options, { ...recover, cleanup: false })
      // What an operator does about it.
      .catch(() => recoverAgent(options, { ...recover, cleanup: true }))
      .then(
        recovered => {
          if (host.runtime !== runtime || this.isDown(host.address)) return
          startAgent(runtime, { ...options, ...(recovered && { recovered }) })
        },
        (error: unknown) => void this.failures.push(`an agent did not start: ${messageOf(error)}`),
      )
  }

  #processesOf(host: AgentHost): VirtualProcesses {
    const { program, launchMs } = this.#options
    return new VirtualProcesses({
      clock: this.world.clock,
      // What is being launched when the agent dies is never started.
      parent: this.world.process(host.address),
      files: host.files,
      ...(launchMs !== undefined && { launchMs }),
      ...(program && { program: spec => program(host, spec) }),
    })
  }

  #agentOptions(host: AgentHost): AgentOptions {
    const { onAgentShutdown } = this.#options
    const { files, processes, checkpoints: disk, runtime } = host
    const { clock, log } = runtime
    return {
      masters: [MASTER],
      hostname: host.address.split(':')[0]!,
      ip: host.address.split(':')[0]!,
      port: 5051,
      resources: parseResources(host.resources).list(),
      attributes: [],
      workDir: '/work',
      runtimeDir: '/run/mesos',
      settings: DEFAULT_SETTINGS,
      printableFlags: {},
      version: '0.1.0',
      environment: { PATH: '/usr/bin:/bin' },
      user: 'root',
      switchUser: true,
      processes,
      probes: new VirtualProbes(),
      isolation: new Set(),
      files,
      checkpoints: new Checkpoints({ disk, workDir: '/work', clock, log }),
      ...(onAgentShutdown && { onShutdown: reason => onAgentShutdown(host, reason) }),
    }
  }

  /** The agent dies, and with it all that does not survive it, as its guard would see to. */
  crashAgent(host: AgentHost): void {
    if (this.isDown(host.address)) return
    this.world.crash(host.address)
    host.processes.agentDied()
  }

  /** The whole machine does: nothing that ran leaves a trace, what was written does. */
  crashMachine(host: AgentHost): void {
    this.crashAgent(host)
    host.processes.rebooted()
  }

  /** Starts a scheduler in a process of its own, one that does not listen; `address`: where another one was before. */
  run<T extends Scheduler>(
    scheduler: T,
    address = `framework-${++this.#schedulers}:0`,
  ): { readonly scheduler: T; readonly address: Address } {
    scheduler.fillIn({ user: 'root', hostname: 'client' })
    this.world.start(address).spawn(scheduler)
    return { scheduler, address }
  }

  /** What the master's `/state` answers. Throws if there is no leading master. */
  async state(): Promise<StateView> {
    const state = await this.stateIfLeading()
    if (!state) throw new Error('the master does not lead')
    return state
  }

  async stateIfLeading(): Promise<StateView | undefined> {
    if (this.isDown(MASTER)) return undefined
    const answer = this.request('/state')
    await this.world.settle()
    // One that still starts has no such actor yet, or does not answer before it leads.
    const response = await Promise.race([answer, Promise.resolve(undefined)])
    if (response?.status !== 200) return undefined
    const { body } = response
    return JSON.parse(String(body)) as StateView
  }

  /** What the master's process answers to a GET, or to a POST of this body. */
  request(path: string, body?: object): Promise<HttpResponse> {
    return this.master.http({
      method: body ? 'POST' : 'GET',
      path,
      query: new URLSearchParams(),
      headers: body ? { 'content-type': 'application/json' } : {},
      body: new TextEncoder().encode(body && JSON.stringify(body)),
    })
  }

  until(reached: () => boolean, what: string, limitMs?: number): Promise<void> {
    return this.world.until(reached, what, limitMs)
  }
}
