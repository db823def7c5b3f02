// Waits for processes that are not this agent's children: an agent before it started them. One of the few files that may touch
// the world.
//
// The system tells only parents of an end, so they are looked at: all of them a few times a second by the cheapest call there is,
// and once a second closely, for a pid may have been given to another process, and a process that nobody buries keeps its own.

import { readStat } from './process-table.ts'

const LOOK_MS = 200
/** Every so many looks a close one. */
const CLOSE_EVERY = 5

interface Watched {
  readonly pid: number
  /** Its start time. */
  readonly start: string
  readonly ended: () => void
}

export class AdoptedProcesses {
  readonly #watched = new Set<Watched>()
  #timer: NodeJS.Timeout | undefined
  #looks = 0

  /** Resolves when the process has ended; at once, if it has already. */
  ended(pid: number, start: string): Promise<void> {
    return new Promise(resolve => {
      if (!lives(pid, start)) return resolve()
      this.#watched.add({ pid, start, ended: resolve })
      this.#timer ??= setInterval(() => this.#look(), LOOK_MS)
    })
  }

  close(): void {
    clearInterval(this.#timer)
    this.#watched.clear()
  }

  #look(): void {
    const closely = ++this.#looks % CLOSE_EVERY === 0
    for (const watched of this.#watched) {
      const { pid, start } = watched
      if (closely ? lives(pid, start) : exists(pid)) continue
      this.#watched.delete(watched)
      watched.ended()
    }
    if (this.#watched.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** Whether it runs: a process that has ended and is not buried does not. */
export function lives(pid: number, start: string): boolean {
  const stat = readStat(pid)
  return stat !== undefined && stat.start === start && stat.state !== 'Z'
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
