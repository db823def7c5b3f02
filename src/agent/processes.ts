// What an agent needs of the machine to run tasks: processes that it can start, kill as whole trees, and wait for.
//
// Real in posix-processes.ts, virtual in the simulator. Isolation (control groups, namespaces, root file systems) will
// be part of `launch`; that is why it is asynchronous.

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
  readonly cwd: string
  /** Opened for appending, and made if need be. */
  readonly stdoutPath: string
  readonly stderrPath: string
}

export interface LaunchedProcess {
  /** Process id; it leads a session and a process group of its own. */
  readonly pid: number
  /** Its wait(2) status, when it has ended and what was left of its process group has been killed. Never rejects. */
  readonly exited: Promise<number>
  /** Why the program itself never ran, if it did not. Asked when `exited` has resolved. */
  whyNeverRan?(): string | undefined
}

export type KillSignal = 'SIGTERM' | 'SIGKILL'

export interface Processes {
  /**
   * Starts a container's process. The process is on record in the runtime directory before it runs anything of its
   * own, so that it cannot outlive an agent that dies. Rejects with a `UserError` if it could not be started.
   */
  launch(spec: LaunchSpec): Promise<LaunchedProcess>
  /**
   * Signals the process that `launch` gave, its process group and all its descendants, those in other groups and
   * sessions as well. Does nothing when it has ended: what it left is killed then anyway, soon after its end.
   */
  killTree(pid: number, signal: KillSignal): void
}
