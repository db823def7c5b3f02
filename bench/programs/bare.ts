// The same conversation by hand: ws and msgpackr, nothing between them. No actors, no schemas, no names; a list of
// notes is one WebSocket message, encoded and decoded at once.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Packr } from 'msgpackr'
import { WebSocket, WebSocketServer } from 'ws'
import { serveCommands } from '../program.ts'

/** `[kind, body]`; a note says nothing of its kind but that. */
const NOTE = 0
const COUNT = 1
type Message = readonly [typeof NOTE, { number: number; text: string }] | readonly [typeof COUNT]

/** Plain maps, as any msgpack library reads them, and as the runtime sends them. */
const packr = new Packr({ useRecords: false, variableMapSize: true })
const BATCH = 1_000
/** A batch more is sent only when fewer than this are unanswered. */
const OPEN_BATCHES = 4

let socket: WebSocket | undefined

function connected(): WebSocket {
  if (!socket) throw new Error('not connected')
  return socket
}

const commands = serveCommands({
  /** Resolves to the port. On `/echo` what comes is sent back as it is. */
  async listen(): Promise<number> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
    server.on('connection', (ws, request) => {
      if (request.url === '/echo') return void ws.on('message', data => ws.send(data as Buffer))
      let notes = 0
      ws.on('message', data => {
        for (const [kind] of packr.unpack(data as Buffer) as Message[]) {
          if (kind === NOTE) notes++
          else ws.send(packr.pack(notes))
        }
      })
    })
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  },

  async connect({ port, path }: { port: number; path: string }): Promise<void> {
    socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false })
    await once(socket, 'open')
  },

  /** Resolves to the milliseconds that so many notes took. */
  async send({ count }: { count: number }): Promise<number> {
    const ws = connected()
    const startedMs = performance.now()
    let sent = 0
    let open = 0
    await new Promise<void>(done => {
      const fill = (): void => {
        while (sent < count && open < OPEN_BATCHES) {
          const batch: Message[] = []
          const end = Math.min(sent + BATCH, count)
          for (; sent < end; sent++) batch.push([NOTE, { number: sent, text: 'a note' }])
          batch.push([COUNT])
          ws.send(packr.pack(batch))
          open++
        }
        if (sent === count && open === 0) {
          ws.off('message', answered)
          done()
        }
      }
      const answered = (): void => {
        open--
        fill()
      }
      ws.on('message', answered)
      fill()
    })
    return performance.now() - startedMs
  },

  /** Resolves to the milliseconds that so many echoes took, one after another. */
  async echo({ count, sizeBytes }: { count: number; sizeBytes: number }): Promise<number> {
    const ws = connected()
    const bytes = Buffer.alloc(sizeBytes, 1)
    const startedMs = performance.now()
    let left = count
    await new Promise<void>(done => {
      const next = (): void => {
        if (left-- > 0) ws.send(bytes)
        else {
          ws.off('message', next)
          done()
        }
      }
      ws.on('message', next)
      next()
    })
    return performance.now() - startedMs
  },
})

export type BareProgram = typeof commands
