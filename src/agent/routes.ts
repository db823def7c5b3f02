// What the agent answers over HTTP.

import type { Context } from '../actors/actor.ts'
import { json } from '../actors/http.ts'
import { addressOf, pid } from '../actors/pid.ts'
import { Files } from '../messages/files.ts'
import type { AgentExecutor } from './agent-state.ts'
import { AgentApi } from './api/agent-api.ts'
import { ContainerCalls } from './api/container-calls.ts'
import type { Environment } from './environment.ts'
import { listContainers, statisticsResponse } from './monitor.ts'
import { agentState, stateResponse, type StateSource } from './state-json.ts'

/** The id of the actor that shows files. */
const FILES_ID = 'files'

export interface AgentRoutesOptions {
  readonly context: Context
  /** What `/state` shows, as it is now. */
  readonly source: () => StateSource
  /** What the programs of an executor have in their environment. */
  readonly environment: (executor: AgentExecutor) => Environment
}

export function addRoutes({ context, source, environment }: AgentRoutesOptions): void {
  const { state, options } = source()
  const { clock } = context
  const flags = { flags: options.printableFlags }
  const version = { version: options.version }
  context.route('/state', "The agent's resources, frameworks, executors and tasks", () =>
    stateResponse(source()),
  )
  context.route('/health', '200 while the agent answers', () => ({ status: 200 }))
  context.route('/flags', 'The flags the agent was started with', () => json(flags))
  context.route('/monitor/statistics', 'What each container uses', () =>
    statisticsResponse(state, options.processes, clock.now()),
  )
  context.route('/version', 'The version of the program', () => json(version))
  const files = context.ref(Files, pid(FILES_ID, addressOf(context.self)))
  const containers = new ContainerCalls({
    state,
    processes: options.processes,
    clock,
    uuid: () => context.random.uuid(),
    environment,
    read: (path, offset) => files.ask('read', { path, offset, encoding: 'base64' }),
  })
  const api = new AgentApi({
    containers,
    known: {
      GET_FLAGS: () => flags,
      GET_VERSION: () => ({ version_info: version }),
      GET_STATE: () => agentState(source()),
    },
    listed: isNestedShown =>
      listContainers(state, options.processes, { nowMs: clock.now(), isNestedShown }),
    isOperator: options.isOperator,
  })
  context.route('/api/v1', 'Calls about containers, as JSON (docs/agent.md)', async request => {
    try {
      return await api.handle(request)
    } catch (error) {
      // A bug of one call's is no reason to end all that runs here.
      context.log.error({ error, path: request.path }, 'a call failed')
      return { status: 500, body: 'The request failed inside the server; its log says why.\n' }
    }
  })
}
