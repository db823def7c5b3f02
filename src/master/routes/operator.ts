// What operators ask of the master: `POST /api/v1`, a call a request, and the older endpoints for maintenance.

import * as v from 'valibot'
import {
  type HttpHandler,
  type HttpRequest,
  type HttpResponse,
  json,
  methodNotAllowed,
} from '../../actors/http.ts'
import { distrust } from '../../actors/operators.ts'
import { MaintenanceSchedule } from '../../messages/agent.ts'
import { OperatorCall } from '../../messages/operator-api.ts'
import { MachineID } from '../../messages/values.ts'
import type { Answer } from '../answer.ts'
import type { MasterContext } from '../context.ts'
import { deactivateAgent, drainAgent, reactivateAgent } from '../draining.ts'
import { markGone } from '../gone.ts'
import {
  maintenanceStatus,
  startMaintenance,
  stopMaintenance,
  updateSchedule,
} from '../maintenance/maintenance.ts'
import type { Cause } from '../registry/operations.ts'
import { bodyOf, responseTo } from './bodies.ts'

type Handlers = Readonly<Partial<Record<'GET' | 'POST', HttpHandler>>>
/** Adds a route that the leading master alone serves. */
export type AddRoute = (path: string, help: string, handlers: Handlers) => void

const BY_OPERATOR: Cause = { why: 'asked for by an operator' }

export function operatorRoutes(m: MasterContext, add: AddRoute): void {
  const withBody = <T>(
    request: HttpRequest,
    schema: v.GenericSchema<unknown, T>,
    what: string,
    serve: (value: T) => HttpResponse | Promise<HttpResponse>,
  ): HttpResponse | Promise<HttpResponse> => {
    const refused = distrust(request, m.config.isOperator)
    if (refused) return refused
    const body = bodyOf(request, schema, what)
    return 'refusal' in body ? body.refusal : serve(body.value)
  }
  add('/api/v1', 'The operator API: POST one call, as JSON.', {
    POST: request => {
      // What is below is somebody else's.
      if (!request.path.endsWith('/v1')) return { status: 404 }
      return withBody(request, OperatorCall, 'a call of the operator API', call =>
        serveCall(m, call),
      )
    },
  })
  const schedule = (): object => m.registryView.machines.schedule
  add('/maintenance/schedule', 'The maintenance schedule. POST another one in its place.', {
    GET: () => json(schedule()),
    POST: request =>
      withBody(request, MaintenanceSchedule, 'a maintenance schedule', async wanted =>
        responseTo(await updateSchedule(m, wanted, BY_OPERATOR)),
      ),
  })
  add('/maintenance/status', 'Machines under maintenance, and what frameworks answered.', {
    GET: () => json(maintenanceStatus(m)),
  })
  const machines =
    (move: typeof startMaintenance): HttpHandler =>
    request =>
      withBody(request, v.array(MachineID), 'a list of machines', async ids =>
        responseTo(await move(m, ids, BY_OPERATOR)),
      )
  add('/machine/down', 'POST machines of the schedule, as JSON: they are down.', {
    POST: machines(startMaintenance),
  })
  add('/machine/up', 'POST machines that are down, as JSON: they are up again.', {
    POST: machines(stopMaintenance),
  })
}

/** Handlers by method, and an answer to all other methods. */
export function byMethod(handlers: Handlers): HttpHandler {
  return request => {
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const handler = Object.hasOwn(handlers, method) ? handlers[method as 'GET'] : undefined
    return handler ? handler(request) : methodNotAllowed(Object.keys(handlers))
  }
}

function serveCall(m: MasterContext, call: OperatorCall): HttpResponse | Promise<HttpResponse> {
  switch (call.type) {
    case 'GET_MAINTENANCE_SCHEDULE':
      return json({
        type: call.type,
        get_maintenance_schedule: { schedule: m.registryView.machines.schedule },
      })
    case 'GET_MAINTENANCE_STATUS':
      return json({ type: call.type, get_maintenance_status: { status: maintenanceStatus(m) } })
    default:
      return change(m, call).then(responseTo)
  }
}

function change(
  m: MasterContext,
  call: Exclude<OperatorCall, { type: `GET_${string}` }>,
): Promise<Answer> {
  switch (call.type) {
    case 'DRAIN_AGENT': {
      const { agent_id, max_grace_period, mark_gone = false } = call.drain_agent
      const config = { ...(max_grace_period && { max_grace_period }), mark_gone }
      return drainAgent(m, agent_id.value, config, BY_OPERATOR)
    }
    case 'DEACTIVATE_AGENT':
      return deactivateAgent(m, call.deactivate_agent.agent_id.value, BY_OPERATOR)
    case 'REACTIVATE_AGENT':
      return reactivateAgent(m, call.reactivate_agent.agent_id.value, BY_OPERATOR)
    case 'MARK_AGENT_GONE':
      return markGone(m, call.mark_agent_gone.agent_id.value, BY_OPERATOR)
    case 'UPDATE_MAINTENANCE_SCHEDULE':
      return updateSchedule(m, call.update_maintenance_schedule.schedule, BY_OPERATOR)
    case 'START_MAINTENANCE':
      return startMaintenance(m, call.start_maintenance.machines ?? [], BY_OPERATOR)
    case 'STOP_MAINTENANCE':
      return stopMaintenance(m, call.stop_maintenance.machines ?? [], BY_OPERATOR)
  }
}
