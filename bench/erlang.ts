// Erlang nodes as yardsticks: children that take one command a line and answer one line.
//
// Two nodes find each other by a port that is given to both, so that no name server (epmd) is started or needed; only
// loopback is listened on.

import { type ChildProcess, execFileSync } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { messageOf } from '../src/base/errors.ts'
import type { Scope } from './scope.ts'

const ANSWER_LIMIT_MS = 60_000
const SOURCE = 'bench/programs/actors.erl'
const COOKIE = 'mesos-bench'

let missing: string | undefined | null = null

/** Why no Erlang can be measured on this machine; undefined if it can. */
export function erlangMissing(): string | undefined {
  if (missing !== null) return missing
  try {
    execFileSync('erl', ['-noshell', '-eval', 'halt().'], { stdio: 'ignore' })
    missing = undefined
  } catch (error) {
    missing = (error as NodeJS.ErrnoException).code === 'ENOENT' ? NOT_INSTALLED : messageOf(error)
  }
  return missing
}

const NOT_INSTALLED = 'erlang-base is not installed (apt-get install erlang-base)'

/** One Erlang node that runs `bench/programs/actors.erl`. */
export class Erlang {
  readonly #child: ChildProcess
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = []

  private constructor(child: ChildProcess) {
    this.#child = child
    createInterface({ input: child.stdout! }).on('line', line => {
      const waiting = this.#waiting.shift()
      if (waiting) waiting.resolve(line)
      else process.stderr.write(`erl: ${line}\n`)
    })
    child.once('error', error => this.#gone(error.message))
    child.once('exit', (code, signal) => this.#gone(`erl ended with ${signal ?? code}`))
  }

  /** Resolves when it is ready for commands. */
  static async start(scope: Scope, folder: string, args: readonly string[] = []): Promise<Erlang> {
    const all = [
      '+P',
      '2000000',
      '-kernel',
      'logger_level',
      'none',
      ...args,
      '-noshell',
      '-pa',
      folder,
      '-s',
      'actors',
      'main',
    ]
    const erlang = new Erlang(scope.start('erl', all, { stdio: ['pipe', 'pipe', 'inherit'] }))
    await erlang.#line()
    return erlang
  }

  /** Runs a command; resolves to the numbers that it answers. */
  async run(...command: readonly (string | number)[]): Promise<readonly number[]> {
    const line = this.#line()
    this.#child.stdin!.write(`${command.join(' ')}\n`)
    const [word, ...numbers] = (await line).split(' ')
    if (word !== 'result') throw new Error(`erl, ${command[0]}: ${word} ${numbers.join(' ')}`)
    return numbers.map(Number)
  }

  #line(): Promise<string> {
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => this.#gone('no answer from erl'), ANSWER_LIMIT_MS)
      this.#waiting.push({
        resolve: line => {
          clearTimeout(limit)
          resolve(line)
        },
        reject: error => {
          clearTimeout(limit)
          reject(error)
        },
      })
    })
  }

  #gone(reason: string): void {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error(reason))
  }
}

/** Compiles the Erlang side into a temporary folder, and starts a node that talks to no other one. */
export async function openErlang(scope: Scope): Promise<Erlang> {
  return Erlang.start(scope, compile(scope))
}

/** Two nodes; `send` runs commands in the one, about the other, whose name is `peer`. */
export async function openErlangPair(scope: Scope): Promise<{ sender: Erlang; peer: string }> {
  const folder = compile(scope)
  const port = String(await freePort())
  const shared = ['-setcookie', COOKIE, '-start_epmd', 'false', '-erl_epmd_port', port]
  const loopback = ['-kernel', 'inet_dist_use_interface', '{127,0,0,1}']
  // The port belongs to the one that listens; a node that does not may have any name.
  const name = (it: string): string[] => ['-sname', `${it}@localhost`]
  await Erlang.start(scope, folder, [...name('receiver'), ...shared, ...loopback])
  const sender = await Erlang.start(scope, folder, [
    ...name('sender'),
    ...['-dist_listen', 'false'],
    ...shared,
  ])
  return { sender, peer: 'receiver@localhost' }
}

function compile(scope: Scope): string {
  const folder = scope.temporaryFolder()
  const options = `[report, {outdir, "${folder}"}]`
  const code = `{ok, _} = compile:file("${join(process.cwd(), SOURCE)}", ${options}), halt().`
  execFileSync('erl', ['-noshell', '-eval', code], { stdio: ['ignore', 'inherit', 'inherit'] })
  return folder
}

/** Another process may take it before it is used; then the start fails loudly. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
