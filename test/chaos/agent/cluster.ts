// The cluster that is struck: one master or three, and an agent, as real processes; and what is left of it on this machine.

import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { freePorts } from '../../../bench/ports.ts'
import * as leaks from './leaks.ts'
import { Supervised } from './supervised.ts'

export interface ClusterOptions {
  readonly dir: string
  readonly launcher: 'posix' | 'linux'
  readonly masters: number
  /** How long sandboxes are kept. */
  readonly gcDelay: string
  readonly problem: (text: string) => void
}

const ISOLATION =
  '--isolation=filesystem/linux,cgroups/cpu,cgroups/mem,cgroups/pids,namespaces/pid,namespaces/ipc'
const ASK_LIMIT_MS = 5_000

export const EXECUTOR = resolve('build/test/chaos/agent/executor.js')

interface MasterState {
  readonly slaves: readonly { readonly used_resources: { readonly cpus: number } }[]
  readonly frameworks: readonly {
    readonly name: string
    readonly tasks: readonly { readonly id: string }[]
    readonly executors?: readonly { readonly executor_id: string }[]
  }[]
}

export class Cluster {
  readonly traces: leaks.Traces
  readonly journal: string
  readonly #o: ClusterOptions
  readonly #masters = new Map<string, Supervised>()
  #agent!: Supervised
  #agentArgs: readonly string[] = []
  readonly #namespaces = new leaks.SeenNamespaces()

  constructor(options: ClusterOptions) {
    this.#o = options
    const name = options.dir.slice(options.dir.lastIndexOf('/') + 1)
    this.traces = { dir: options.dir, cgroupsRoot: `chaos_${process.pid}_${name}` }
    this.journal = join(options.dir, 'journal')
  }

