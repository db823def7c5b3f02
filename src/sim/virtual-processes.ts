// Simulated processes: programs are scripts with a duration, an exit status and some output, run by a virtual clock.

import type { Clock, Timer } from '../actors/clock.ts'
import type { Limitation } from '../agent/containerizer/container.ts'
import type {
  KillSignal,
  KnownContainer,
  LaunchedProcess,
  LaunchSpec,
  Processes,
} from '../agent/processes.ts'
import type { Gate } from './virtual-connection.ts'
import { endedBySignal, exitedWith } from '../agent/wait-status.ts'

const SIGTERM = 15
const SIGKILL = 9
const NOT_FOUND_STATUS = 127

/** What a simulated program does. */
export interface VirtualProgram {
  /** Absent: it runs until it is killed. */
  readonly durationMs?: number
  /** Exit code at its end; default 0. */
  readonly exitCode?: number
  readonly stdout?: string
  readonly stderr?: string
  /** It goes on when asked to end; only SIGKILL ends it. */
  readonly ignoresSigterm?: boolean
  /** It takes too much of something: its end is for that. */
  readonly limitation?: Limitation
  /** Called at its start: an executor would connect to its agent here. */
  readonly onStart?: (process: VirtualProcess) => void
  /** Called at its end, however it came. */
  readonly onEnd?: (waitStatus: number) => void
}

/** A simulated process, as tests see it. */
export interface VirtualProcess extends LaunchedProcess {
  readonly spec: LaunchSpec
  readonly signals: readonly KillSignal[]
  readonly isAlive: boolean
  /** Ends it from outside, as `kill -9` of it (default) or its own exit would. */
  end(waitStatus?: number): void
}

export interface VirtualProcessesOptions {
  /** The machine's, by which programs run. */
  readonly clock: Pick<Clock, 'delay'>
  /** The process that launches them: it may die or stand still, and they go on. Default: it is always there. */
  readonly parent?: Pick<Clock, 'delay'> & Gate
  /** Where output goes; absent: nowhere. */
  readonly files?: { append(path: string, text: string): void }
  /** What a command line does. Default: `shellProgram`. */
  readonly program?: (spec: LaunchSpec) => VirtualProgram | undefined
  /** From launch to the program's first instruction; default 0. */
  readonly launchMs?: number
}

export class VirtualProcesses implements Processes {
  readonly #options: VirtualProcessesOptions
  readonly #alive = new Map<
    number,
    { readonly process: VirtualProcess; term(): void; signals: KillSignal[] }
  >()
  /** Of containers that survive their agent: who waits for their end now, and how they ended. */
  readonly #orphans = new Set<string>()
  readonly #watchers = new Map<string, (waitStatus: number) => void>()
  readonly #ended = new Map<
    string,
    { readonly process: VirtualProcess; readonly waitStatus: number }
  >()
  #nextPid = 1000
  /** All that were ever launched, in order. */
  readonly launched: VirtualProcess[] = []
  /** The process that launches and waits now. */
  parent: VirtualProcessesOptions['parent']
  /** When set, launching fails with it. */
  failure: Error | undefined

  constructor(options: VirtualProcessesOptions) {
    this.#options = options
    this.parent = options.parent
  }

  /** How many processes live. */
  get alive(): number {
    return this.#alive.size
  }

