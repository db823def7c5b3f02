// Programs that people and executors have in containers that run, by their names: sessions, whose reader is there from the
// start, and nested containers, which write into a directory of their own.
//
// They end with the container that they are in and with the agent; a session ends with the connection, too. How they ended is known
// for a while.

import { BoundedRing } from '../../base/bounded-ring.ts'
import { UserError } from '../../base/errors.ts'
import type { Input, Outputs } from '../attachment.ts'
import type { JoinedProcess, JoinSpec, KillSignal, Processes } from '../processes.ts'

/** At a time, of all containers, and in one: each is a few processes. */
const MAX_GUESTS = 256
export const MAX_GUESTS_OF_ONE = 64
/** Ends that are remembered. */
const MAX_ENDED = 1_000

interface Guest {
  /** The container that it is in. */
  readonly containerId: string
  /** Absent while it is being started. */
  process: JoinedProcess | undefined
  /** It is to be killed. */
  killed: KillSignal | undefined
  readonly ended: Promise<number>
}

interface Ended {
  readonly name: string
  readonly waitStatus: number
}

export class Guests {
  readonly #processes: Pick<Processes, 'join' | 'killTree'>
  readonly #living = new Map<string, Guest>()
  readonly #ended = new BoundedRing<Ended>(MAX_ENDED)

  constructor(processes: Pick<Processes, 'join' | 'killTree'>) {
    this.#processes = processes
  }

  has(name: string): boolean {
    return this.#living.has(name) || this.#endOf(name) !== undefined
  }

  /** Starts one under a name that `has` does not know. Rejects with a `UserError` if that fails; the name is free then. */
  async start(name: string, spec: JoinSpec): Promise<{ input: Input; output: Outputs }> {
    const { join } = this.#processes
    if (!join) throw new UserError('not_implemented', 'This agent runs nothing in containers.')
    const { containerId } = spec
    const inOne = [...this.#living.values()].filter(guest => guest.containerId === containerId)
    if (this.#living.size >= MAX_GUESTS || inOne.length >= MAX_GUESTS_OF_ONE) {
      throw new UserError(
        'unavailable',
        `There are too many such programs already: ${inOne.length} in this container, ${this.#living.size} on this agent.`,
      )
    }
    const starting = join.call(this.#processes, spec)
    const ended = starting.then(({ exited }) => exited)
    ended.catch(() => {})
    const guest: Guest = { containerId, process: undefined, killed: undefined, ended }
    this.#living.set(name, guest)
    try {
      guest.process = await starting
    } catch (error) {
      this.#living.delete(name)
      throw error
    }
    void ended.then(waitStatus => {
      this.#living.delete(name)
      this.#ended.push({ name, waitStatus })
    })
    if (guest.killed) this.#processes.killTree(guest.process.pid, guest.killed)
    return guest.process
  }

  /** Its wait(2) status, at its end; undefined if there never was one, or nobody remembers. Rejects if it never ran. */
  wait(name: string): Promise<number> | undefined {
    const living = this.#living.get(name)
    if (living) return living.ended
    const end = this.#endOf(name)
    return end && Promise.resolve(end.waitStatus)
  }

  /** False if it does not run. */
  kill(name: string, signal: KillSignal): boolean {
    const guest = this.#living.get(name)
    if (!guest) return false
    guest.killed = signal
    if (guest.process) this.#processes.killTree(guest.process.pid, signal)
    return true
  }

  input(name: string): Input | undefined {
    return this.#living.get(name)?.process?.input
  }

  isLive(name: string): boolean {
    return this.#living.has(name)
  }

  /** How it ended is of no interest any more. */
  forget(name: string): void {
    this.#ended.remove(end => end.name === name)
  }

  #endOf(name: string): Ended | undefined {
    return this.#ended.findLast(end => end.name === name)
  }
}
