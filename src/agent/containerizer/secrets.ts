// How secrets get from the agent into a container: through a socket that the container's init reads before it runs anything. They
// are in no command line, no environment and no file of the machine.

import type { ChildProcess } from 'node:child_process'
import type { Writable } from 'node:stream'
import type { Secret } from './container.ts'

/** Where the init has the socket; from 3 to 5 is what it needs itself. */
export const SECRETS_FD = 6

export const secretsStdio = (secrets: readonly Secret[]): ('ignore' | 'pipe')[] =>
  secrets.length === 0 ? [] : ['ignore', 'ignore', 'ignore', 'pipe']

/** One after the other: the init knows how long each is, and takes nothing for one that is not whole. */
export function giveSecrets(child: ChildProcess, secrets: readonly Secret[]): void {
  if (secrets.length === 0) return
  const socket = (child.stdio as readonly unknown[])[SECRETS_FD] as Writable
  // An init that gave up before reads none.
  socket.on('error', () => socket.destroy())
  socket.end(Buffer.concat(secrets.map(({ data }) => data)))
}
