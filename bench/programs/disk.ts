// What the machine itself takes: a write that is synced, a round trip over loopback, a file read through.

import { execFileSync } from 'node:child_process'
import { closeSync, fdatasyncSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { serveCommands } from '../program.ts'
import { percentile } from '../statistics.ts'

let peer: Socket | undefined

const commands = serveCommands({
  /** Sends back what it gets; resolves to its port. */
  async echo(): Promise<number> {
    const server = createServer({ noDelay: true }, socket => socket.pipe(socket))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as { port: number }).port
  },

  async connect({ port }: { port: number }): Promise<void> {
    peer = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(peer, 'connect')
  },

  /** So many times, one after the other: appends to a file and syncs it, and asks the echo. Milliseconds for both. */
  async syncAndAsk(o: { directory: string; bytes: number; count: number }): Promise<{
    p50: number
    p99: number
  }> {
    if (!peer) throw new Error('not connected')
    const bytes = Buffer.alloc(o.bytes, 0x61)
    const file = openSync(join(o.directory, 'synced'), 'w')
    const times: number[] = []
    for (let i = 0; i < o.count; i++) {
      const startedMs = performance.now()
      writeSync(file, bytes, 0, bytes.length, i * bytes.length)
      fdatasyncSync(file)
      peer.write(bytes)
      for (let got = 0; got < bytes.length; ) {
        const [chunk] = (await once(peer, 'data')) as [Buffer]
        got += chunk.length
      }
      times.push(performance.now() - startedMs)
    }
    closeSync(file)
    return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) }
  },

  /** Reads all files of a directory once; milliseconds. */
  read({ directory }: { directory: string }): number {
    const startedMs = performance.now()
    execFileSync('sh', ['-c', 'exec cat "$1"/*.log > /dev/null', 'sh', directory])
    return performance.now() - startedMs
  },

  /** Gives up what the kernel has cached of files. Root only. */
  dropCaches(): void {
    execFileSync('sync')
    writeFileSync('/proc/sys/vm/drop_caches', '3')
  },
})

export type DiskProgram = typeof commands
