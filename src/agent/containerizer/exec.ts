// Runs a program to its end, and with it, when it is told to stop, its process group. One of the few files that may touch the
// world.

import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { messageOf, UserError } from '../../base/errors.ts'
import { endedBySignal, exitedWith } from '../wait-status.ts'

export interface Program {
  readonly argv: readonly [string, ...string[]]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

/** Resolves with its wait(2) status. What it says nobody hears. Rejects with a `UserError` if it cannot be started. */
export function runProgram({ argv, env, cwd }: Program, stop: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const [program, ...args] = argv
    // In a group of its own, by which it is killed: in a pid namespace, too, a group has its number outside.
    const child = spawn(program, args, { cwd, env, stdio: 'ignore', detached: true })
    const kill = (): void => {
      try {
        process.kill(-child.pid!, 'SIGKILL')
      } catch {
        // It has ended.
      }
    }
    child.once('error', error => {
      reject(
        new UserError('internal', `It could not be started: ${messageOf(error)}`, { cause: error }),
      )
    })
    child.once('exit', (code, signal) => {
      stop.removeEventListener('abort', kill)
      resolve(signal ? endedBySignal(constants.signals[signal]) : exitedWith(code ?? 0))
    })
    if (child.pid === undefined) return
    if (stop.aborted) kill()
    else stop.addEventListener('abort', kill, { once: true })
  })
}
