// The calls of a scheduler that is subscribed, each to the conversation it belongs to.

import type { Call } from '../messages/scheduler-api.ts'
import { accept } from './accept.ts'
import type { MasterContext } from './context.ts'
import { frameworkMessage, shutdownExecutor } from './executors.ts'
import { ownRoles, removeFramework, updateFrameworkCall } from './frameworks.ts'
import { answerInverseOffers } from './maintenance/inverse-offers.ts'
import { decline } from './offers.ts'
import type { FrameworkRecord } from './state.ts'
import { acknowledge, kill, reconcile } from './tasks.ts'

export function subscribedCall(
  m: MasterContext,
  framework: FrameworkRecord,
  call: Exclude<Call, { type: 'SUBSCRIBE' }>,
): void {
  switch (call.type) {
    case 'ACCEPT':
      return accept(m, framework, call.accept)
    case 'DECLINE':
      return decline(
        m,
        framework,
        call.decline.offer_ids ?? [],
        call.decline.filters?.refuse_seconds,
      )
    case 'ACKNOWLEDGE':
      return acknowledge(m, framework, call.acknowledge)
    case 'KILL':
      return kill(m, framework, call.kill)
    case 'RECONCILE':
      return reconcile(m, framework, call.reconcile.tasks)
    case 'REVIVE': {
      const roles = ownRoles(m, framework, call.revive?.roles)
      if (roles) m.allocator.revive(framework.id, roles)
      return m.allocateSoon()
    }
    case 'SUPPRESS': {
      const roles = ownRoles(m, framework, call.suppress?.roles)
      if (roles) m.allocator.suppress(framework.id, roles)
      return
    }
    case 'MESSAGE':
      return frameworkMessage(m, framework, call.message)
    case 'SHUTDOWN':
      return shutdownExecutor(m, framework, call.shutdown)
    case 'TEARDOWN':
      return removeFramework(m, framework)
    case 'UPDATE_FRAMEWORK':
      return updateFrameworkCall(m, framework, call.update_framework)
    case 'ACCEPT_INVERSE_OFFERS':
      return answerInverseOffers(m, framework, 'ACCEPT', call.accept_inverse_offers)
    case 'DECLINE_INVERSE_OFFERS':
      return answerInverseOffers(m, framework, 'DECLINE', call.decline_inverse_offers)
    case 'REQUEST':
      // As in Mesos: the allocator does not listen to wishes.
      return
    case 'ACKNOWLEDGE_OPERATION_STATUS':
    case 'RECONCILE_OPERATIONS':
      m.log.warn(
        { call: call.type, framework_id: framework.id },
        'call not supported by this master',
      )
      return
  }
}
