// The dashboard over the past: the page's files, and a `/state` that takes a position. Nothing can be changed through it.

import { createHash } from 'node:crypto'
import { HttpServer } from '../../actors/http-server.ts'
import {
  type HttpRequest,
  type HttpResponse,
  json,
  methodNotAllowed,
  NOT_FOUND,
  text,
} from '../../actors/http.ts'
import { deferred } from '../../base/deferred.ts'
import { messageOf, UserError } from '../../base/errors.ts'
import { onStopSignal } from '../../framework/stop-signals.ts'
import type { LogView } from '../../log/log.ts'
import { dashboard, dashboardDirectory } from '../dashboard.ts'
import { History } from './history.ts'
import { parseListen } from './listen.ts'
import { pastState } from './past-state.ts'
import { timeText } from './text.ts'

/** Serves until it is told to end. */
export async function servePast(
  view: LogView,
  directory: string,
  listen: string,
  to: number,
): Promise<number> {
  const history = await History.read(view.entries({ to }))
  // What lies before the damage can be looked at all the same.
  if (view.damage) process.stderr.write(`mesos-log: ${view.damage.message}\n`)
  const { ip, port } = parseListen(listen)
  const server = new HttpServer()
  server.handle = pastHandler(history, directory, dashboard(dashboardDirectory))
  const bound = await server.listen(ip, port).catch((error: unknown) => {
    throw new UserError(
      'address_in_use',
      `Flag '--serve': ${listen} cannot be listened on: ${messageOf(error)}.`,
      { hint: 'Choose another address or port; with --serve alone any free port is taken.' },
    )
  })
  const { first, last } = history
  process.stdout.write(
    `Positions ${first} to ${last}, ${timeText(history.at(first).timeMs)} to ${timeText(history.at(last).timeMs)}.\n` +
      `Dashboard of the past: http://${ip}:${bound}/?position=${last}\n` +
      'Ctrl-C ends it.\n',
  )
  const ending = deferred()
  onStopSignal(
    ['SIGINT', 'SIGTERM'],
    () => ending.resolve(),
    () => process.exit(1),
  )
  await ending.promise
  await server.close()
  history.close()
  return 0
}

type Handler = (request: HttpRequest) => Promise<HttpResponse>

/** `page`: the dashboard's files by path. */
export function pastHandler(
  history: History,
  directory: string,
  page: ReadonlyMap<string, HttpResponse>,
): Handler {
  const epoch = createHash('sha256')
    .update(`${directory} ${process.pid} ${performance.timeOrigin}`)
    .digest('base64url')
    .slice(0, 12)
  const state = ({ query, headers }: HttpRequest): HttpResponse => {
    const wanted = query.get('position') ?? String(history.last)
    if (!/^\d{1,15}$/.test(wanted))
      return text(
        400,
        `'position' is not a position of the log: an integer from ${history.first} to ${history.last}.\n`,
      )
    const position = Math.min(Math.max(Number(wanted), history.first), history.last)
    // What is past does not change.
    const etag = `"${epoch}-${position}"`
    if (headers['if-none-match'] === etag) return { status: 304, headers: { etag } }
    return json(pastState(history.at(position), history, directory), {
      etag,
      'cache-control': 'no-cache',
    })
  }
  return request => {
    const answer = (): HttpResponse => {
      if (request.method !== 'GET' && request.method !== 'HEAD') return methodNotAllowed(['GET'])
      if (request.path === '/state') return state(request)
      return page.get(request.path) ?? NOT_FOUND
    }
    return Promise.resolve(answer())
  }
}
