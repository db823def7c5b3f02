// Programs of a benchmark: processes of their own that take commands from the harness over Node's IPC channel.

import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../src/base/errors.ts'

/** A command that takes longer hangs: a process that it waits for is gone, say. */
const COMMAND_LIMIT_MS = 60_000

/** What a program can be told; arguments and results travel as JSON. */
export type Commands = Readonly<Record<string, (argument: never) => unknown>>

interface Request {
  readonly number: number
  readonly command: string
  readonly argument: unknown
}

type Answer =
  | { readonly number: number; readonly result: unknown }
  | { readonly number: number; readonly error: string }

/** What every program can be told beside its own commands. */
const COMMON = {
  /** CPU time used so far, user and system. */
  cpuMs(): number {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1_000
  },
}

/** The program's side. It ends with the harness, however that ends. */
export function serveCommands<const C extends Commands>(own: C): C & typeof COMMON {
  const commands = { ...COMMON, ...own }
  // The channel's end is the harness's: Ctrl-C reaches the whole group, and the harness wants to ask before it closes.
  process.on('SIGINT', () => {})
  process.on('disconnect', () => process.exit())
  process.on('message', (request: Request) => {
    void answer(commands, request).then(it => process.send?.(it))
  })
  return commands
}

async function answer(commands: Commands, { number, command, argument }: Request): Promise<Answer> {
  try {
    const run = commands[command]
    if (!run) throw new Error(`no such command: ${command}`)
    return { number, result: await run(argument as never) }
  } catch (error) {
    return { number, error: messageOf(error) }
  }
}

/** The path of a program of `bench/programs/`, as built. */
export function programFile(name: string): string {
  return fileURLToPath(new URL(`./programs/${name}.js`, import.meta.url))
}

/** The harness's side of a program. */
export class Program<C extends Commands> {
  readonly name: string
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #last = 0

  constructor(name: string, child: ChildProcess) {
    this.name = name
    this.#child = child
    child.on('message', (answered: Answer) => this.#settle(answered))
    child.once('exit', (code, signal) => this.#gone(`it ended with ${signal ?? code}`))
    child.once('error', error => this.#gone(error.message))
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Runs a command there; rejects if it fails or the program ends. */
  call<K extends keyof C & string>(
    command: K,
    ...[argument]: Parameters<C[K]>
  ): Promise<Awaited<ReturnType<C[K]>>> {
    const number = ++this.#last
    return new Promise((resolve, reject) => {
      const late = `no answer within ${COMMAND_LIMIT_MS} ms`
      const limit = setTimeout(() => this.#settle({ number, error: late }), COMMAND_LIMIT_MS)
      this.#waiting.set(number, answered => {
        clearTimeout(limit)
        if ('error' in answered) reject(new Error(`${this.name}.${command}: ${answered.error}`))
        else resolve(answered.result as Awaited<ReturnType<C[K]>>)
      })
      if (this.#child.connected) this.#child.send({ number, command, argument } satisfies Request)
      else this.#gone('it has ended')
    })
  }

  #settle(answered: Answer): void {
    const settle = this.#waiting.get(answered.number)
    this.#waiting.delete(answered.number)
    settle?.(answered)
  }

  #gone(error: string): void {
    for (const number of [...this.#waiting.keys()]) this.#settle({ number, error })
  }
}
