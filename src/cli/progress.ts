// How far the example framework is, from the lines that it prints. Pure.

const TERMINAL_WIDTH = 80
const BAR_WIDTH = 30

/** Counts tasks by their latest state. */
export class Progress {
  readonly #total: number
  readonly #states = new Map<string, string>()

  constructor(total: number) {
    this.#total = total
  }

  /** Takes a line of the framework; true if it has changed a count. */
  take(line: string): boolean {
    const [, task, state] = /^Task (\S+) TASK_(\w+)/.exec(line) ?? []
    if (task === undefined || state === undefined || this.#states.get(task) === state) return false
    this.#states.set(task, state)
    return true
  }

  count(...states: readonly string[]): number {
    let count = 0
    for (const state of this.#states.values()) if (states.includes(state)) count++
    return count
  }

  get done(): boolean {
    return this.#finished + this.#failed === this.#total
  }

  /** One line: how many wait, start, run and are done; states without tasks are left out, if there are any of others. */
  text(): string {
    const waiting = this.#total - this.#states.size
    const parts: readonly (readonly [number, string])[] = [
      [waiting, 'waiting'],
      [this.count('STAGING', 'STARTING'), 'staging'],
      [this.count('RUNNING'), 'running'],
      [this.#failed, 'failed'],
      [this.#finished, `of ${this.#total} finished`],
    ]
    const shown = parts.filter(([count], i) => count > 0 || i === parts.length - 1)
    return shown.map(([count, word]) => `${count} ${word}`).join(', ')
  }

  /** The same for a terminal, with a bar. */
  bar(): string {
    const part = (count: number, char: string): string =>
      char.repeat(Math.round((count / this.#total) * BAR_WIDTH))
    const running = this.count('RUNNING')
    const finished = part(this.#finished, '█')
    const ahead = part(this.#finished + running, '▒').slice(finished.length)
    return `${(finished + ahead).padEnd(BAR_WIDTH, '·')}  ${this.text()}`.padEnd(TERMINAL_WIDTH)
  }

  get #finished(): number {
    return this.count('FINISHED')
  }

  get #failed(): number {
    return this.count('FAILED', 'KILLED', 'ERROR', 'LOST', 'DROPPED', 'GONE')
  }
}
