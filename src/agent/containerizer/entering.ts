// Programs that are run in containers that run: for an answer (a check), or with somebody who talks to them.
//
// They get what the container's own program got: its environment, its account, as few privileges. They are in its control
// groups and namespaces before they are anything that the container has a say in.

import type { Clock } from '../../actors/clock.ts'
import { UserError } from '../../base/errors.ts'
import type { CommandInfo } from '../../messages/command.ts'
import { BASH, named } from '../argv0.ts'
import { commandEnvironment } from '../environment.ts'
import { splitEnvironment } from '../late-environment.ts'
import type { ExecSpec, JoinedProcess, JoinSpec } from '../processes.ts'
import { exitedWith } from '../wait-status.ts'
import type { LaunchPlan } from './container.ts'
import type { Program } from './exec.ts'
import { type Entrance, JOINED, type Launcher, type StartedProcess } from './launcher.ts'
import { inFront } from './linux-script.ts'

/** How often one is looked for that is not there yet, for two seconds in all. */
const LOOK_MS = 20
const MAX_LOOKS = 100

/** Exit status of what could not be started in a container; as other tools of this kind have it. */
const NEVER_RAN = 125

/** A container that runs. */
export interface Entered {
  readonly id: string
  readonly pid: number
  /** How its program was started: another one is, in the same way. */
  readonly plan: LaunchPlan
  readonly cwd: string
  readonly command: CommandInfo | undefined
  /** First processes of what joined it, to be killed with it. */
  readonly joined: Set<number>
}

export interface EnteringOptions {
  readonly launcher: Launcher
  readonly clock: Clock
  /** Runs a program, as exec.ts does. */
  readonly run: (program: Program, stop: AbortSignal) => Promise<number>
  readonly find: (containerId: string) => Entered | undefined
}

export class Entering {
  readonly #o: EnteringOptions

  constructor(options: EnteringOptions) {
    this.#o = options
  }

  /** As `Processes.exec`. */
  async exec(spec: ExecSpec, stop: AbortSignal): Promise<number> {
    const { cwd, plan, front, extra, env } = await this.#entered(spec)
    const { initially, front: late } = splitEnvironment(env)
    const program = named(spec, plan.root?.toolbox.command(BASH))
    const [first, ...rest] = [...front, ...inFront(plan, late), ...program]
    return this.#o.run({ argv: [first!, ...rest], env: { ...initially, ...extra }, cwd }, stop)
  }

  /** As `Processes.join`. */
  async join(spec: JoinSpec): Promise<JoinedProcess> {
    const { launcher, find } = this.#o
    const { cwd, plan: its, pid, env } = await this.#entered(spec)
    const containerId = `${spec.containerId}${JOINED}${spec.name}`
    const plan: LaunchPlan = {
      ...its,
      // They are there: it goes in.
      namespaces: new Set(),
      mounts: [],
      secrets: [],
      joins: { pid, namespaces: its.namespaces },
      isAttached: true,
      terminal: spec.terminal,
    }
    const { argv, argv0 } = spec
    const alias = argv0 === undefined ? {} : { argv0 }
    const launched = { containerId, argv, ...alias, env, cwd, stdoutPath: '', stderrPath: '' }
    let process: StartedProcess
    try {
      launcher.prepare?.(launched)
      process = await launcher.launch(launched, plan)
    } catch (error) {
      await launcher.release?.(containerId)
      throw error
    }
    const joined = find(spec.containerId)?.joined
    // It has ended meanwhile.
    if (!joined) launcher.killTree(process.pid, 'SIGKILL')
    joined?.add(process.pid)
    const ended = async (): Promise<number> => {
      const waitStatus = await process.exited
      joined?.delete(process.pid)
      await launcher.release?.(containerId)
      // Nobody is to take it for a success.
      return process.whyNeverRan?.() === undefined ? waitStatus : exitedWith(NEVER_RAN)
    }
    return { ...process, input: process.input!, output: process.output!, exited: ended() }
  }

  /** How a program gets into a container that runs, and what it finds there. Throws a `UserError` if it cannot. */
  async #entered(spec: ExecSpec) {
    const id = spec.containerId
    const container = this.#o.find(id)
    const entrance = container && (await this.#entrance(container))
    if (!entrance) {
      throw new UserError('not_found', 'The container does not run, or cannot be entered.')
    }
    const { plan, cwd } = container
    // As the program's own was made, with what the command of this one says on top.
    const of = commandEnvironment({ ...spec.env, ...plan.env }, container.command)
    const { front, env: extra, pid: inside } = entrance
    return { cwd, plan, front, extra, pid: inside, env: commandEnvironment(of, spec.command) }
  }

  /** One that has just been launched is waited for: it may be being made. */
  async #entrance({ id, pid, plan }: Entered): Promise<Entrance | undefined> {
    const { clock, launcher, find } = this.#o
    for (let tries = 0; tries < MAX_LOOKS && !plan.isClosed; tries++) {
      if (find(id)?.pid !== pid) return undefined
      const entrance = launcher.entrance(id, pid, plan)
      if (entrance) return entrance
      await new Promise<void>(resolve => clock.delay(LOOK_MS, resolve))
    }
    return undefined
  }
}
