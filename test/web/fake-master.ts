// A small HTTP server that answers as the master does towards a browser: the page, /state with an
// ETag, /files.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ClusterState } from '../../src/web/page/state.ts'
import type { BuiltPage } from './built-page.ts'

export interface FakeMaster {
  readonly url: string
  /** What /state says; a new object is a new state. */
  state: ClusterState
  /** When set, /state answers 503 with this text instead. */
  recovering: string | undefined
  /** When set, it does not lead, and sends everyone to this address, if there is one. */
  standby: { readonly leader?: { readonly hostname: string; readonly port: number } } | undefined
  /** Files of sandboxes by virtual path. */
  readonly files: Map<string, string>
  /** What /offers/why says of every agent. */
  why: readonly { framework_id: string; role: string; reason: string }[]
  /** How /state was answered so far, by status. */
  readonly answers: Map<number, number>
  stop(): Promise<void>
}

export async function fakeMaster(
  page: BuiltPage,
  state: ClusterState,
  port = 0,
): Promise<FakeMaster> {
  const server = createServer((request, response) => answer(request, response))
  await new Promise<void>(done => server.listen(port, '127.0.0.1', done))
  const master: FakeMaster = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    state,
    recovering: undefined,
    standby: undefined,
    files: new Map(),
    why: [],
    answers: new Map(),
    stop() {
      server.closeAllConnections()
      return new Promise(done => server.close(() => done()))
    },
  }
  const tags = new WeakMap<ClusterState, string>()
  let version = 0

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://master')
    const built = page.get(url.pathname)
    if (built) {
      response.writeHead(200, { 'Content-Type': built.type }).end(built.body)
    } else if (url.pathname === '/state') {
      answerState(request, response)
      master.answers.set(response.statusCode, (master.answers.get(response.statusCode) ?? 0) + 1)
    } else if (url.pathname === '/leader') {
      sendJson(response, leaderAnswer())
    } else if (url.pathname === '/files/read') {
      answerRead(url.searchParams, response)
    } else if (url.pathname === '/files/browse') {
      answerBrowse(url.searchParams, response)
    } else if (url.pathname === '/offers/why') {
      sendJson(response, { agent_id: url.searchParams.get('agent_id'), frameworks: master.why })
    } else {
      response.writeHead(404).end()
    }
  }

  function answerState(request: IncomingMessage, response: ServerResponse): void {
    if (master.recovering !== undefined) {
      response.writeHead(503, { 'Content-Type': 'text/plain' }).end(master.recovering)
      return
    }
    if (master.standby) {
      const { leader } = master.standby
      if (!leader) response.writeHead(503).end('No leader elected\n')
      else {
        const location = `//${leader.hostname}:${leader.port}/state`
        response.writeHead(307, { Location: location }).end()
      }
      return
    }
    const tag = tags.get(master.state) ?? `"${++version}"`
    tags.set(master.state, tag)
    if (request.headers['if-none-match'] === tag) {
      response.writeHead(304, { ETag: tag }).end()
    } else {
      sendJson(response, master.state, { ETag: tag })
    }
  }

  function leaderAnswer(): object {
    const { standby, recovering } = master
    const self = { id: 'this', hostname: '127.0.0.1', port: Number(new URL(master.url).port) }
    const leader = standby ? standby.leader && { id: 'other', ...standby.leader } : self
    return { id: 'this', leading: !standby && recovering === undefined, ...(leader && { leader }) }
  }

  function answerRead(query: URLSearchParams, response: ServerResponse): void {
    const text = master.files.get(query.get('path') ?? '')
    if (text === undefined) {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('No such file.\n')
      return
    }
    const bytes = Buffer.from(text)
    const offset = Number(query.get('offset') ?? -1)
    if (offset < 0) {
      sendJson(response, { offset: bytes.length, data: '' })
      return
    }
    const length = Number(query.get('length') ?? bytes.length)
    sendJson(response, { offset, data: bytes.subarray(offset, offset + length).toString() })
  }

  function answerBrowse(query: URLSearchParams, response: ServerResponse): void {
    const folder = `${query.get('path')}/`
    const inside = [...master.files].filter(([path]) => path.startsWith(folder))
    sendJson(
      response,
      inside.map(([path, text]) => ({
        path,
        size: Buffer.byteLength(text),
        mtime: 1_795_337_471,
        mode: '-rw-r--r--',
      })),
    )
  }

  return master
}

function sendJson(response: ServerResponse, value: unknown, headers = {}): void {
  response
    .writeHead(200, { 'Content-Type': 'application/json', ...headers })
    .end(JSON.stringify(value))
}
