// The terminal of mesos-execute: it prints what happens to the task, and follows its output by way of the master.

import type { ExecuteFlags, outputsOf } from './flags.ts'
import { Follower, outputPath, type ReadFile } from './follow.ts'
import type { Watcher } from './scheduler.ts'

const POLL_MS = 200
/** Output that cannot be read in this time after the task's end is given up. */
const LAST_READ_LIMIT_MS = 3_000
const REQUEST_LIMIT_MS = 5_000
const LINE_END = 0x0a

type Outputs = ReturnType<typeof outputsOf>

/** Prints lines and the task's output, each output stream to ours of the same name. */
export class Terminal implements Watcher {
  readonly #flags: ExecuteFlags
  readonly #outputs: Outputs
  readonly #master: () => string
  #followers: readonly Follower[] = []
  #timer: NodeJS.Timeout | undefined
  /** The task's last output did not end its line. */
  #midLine = false

  /** `master`: the address of the one that leads, as far as is known. */
  constructor(flags: ExecuteFlags, outputs: Outputs, master: () => string) {
    this.#flags = flags
    this.#master = master
    this.#outputs = outputs
  }

  line(text: string): void {
    process.stdout.write(`${this.#midLine ? '\n' : ''}${text}\n`)
    this.#midLine = false
  }

  notice(text: string): void {
    process.stderr.write(`${text}\n`)
  }

  launched(frameworkId: string, agentId: string): void {
    if (!this.#flags.follow) return
    const read = readThrough(this.#master, agentId)
    this.#followers = this.#outputs.flatMap(({ executorId, below }) => {
      const follow = (file: 'stdout' | 'stderr', print: (bytes: Uint8Array) => void): Follower =>
        new Follower(outputPath(frameworkId, executorId, `${below}${file}`), read, print)
      return [
        follow('stdout', bytes => {
          process.stdout.write(bytes)
          this.#midLine = bytes.at(-1) !== LINE_END
        }),
        follow('stderr', bytes => process.stderr.write(bytes)),
      ]
    })
    this.#poll()
  }

  #poll(): void {
    this.#timer = setTimeout(() => {
      // A failed read is tried again: the agent may not have the file yet, the master may be away.
      const reads = Promise.allSettled(this.#followers.map(follower => follower.catchUp()))
      void reads.then(() => this.#timer && this.#poll())
    }, POLL_MS)
  }

  async ended(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const last = Promise.all(this.#followers.map(follower => follower.catchUp()))
    let limit: NodeJS.Timeout | undefined
    const late = new Promise<void>((_, reject) => {
      limit = setTimeout(() => reject(new Error('no answer in time')), LAST_READ_LIMIT_MS)
    })
    try {
      await Promise.race([last, late])
    } catch (error) {
      this.notice(`The end of the output could not be read: ${(error as Error).message}`)
    } finally {
      clearTimeout(limit)
    }
  }
}

/** Reads files of an agent by `GET /files/read` of the leading master; one that does not lead sends one there. */
function readThrough(master: () => string, agentId: string): ReadFile {
  return async (path, offset, lengthBytes) => {
    const query = new URLSearchParams({ agent_id: agentId, path, offset: String(offset) })
    query.set('encoding', 'base64')
    if (offset >= 0) query.set('length', String(lengthBytes))
    const { status, body } = await ask(`http://${master()}/files/read?${query.toString()}`)
    if (status === 404) return undefined
    if (status === 200) return JSON.parse(body)
    throw new Error(body.trim() || `the master answered ${status}`)
  }
}

async function ask(url: string): Promise<{ readonly status: number; readonly body: string }> {
  const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_LIMIT_MS) })
  return { status: response.status, body: await response.text() }
}
