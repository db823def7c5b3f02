// What the master serves over HTTP. Every handler sees the state between two messages, so it needs no lock.

import {
  type HttpHandler,
  type HttpRequest,
  type HttpResponse,
  json,
  methodNotAllowed,
  jsonText,
  text,
} from '../../actors/http.ts'
import { type Pid, pid, addressOf } from '../../actors/pid.ts'
import { VERSION } from '../../base/version.ts'
import { taskJson } from '../../resources/task-json.ts'
import type { MasterInfo } from '../../messages/agent.ts'
import type { MasterContext } from '../context.ts'
import { type AddRoute, byMethod, operatorRoutes } from './operator.ts'
import { Rebuilt } from './rebuilt.ts'
import { agentFilesRoutes, type FilesRef } from './agent-files.ts'
import {
  agentDetailsJson,
  allTasks,
  executorsByAgent,
  frameworksText,
  recoveredAgentsJson,
  stateText,
} from './json.ts'

export interface Routing {
  route(path: string, help: string, handler: HttpHandler): void
  leading(): boolean
  /** Who leads, as far as is known. */
  leader(): MasterInfo | undefined
  readonly startedAtMs: number
  electedAtMs(): number
  files(of: Pid): FilesRef
}

export function addRoutes(m: MasterContext, routing: Routing): void {
  const add: AddRoute = (path, help, handlers) => {
    const serve = byMethod(handlers)
    routing.route(path, help, request =>
      routing.leading() ? serve(request) : elsewhere(m, routing.leader(), request),
    )
  }
  const get = (path: string, help: string, handler: HttpHandler): void =>
    add(path, help, { GET: handler })
  routing.route('/health', '200 while the master serves.', () => ({ status: 200 }))
  routing.route('/version', 'The version of the program.', () => json({ version: VERSION }))
  // As in Mesos the host is the name that people know, and the scheme is the browser's. What is below is nothing.
  routing.route('/redirect', 'Leads to the dashboard of the leading master.', ({ path }) => {
    const leader = routing.leader()
    if (!path.endsWith('/redirect')) return { status: 404 }
    return leader ? moved(leader, '') : text(503, NO_LEADER)
  })
  // For the page of a master that does not lead: it may not follow a redirection to another origin.
  routing.route('/leader', 'Whether this master leads, and who does.', ({ method }) => {
    if (method !== 'GET' && method !== 'HEAD') return methodNotAllowed(['GET'])
    return json(leaderJson(m.info, routing), { 'cache-control': 'no-cache' })
  })
  get('/flags', 'The flags in force.', () => json({ flags: m.config.printable }))
  get('/state', 'Everything: agents, frameworks, tasks, offers.', stateHandler(m, routing))
  get('/slaves', 'The agents. ?slave_id= for one of them.', ({ query }) => {
    const id = query.get('slave_id')
    const agents = [...m.state.agents.values()].filter(agent => id === null || agent.id === id)
    const executors = executorsByAgent(m)
    return json({
      slaves: agents.map(agent => agentDetailsJson(m, agent, executors)),
      recovered_slaves: recoveredAgentsJson(m).filter(agent => id === null || agent.id === id),
    })
  })
  get('/frameworks', 'The frameworks. ?framework_id= for one of them.', ({ query }) => {
    const id = query.get('framework_id')
    const wanted = (framework: { readonly id: string }) => id === null || framework.id === id
    return jsonText(`{${frameworksText(m, wanted)},"unregistered_frameworks":[]}`)
  })
  get('/tasks', 'The tasks. ?limit=100&offset=0&order=desc&framework_id=&task_id=', ({ query }) =>
    tasks(m, query),
  )
  get(
    '/offers/why',
    'Why each framework is, or is not, offered an agent. ?agent_id=',
    ({ query }) => {
      const id = query.get('agent_id') ?? ''
      if (!m.state.agents.has(id)) return text(404, `There is no agent '${id}'.\n`)
      const rows = m.allocator.explain(id, m.now())
      return json({
        agent_id: id,
        frameworks: rows.map(({ frameworkId, role, reason }) => ({
          framework_id: frameworkId,
          role,
          reason: reason ?? 'nothing is against it; what is free goes to it when its turn comes',
        })),
      })
    },
  )
  operatorRoutes(m, add)
  agentFilesRoutes(get, id => {
    const agent = m.state.agents.get(id)
    return agent && routing.files(pid('files', addressOf(agent.pid)))
  })
}

function leaderJson({ id }: MasterInfo, routing: Routing): object {
  const leader = routing.leader()
  return {
    id,
    leading: routing.leading(),
    ...(leader && {
      leader: { id: leader.id, pid: leader.pid, hostname: leader.hostname, port: leader.port },
    }),
  }
}

/** Of a master that does not lead: whoever does serves this. */
function elsewhere(
  { info }: MasterContext,
  leader: MasterInfo | undefined,
  { path, query }: HttpRequest,
): HttpResponse {
  if (!leader) return text(503, NO_LEADER)
  if (leader.id === info.id) return text(503, 'Master has not finished recovery\n')
  return moved(leader, query.size > 0 ? `${path}?${query.toString()}` : path)
}

const NO_LEADER = 'No leader elected\n'

function moved({ hostname, port }: MasterInfo, to: string): HttpResponse {
  return { status: 307, headers: { location: `//${hostname}:${port}${to}` } }
}

/** `/state` is asked for by everyone, again and again: who has it already is told so in a few bytes. */
function stateHandler(m: MasterContext, routing: Routing): HttpHandler {
  const view = new Rebuilt<{ readonly etag: string; readonly response: HttpResponse }>(() =>
    m.now(),
  )
  return (request: HttpRequest) => {
    const { version } = m.state
    const asked = request.headers['if-none-match']
    const current = etagOf(m, version)
    if (asked === current) return { status: 304, headers: { etag: current } }
    const { etag, response } = view.get(version, () => {
      const state = stateText(m, {
        version: VERSION,
        startedAtMs: routing.startedAtMs,
        electedAtMs: routing.electedAtMs(),
      })
      const etag = etagOf(m, version)
      return { etag, response: jsonText(state, { etag, 'cache-control': 'no-cache' }) }
    })
    return asked === etag ? { status: 304, headers: { etag } } : response
  }
}

const etagOf = (m: MasterContext, version: number): string => `"${m.info.id}-${version}"`

const DEFAULT_LIMIT = 100

function tasks(m: MasterContext, query: URLSearchParams): HttpResponse {
  const number = (name: string, fallback: number): number => {
    const given = query.get(name) ?? ''
    return /^-?\d{1,15}$/.test(given) ? Number(given) : fallback
  }
  const frameworkId = query.get('framework_id')
  const taskId = query.get('task_id')
  const started = (task: {
    readonly statuses?: readonly { timestamp?: number | undefined }[] | undefined
  }) => task.statuses?.[0]?.timestamp ?? 0
  const order = query.get('order') === 'asc' ? 1 : -1
  const found = allTasks(m)
    .filter(task => frameworkId === null || task.framework_id.value === frameworkId)
    .filter(task => taskId === null || task.task_id.value === taskId)
    .sort((a, b) => order * (started(a) - started(b)))
  const offset = number('offset', 0)
  const limit = number('limit', DEFAULT_LIMIT)
  // As in Mesos, where both are unsigned: a negative limit is none of ours, a negative offset is beyond all tasks.
  const from = offset < 0 ? found.length : offset
  const to = from + (limit < 0 ? DEFAULT_LIMIT : limit)
  return json({ tasks: found.slice(from, to).map(taskJson) })
}