  /** `host:port` of all masters, with commas between. */
  get address(): string {
    return [...this.#masters.keys()].join()
  }

  async start(): Promise<void> {
    const { dir, launcher, masters, gcDelay, problem } = this.#o
    mkdirSync(this.journal, { recursive: true, mode: 0o777 })
    const [port = 0, ...ports] = await freePorts(1 + masters)
    const addresses = ports.map(it => `127.0.0.1:${it}`)
    for (const [i, address] of addresses.entries()) {
      const workDir = join(dir, `master-${i}`)
      mkdirSync(workDir)
      const args = ['--ip=127.0.0.1', `--port=${address.split(':')[1]}`, `--work_dir=${workDir}`]
      if (masters > 1) args.push(`--masters=${addresses.join()}`)
      this.#masters.set(
        address,
        new Supervised({
          program: 'mesos-master',
          args,
          logFile: join(dir, `master-${i}.log`),
          temporary: dir,
          ready: /./,
          ended: how => {
            // One that does not lead any more ends, as it should.
            if (masters === 1) problem(`the master ended by itself: ${how}`)
          },
        }),
      )
    }
    mkdirSync(this.workDir)
    this.#agentArgs = [
      `--master=${this.address}`,
      '--ip=127.0.0.1',
      `--port=${port}`,
      `--work_dir=${this.workDir}`,
      `--runtime_dir=${this.runtimeDir}`,
      '--resources=cpus:64;mem:65536;disk:10000;ports:[31000-32000]',
      '--registration_backoff_factor=200ms',
      `--gc_delay=${gcDelay}`,
      '--disk_watch_interval=1secs',
      `--launcher=${launcher}`,
      ...(launcher === 'linux' ? [ISOLATION, `--cgroups_root=${this.traces.cgroupsRoot}`] : []),
    ]
    this.#agent = new Supervised({
      program: 'mesos-agent',
      args: this.#agentArgs,
      logFile: join(dir, 'agent.log'),
      temporary: dir,
      ready: /registered with the master|back with the master/,
      ended: how => problem(`the agent ended by itself: ${how}`),
    })
    for (const master of this.#masters.values()) master.start()
    this.#agent.start()
  }

  get workDir(): string {
    return join(this.#o.dir, 'agent')
  }

  get runtimeDir(): string {
    return join(this.#o.dir, 'agent-run')
  }

  /** All masters and the agent run, and know each other. */
  get isReady(): boolean {
    return this.#agent.isReady && [...this.#masters.values()].every(master => master.isReady)
  }

  killAgent(downMs: number): boolean {
    this.#namespaces.look(leaks.processesOf(this.traces))
    return this.#agent.kill(downMs)
  }

  /** The leading one, if one leads. */
  async killMaster(downMs: number): Promise<boolean> {
    const leader = this.#masters.size === 1 ? this.address : await this.#leader()
    return this.#masters.get(leader ?? '')?.kill(downMs) ?? false
  }

  /** One of those that run. Its id; undefined if none does. */
  killExecutor(part: number): string | undefined {
    const found = leaks.processesOf(this.traces)
    this.#namespaces.look(found)
    const executors = found.filter(
      ({ words }) => words[0] === process.execPath && words.includes(EXECUTOR),
    )
    const victim = executors[Math.floor(part * executors.length)]
    if (!victim) return undefined
    try {
      process.kill(victim.pid, 'SIGKILL')
    } catch {
      return undefined
    }
    return victim.environment.get('MESOS_EXECUTOR_ID')
  }

  journalOf(id: string): string[] {
    try {
      return readFileSync(join(this.journal, id), 'utf8').trimEnd().split('\n')
    } catch {
      return []
    }
  }

  /** What there still is of tasks and executors that have all ended. */
  async remains(): Promise<string[]> {
    const { traces } = this
    const all = leaks.processesOf(traces)
    const own = new Set([this.#agent.pid, ...[...this.#masters.values()].map(master => master.pid)])
    const guards = all.filter(leaks.isGuard)
    const others = all.filter(it => !own.has(it.pid) && !guards.includes(it))
    const master = await this.#masterState()
    return [
      ...others.map(({ pid }) => `process ${pid}: ${leaks.commandOf(pid)}`),
      ...(guards.length > 1 ? guards.map(({ pid }) => `one guard of several: ${pid}`) : []),
      ...leaks.groupsOf(traces).map(group => `control group ${group}`),
      ...leaks.mountsOf(traces).map(mount => `mount ${mount}`),
      ...leaks.heldNamespaces(this.#agent.pid ?? 0).map(it => `namespace held by the agent: ${it}`),
      ...this.#namespaces.inhabitants().map(it => `namespace of process ${it}`),
      ...leaks.containersIn(this.runtimeDir).map(id => `record of container ${id}`),
      ...leaks.checkpointsIn(this.workDir).map(path => `checkpoint ${path}`),
      ...master,
    ]
  }

  /** Sandboxes that are not removed yet. */
  sandboxes(): string[] {
    return leaks.sandboxesIn(this.workDir)
  }

  logs(): { readonly name: string; readonly text: string }[] {
    const { dir } = this.#o
    return readdirSync(dir)
      .filter(name => name.endsWith('.log'))
      .map(name => ({ name, text: readFileSync(join(dir, name), 'utf8') }))
  }

  /** Ends everything in order. What is left after that. */
  async stop(): Promise<string[]> {
    await this.#agent.stop()
    await this.#cleanUp()
    await Promise.all([...this.#masters.values()].map(master => master.stop()))
    const left = (): string[] => [
      ...leaks.processesOf(this.traces).map(({ pid }) => `process ${pid}: ${leaks.commandOf(pid)}`),
      ...leaks.rootsOf(this.traces),
      ...leaks.mountsOf(this.traces),
    ]
    for (let tries = 0; tries < 50 && left().length > 0; tries++)
      await new Promise(done => setTimeout(done, 100))
    const found = left()
    for (const { pid } of leaks.processesOf(this.traces)) process.kill(pid, 'SIGKILL')
    return found.map(it => `after the end: ${it}`)
  }

  /** Ends what survives its agent. */
  #cleanUp(): Promise<void> {
    const program = resolve('dist/mesos-agent.js')
    const child = spawn(process.execPath, [program, ...this.#agentArgs, '--recover=cleanup'], {
      env: { PATH: process.env['PATH'] ?? '', TMPDIR: this.#o.dir },
      stdio: 'ignore',
      detached: true,
    })
    return new Promise(done => {
      child.once('exit', code => {
        if (code !== 0) this.#o.problem(`--recover=cleanup: status ${code}`)
        done()
      })
    })
  }

  async #leader(): Promise<string | undefined> {
    const asked = [...this.#masters.keys()].map(async address => {
      const answer = await ask(`http://${address}/flags`)
      return answer?.status === 200 ? address : undefined
    })
    return (await Promise.all(asked)).find(it => it !== undefined)
  }

  /** What is on the master's books. */
  async #masterState(): Promise<string[]> {
    const leader = this.#masters.size === 1 ? this.address : await this.#leader()
    const answer = await ask(`http://${leader}/state`)
    const state = answer?.status === 200 ? await answer.json().catch(() => undefined) : undefined
    if (!state) return ['no master shows its state']
    const { slaves, frameworks } = state as MasterState
    return [
      ...(slaves.length === 1 ? [] : [`the master has ${slaves.length} agents`]),
      ...slaves.flatMap(({ used_resources: { cpus } }) =>
        cpus === 0 ? [] : [`${cpus} cpus are used on the master's books`],
      ),
      ...frameworks.flatMap(({ tasks, executors = [] }) => [
        ...tasks.map(({ id }) => `task ${id} on the master's books`),
        ...executors.map(({ executor_id: id }) => `executor ${id} on the master's books`),
      ]),
    ]
  }
}

function ask(url: string): Promise<Response | undefined> {
  const signal = AbortSignal.timeout(ASK_LIMIT_MS)
  return fetch(url, { redirect: 'manual', signal }).catch(() => undefined)
}
