// A connection in the network of a container: no thread of this process can be in another network namespace, so a small program
// of the machine's, which is put there, makes the connection and passes on what goes through it. One of the few files that may
// touch the world.

import { spawn } from 'node:child_process'
import { Duplex } from 'node:stream'
import { UserError } from '../../base/errors.ts'
import { BASH } from '../argv0.ts'

/** Says with one byte that it is connected. Ends when the other side does; the reader is the only one that has the output then. */
const RELAY = `
exec 3<>"/dev/tcp/$1/$2" || exit 1
echo
cat <&3 &
exec cat >&3
`

/** Only what is needed to find cat(1). */
const ENVIRONMENT = { PATH: '/usr/bin:/bin' }

/** Rejects with a `UserError` if nothing listens there, or `stop` comes first. Whoever has it destroys it. */
export function connectWithin(
  entrance: readonly [string, ...string[]],
  { host, port }: { readonly host: string; readonly port: number },
  stop: AbortSignal,
): Promise<Duplex> {
  const [program, ...front] = entrance
  const child = spawn(program, [...front, BASH, '-c', RELAY, 'bash', host, String(port)], {
    cwd: '/',
    env: ENVIRONMENT,
    stdio: ['pipe', 'pipe', 'ignore'],
    // In a group of its own, by which all of it is ended.
    detached: true,
  })
  const kill = (): void => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
  const { stdin, stdout } = child
  const socket = Duplex.from({ readable: stdout, writable: stdin })
  // What happens to it before and after somebody listens is no matter.
  socket.on('error', () => {})
  socket.once('close', () => {
    stop.removeEventListener('abort', kill)
    kill()
  })
  stop.addEventListener('abort', kill, { once: true })
  if (stop.aborted) kill()
  return new Promise((resolve, reject) => {
    const fail = (): void => {
      socket.destroy()
      reject(new UserError('unavailable', 'nothing listens there'))
    }
    child.once('error', fail)
    child.once('exit', fail)
    stdout.once('readable', () => {
      if (stdout.read(1) === null) return fail()
      child.off('exit', fail)
      resolve(socket)
    })
  })
}
