// Real processes for tests: the built commands on loopback, in a directory of their own, with nothing left behind.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import type { Runtime } from '../../src/actors/runtime.ts'
import { silentLogger } from '../../src/base/log.ts'
import type { Scheduler } from '../../src/framework/scheduler.ts'
import { locateMasters } from '../../src/detector/location.ts'
import { openSession } from '../../src/zookeeper/library.ts'

const DIST = resolve('dist')
const PROMPT_MS = 20_000

/** Looks again and again until something is reached; real processes give no other sign. */
export async function until(
  reached: () => boolean | Promise<boolean>,
  what: string,
  limitMs = PROMPT_MS,
): Promise<void> {
  const end = Date.now() + limitMs
  while (!(await reached())) {
    if (Date.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`)
    await new Promise(done => setTimeout(done, 20))
  }
}

/** A command of dist/, its output collected. */
export class Command {
  readonly child: ChildProcess
  readonly name: string
  stdout = ''
  stderr = ''
  exit: { readonly code: number | null; readonly signal: NodeJS.Signals | null } | undefined
  readonly exited: Promise<void>

  /** `stdin` is open to be written to if it is a pipe. */
  constructor(
    name: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    stdin: 'ignore' | 'pipe' = 'ignore',
  ) {
    this.name = name
    this.child = spawn(process.execPath, [join(DIST, `${name}.js`), ...args], {
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', ...env },
      stdio: [stdin, 'pipe', 'pipe'],
      // A session of its own, so that Ctrl-C can be sent to it as a terminal would.
      detached: true,
    })
    this.child.stdout!.on('data', chunk => (this.stdout += String(chunk)))
    this.child.stderr!.on('data', chunk => (this.stderr += String(chunk)))
    this.exited = new Promise(done => {
      this.child.once('close', (code, signal) => {
        this.exit = { code, signal }
        done()
      })
    })
  }

  get output(): string {
    return this.stdout + this.stderr
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.exit) this.child.kill(signal)
  }

  async says(pattern: RegExp, limitMs?: number): Promise<RegExpExecArray> {
    let found: RegExpExecArray | null = null
    const look = (): boolean => {
      found = pattern.exec(this.output)
      if (!found && this.exit)
        throw new Error(`${this.name} ended without ${pattern}:\n${this.output}`)
      return found !== null
    }
    await until(look, `${this.name} says ${pattern}; it said:\n${this.output}`, limitMs)
    return found!
  }
}

/** What `/state` shows, as far as tests look. */
export interface State {
  readonly id: string
  readonly slaves: readonly {
    readonly id: string
    readonly pid: string
    readonly active: boolean
    readonly used_resources: { readonly cpus: number }
  }[]
  readonly frameworks: readonly FrameworkView[]
  readonly completed_frameworks: readonly FrameworkView[]
}

export interface FrameworkView {
  readonly id: string
  readonly name: string
  readonly connected: boolean
  readonly used_resources: { readonly cpus: number }
  readonly tasks: readonly TaskView[]
  readonly completed_tasks: readonly TaskView[]
}

export interface TaskView {
  readonly id: string
  readonly state: string
  readonly slave_id: string
}

export class RealCluster {
  readonly dir = mkdtempSync(join(tmpdir(), 'mesos-test-'))
  readonly #commands: Command[] = []
  readonly #runtimes: Runtime[] = []
  master!: Command
  /** `host:port`, the same after a restart. */
  address = '127.0.0.1:0'
  #agents = 0

  command(
    name: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    stdin: 'ignore' | 'pipe' = 'ignore',
  ): Command {
    const command = new Command(name, args, { TMPDIR: this.dir, ...env }, stdin)
    this.#commands.push(command)
    return command
  }

  async startMaster(more: readonly string[] = []): Promise<void> {
    const port = this.address.split(':')[1]!
    const args = ['--ip=127.0.0.1', `--port=${port}`, `--work_dir=${this.dir}`, ...more]
    this.master = this.command('mesos-master', args)
    const [, address] = await this.master.says(/leading .*address=(\S+)/)
    this.address = address!
  }

  /** Starts an agent and waits until it is registered. */
  async startAgent(
    resources = 'cpus:4;mem:2048;disk:10000;ports:[31000-32000]',
    ...more: readonly string[]
  ): Promise<Command> {
    const name = `agent-${++this.#agents}`
    mkdirSync(join(this.dir, name))
    const agent = this.command('mesos-agent', [
      `--master=${this.address}`,
      '--ip=127.0.0.1',
      '--port=0',
      `--work_dir=${join(this.dir, name)}`,
      `--runtime_dir=${join(this.dir, `${name}-run`)}`,
      `--resources=${resources}`,
      ...more,
    ])
    await agent.says(/registered with the master/)
    return agent
  }

  /** Starts an agent again where one was: `name`, its directories, its port. */
  async restartAgent(name: string, port: number, ...more: readonly string[]): Promise<Command> {
    mkdirSync(join(this.dir, name), { recursive: true })
    return this.command('mesos-agent', [
      `--master=${this.address}`,
      '--ip=127.0.0.1',
      `--port=${port}`,
      `--work_dir=${join(this.dir, name)}`,
      `--runtime_dir=${join(this.dir, `${name}-run`)}`,
      '--resources=cpus:64;mem:65536;disk:10000;ports:[31000-32000]',
      ...more,
    ])
  }

  /** Runs a scheduler inside the test, over a connection of its own. Returns how to lose it without a word. */
  async run(scheduler: Scheduler): Promise<() => Promise<void>> {
    const runtime = await systemRuntime({ log: silentLogger })
    this.#runtimes.push(runtime)
    const masters = await locateMasters(scheduler.master, async () => openSession)
    scheduler.fillIn({ user: 'root', hostname: 'test', masters })
    runtime.spawn(scheduler)
    return () => runtime.shutdown()
  }

  async state(): Promise<State> {
    return (await (await fetch(`http://${this.address}/state`)).json()) as State
  }

  /** Ends everything, and says which processes that belong here are still alive. */
  async stop(): Promise<string[]> {
    await Promise.all(this.#runtimes.map(runtime => runtime.shutdown()))
    for (const command of this.#commands) command.kill('SIGTERM')
    await Promise.all(
      this.#commands.map(async command => {
        const limit = setTimeout(() => command.kill('SIGKILL'), 5_000)
        await command.exited
        clearTimeout(limit)
      }),
    )
    await until(() => this.leftovers().length === 0, 'all processes have ended', 5_000).catch(
      () => {},
    )
    const left = this.leftovers()
    rmSync(this.dir, { recursive: true, force: true })
    return left
  }

  /** Living processes that have this cluster's directory as part of what they are. */
  leftovers(): string[] {
    const own = new Set([process.pid, ...this.#commands.filter(c => !c.exit).map(c => c.child.pid)])
    return readdirSync('/proc')
      .filter(name => /^\d+$/.test(name) && !own.has(Number(name)))
      .flatMap(pid => {
        const facts = ['cmdline', 'environ'].map(file =>
          attempt(() => readFileSync(`/proc/${pid}/${file}`, 'utf8')),
        )
        facts.push(attempt(() => readlinkSync(`/proc/${pid}/cwd`)))
        if (!facts.some(fact => fact.includes(this.dir))) return []
        return [`${pid}: ${facts[0]!.replaceAll('\0', ' ')}`]
      })
  }
}

function attempt(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
