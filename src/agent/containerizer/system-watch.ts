// Sockets and sandboxes as the machine shows them, for network/ports and disk/du. One of the few files that may touch the world.

import { spawn } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { sizesIn } from './isolator-disk.ts'
import { listeningIn, type SocketTable } from './isolator-ports.ts'

const SOCKET = /^socket:\[(\d+)\]$/

export const systemSockets: SocketTable = {
  listening: async () => {
    const read = (path: string): Promise<string> => readFile(path, 'latin1').catch(() => '')
    const [v4, v6] = await Promise.all([read('/proc/net/tcp'), read('/proc/net/tcp6')])
    return new Map([...listeningIn(v4), ...listeningIn(v6)])
  },
  of: async pid => {
    try {
      const fds = await readdir(`/proc/${pid}/fd`)
      const links = await Promise.all(
        fds.map(fd => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')),
      )
      return links.flatMap(link => SOCKET.exec(link)?.[1] ?? [])
    } catch {
      // It has ended.
      return []
    }
  },
}

/** Of one sandbox: a number and a path. What more du says is not kept. */
const MAX_LINE_BYTES = 5_000

/**
 * By du(1), at the lowest priority: a file that has several names counts once for each, as in Mesos; other mounts are not entered.
 * What du complains of (a file that went while it looked) is no failure.
 */
export function measureDisk(
  du: string,
  nice: string,
): (directories: readonly string[]) => Promise<ReadonlyMap<string, number>> {
  return directories =>
    new Promise((resolve, reject) => {
      const args = ['-n', '19', du, '-s', '-l', '-x', '-0', '-B1', '--', ...directories]
      const child = spawn(nice, args, { stdio: ['ignore', 'pipe', 'ignore'] })
      let output = ''
      child.stdout.on('data', (bytes: Buffer) => {
        if (output.length < directories.length * MAX_LINE_BYTES) output += bytes.toString()
      })
      child.once('error', reject)
      child.once('close', () => resolve(sizesIn(output)))
    })
}