  /** Those that live, in the order of their start. */
  get living(): VirtualProcess[] {
    return [...this.#alive.values()].map(({ process }) => process)
  }

  launch(spec: LaunchSpec): Promise<LaunchedProcess> {
    const { launchMs = 0, clock } = this.#options
    const parent = this.parent ?? clock
    return new Promise((resolve, reject) => {
      const start = (): void => {
        if (this.failure) reject(this.failure)
        else resolve(this.#start(spec))
      }
      if (launchMs === 0) start()
      else parent.delay(launchMs, start)
    })
  }

  killTree(pid: number, signal: KillSignal): void {
    const alive = this.#alive.get(pid)
    if (!alive) return
    alive.signals.push(signal)
    if (signal === 'SIGKILL') alive.process.end(endedBySignal(SIGKILL))
    else alive.term()
  }

  /** The agent dies, and with it what does not survive it. */
  agentDied(): void {
    for (const [pid, { process }] of [...this.#alive]) {
      if (process.spec.survives) this.#orphans.add(process.spec.containerId)
      else this.killTree(pid, 'SIGKILL')
    }
    this.#watchers.clear()
  }

  recover(known: readonly KnownContainer[]): Promise<ReadonlyMap<string, LaunchedProcess>> {
    const ids = new Set(known.map(({ containerId }) => containerId))
    const found = new Map<string, LaunchedProcess>()
    for (const { process } of [...this.#alive.values()]) {
      const { containerId } = process.spec
      if (!ids.has(containerId)) {
        this.killTree(process.pid, 'SIGKILL')
        continue
      }
      const exited = new Promise<number>(resolve => this.#watchers.set(containerId, resolve))
      found.set(containerId, { ...process, exited, limitation: () => process.limitation?.() })
    }
    for (const [containerId, { process, waitStatus }] of this.#ended) {
      if (ids.has(containerId))
        found.set(containerId, { ...process, exited: Promise.resolve(waitStatus) })
    }
    for (const id of this.#ended.keys()) if (!ids.has(id)) this.#ended.delete(id)
    return Promise.resolve(found)
  }

  forget(containerId: string): void {
    this.#ended.delete(containerId)
  }

  /** Containers that have ended and that are on record still. */
  get remembered(): readonly string[] {
    return [...this.#ended.keys()]
  }

  /** The machine is restarted: nothing that ran leaves a trace. */
  rebooted(): void {
    this.killAll()
    this.#ended.clear()
  }

  /** Everything dies, as when the machine or the agent with its guard does. */
  killAll(): void {
    for (const pid of [...this.#alive.keys()]) this.killTree(pid, 'SIGKILL')
  }

  #start(spec: LaunchSpec): VirtualProcess {
    const { clock, files, program: find = shellProgram } = this.#options
    const program = find(spec) ?? shellProgram(spec)
    const pid = this.#nextPid++
    const signals: KillSignal[] = []
    let resolveExit!: (waitStatus: number) => void
    const exited = new Promise<number>(resolve => (resolveExit = resolve))
    let timer: Timer | undefined
    const end = (waitStatus: number): void => {
      if (!this.#alive.delete(pid)) return
      timer?.cancel()
      program.onEnd?.(waitStatus)
      const id = spec.containerId
      if (spec.survives) this.#ended.set(id, { process, waitStatus })
      const tell = (): void => {
        const watcher = this.#orphans.has(id) ? this.#watchers.get(id) : resolveExit
        this.#watchers.delete(id)
        if (!watcher) return
        watcher(waitStatus)
      }
      if (this.parent) this.parent.run(tell)
      else tell()
    }
    const term = (): void => {
      if (!program.ignoresSigterm) end(endedBySignal(SIGTERM))
    }
    files?.append(spec.stdoutPath, program.stdout ?? '')
    files?.append(spec.stderrPath, program.stderr ?? '')
    const { durationMs, exitCode = 0 } = program
    const alive = this.#alive
    const process: VirtualProcess = {
      spec,
      pid,
      exited,
      signals,
      limitation: () => program.limitation,
      get isAlive() {
        return alive.has(pid)
      },
      end: (waitStatus = endedBySignal(SIGKILL)) => end(waitStatus),
    }
    this.#alive.set(pid, { process, term, signals })
    this.launched.push(process)
    if (durationMs !== undefined) timer = clock.delay(durationMs, () => end(exitedWith(exitCode)))
    program.onStart?.(process)
    return process
  }
}

/**
 * A little of the shell: `sleep 2`, `exit 3`, `echo text`, `true`, `false`, joined by `;`. Whatever else there is, is
 * not found (127).
 */
export function shellProgram({ argv }: Pick<LaunchSpec, 'argv'>): VirtualProgram {
  const script = argv[0] === '/bin/sh' && argv[1] === '-c' ? (argv[2] ?? '') : argv.join(' ')
  let durationMs = 0
  let stdout = ''
  let stderr = ''
  let exitCode = 0
  for (const command of script.split(';').map(part => part.trim())) {
    const [name = '', ...args] = command.split(/\s+/)
    exitCode = 0
    if (name === 'sleep') durationMs += Number(args[0]) * 1000
    else if (name === 'echo') stdout += `${args.join(' ')}\n`
    else if (name === 'false') exitCode = 1
    else if (name === 'exit') {
      exitCode = Number(args[0] ?? 0)
      break
    } else if (name !== 'true' && name !== '' && name !== ':') {
      exitCode = NOT_FOUND_STATUS
      stderr += `sh: 1: ${name}: not found\n`
    }
  }
  return { durationMs, exitCode, stdout, stderr }
}
