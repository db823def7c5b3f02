// What an agent needs of the machine to run tasks: processes that it can start, kill as whole trees, and wait for.
//
// Real in containerizer/, virtual in the simulator.

import type { CommandInfo } from '../messages/command.ts'
import type { ContainerInfo, NetworkInfo } from '../messages/container.ts'
import type { Labels } from '../messages/values.ts'
import type { Input, Outputs, WindowSize } from './attachment.ts'
import type {
  Amounts,
  ContainerStatistics,
  Limitation,
  ParentContainer,
} from './containerizer/container.ts'

/** What to start, and where. All paths are absolute and their directories exist. */
export interface LaunchSpec {
  /** Unique for ever; names the runtime files of the container. */
  readonly containerId: string
  /** Program (looked up in `env`'s PATH if it has no slash) and its arguments. */
  readonly argv: readonly [string, ...string[]]
  /** What the program sees as its own name, where that is not `argv[0]`. */
  readonly argv0?: string
  /** The whole environment: nothing of the agent's own is added. */
  readonly env: Readonly<Record<string, string>>
  /** Its sandbox. */
  readonly cwd: string
  /** That of the container that it is nested in. */
  readonly parentSandbox?: string
  /** The container that it is nested in. */
  readonly parent?: ParentContainer
  /** Its root file system, where the machine has it; absent: the machine's own. */
  readonly rootfs?: string
  /** Opened for appending, and made if need be. */
  readonly stdoutPath: string
  readonly stderrPath: string
  /** The account that it runs under, and that owns its sandbox from then on; absent: the agent's. */
  readonly user?: string
  /** What it asked for, and upper bounds above that. What holds it to them is the isolators' matter. */
  readonly resources?: Amounts
  readonly limits?: Partial<Amounts>
  /** What else it wants of isolation. */
  readonly container?: ContainerInfo | undefined
  /** What `argv` and the end of `env` were made of: an image may have a say in it. */
  readonly command?: CommandInfo
  /** The only task that it is for. */
  readonly taskId?: string
  /** It outlives the agent that launches it: its framework checkpoints. */
  readonly survives?: boolean
}

/** What to run in a container, in its working directory. What it says nobody hears. */
export interface ExecSpec {
  readonly containerId: string
  readonly argv: readonly [string, ...string[]]
  readonly argv0?: string
  readonly env: Readonly<Record<string, string>>
  /** What `argv` and the end of `env` were made of. */
  readonly command?: CommandInfo
}

/** A program for a container that runs, with somebody who talks to it. */
export interface JoinSpec extends ExecSpec {
  /** By which it is told from others in that container; a UUID. */
  readonly name: string
  /** It gets a terminal of this size. */
  readonly terminal?: WindowSize
}

export interface JoinedProcess extends LaunchedProcess {
  readonly input: Input
  readonly output: Outputs
}

/** What is said of a container beside its state. */
export interface Presence {
  /** Absent: it is on the machine's own network. Empty: nobody reaches it. */
  readonly networks?: readonly NetworkInfo[]
  /** For the framework, when its task runs: base64. */
  readonly data?: string
  readonly labels?: Labels
}

export interface LaunchedProcess {
  /** Process id; it leads a session and a process group of its own. 0: it has ended, and nobody knows what it was. */
  readonly pid: number
  readonly presence?: Presence
  /** Its wait(2) status, when it has ended and what was left of its process group has been killed. Never rejects. */
  readonly exited: Promise<number>
  /** Why the program itself never ran, if it did not. Asked when `exited` has resolved. */
  whyNeverRan?(): string | undefined
  /** What it took too much of, if that was its end. Asked when `exited` has resolved. */
  limitation?(): Limitation | undefined
}

/** A container that an agent before this one launched. */
export interface KnownContainer {
  readonly containerId: string
  /** As in its LaunchSpec. */
  readonly cwd: string
  readonly user?: string
  readonly resources?: Amounts
  readonly limits?: Partial<Amounts>
  readonly container?: ContainerInfo | undefined
  readonly command?: CommandInfo | undefined
}

export type KillSignal = 'SIGTERM' | 'SIGKILL'

export interface Processes {
  /**
   * Starts a container's process. The process is on record in the runtime directory before it runs anything of its
   * own, so that it cannot outlive an agent that dies. Rejects with a `UserError` if it could not be started.
   */
  launch(spec: LaunchSpec): Promise<LaunchedProcess>
  /** A launch is not wanted any more, and rejects if it has not come far: what it has to wait for first may take minutes. */
  abandon?(containerId: string): void
  /**
   * Signals the process that `launch` gave, its process group and all its descendants, those in other groups and
   * sessions as well. Does nothing when it has ended: what it left is killed then anyway, soon after its end.
   */
  killTree(pid: number, signal: KillSignal): void
  /**
   * Asked once, before anything is launched: those of these containers that run, or whose end is on record, under their ids. What
   * else agents of this work directory left is ended. One that is not in the answer never ran, or left no trace.
   */
  recover?(known: readonly KnownContainer[]): Promise<ReadonlyMap<string, LaunchedProcess>>
  /**
   * The end of a container that survives agents need not be known any more. Until then `recover` tells of it again: the agent may
   * die between learning it and writing it down.
   */
  forget?(containerId: string): void
  /**
   * Runs a program in a container that runs: in its namespaces and control groups, as its user, with no more privileges than its
   * own program has. Resolves with its wait(2) status, and rejects with a `UserError` if it cannot be started. `stop` kills it and
   * its process group; what leaves that ends with the container.
   */
  exec?(spec: ExecSpec, stop: AbortSignal): Promise<number>
  /**
   * As `exec`, for somebody who talks to the program. It and all that it starts can be killed by `killTree`, and end with the
   * container and with the agent. Rejects with a `UserError` if it cannot be started.
   */
  join?(spec: JoinSpec): Promise<JoinedProcess>
  /** The way into a container that was launched with a terminal and runs. */
  input?(containerId: string): Input | undefined
  /** What a program's command line begins with that is to be in a container's network; undefined if that is the machine's. */
  networkEntrance?(containerId: string): readonly [string, ...string[]] | undefined
  /** What is shared by those nested in a container stays until the answer is called, also while there are none. */
  hold?(containerId: string): () => void
  /** A container has other resources now. Throws if they cannot be set. */
  update?(containerId: string, resources: Amounts, limits: Partial<Amounts>): void
  /** What a container uses; undefined if it does not run. */
  usage?(containerId: string): ContainerStatistics | undefined
}
