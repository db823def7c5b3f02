// Which masters keep the registry's log together: tells who asks, and changes it for an operator (mesos-log members).
// Actor `replicated-log`, of every master with a log. Mesos has no such thing: there the quorum is a flag, and all are restarted.

import { Actor } from '../actors/actor.ts'
import { json, methodNotAllowed } from '../actors/http.ts'
import { parseAddress, type Pid } from '../actors/pid.ts'
import { serve } from '../actors/protocol.ts'
import { seconds } from '../base/duration.ts'
import { LogService } from '../log/log.ts'
import { LogMembershipService } from '../messages/log-membership.ts'

/** Waiting for members to have the last positions takes seconds at most (reconfigure.ts). */
const CHANGE_LIMIT_MS = seconds(30)

export class LogMembership extends Actor {
  readonly #log: Pid
  readonly serves = [
    serve(LogMembershipService, {
      members: () => this.#service.ask('members', {}),
      change: async (change, from) => {
        const address = 'add' in change ? change.add : change.remove
        if (parseAddress(address) === undefined)
          return { type: 'refused', why: `'${address}' is not host:port.` } as const
        this.log.info({ ...change, from }, 'a change of the members is asked for')
        return this.#service.ask('change', change, { timeoutMs: CHANGE_LIMIT_MS })
      },
    }),
  ]

  constructor(log: Pid) {
    super()
    this.#log = log
  }

  get #service() {
    return this.ref(LogService, this.#log)
  }

  protected override initialize(): void {
    this.route('/members', 'The masters that keep the registry.', async ({ method }) => {
      if (method !== 'GET' && method !== 'HEAD') return methodNotAllowed(['GET'])
      return json(await this.#service.ask('members', {}))
    })
  }
}
