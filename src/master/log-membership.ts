// Which masters keep the registry's log together, over HTTP: GET says who, POST adds or removes one. Id: `replicated-log`, so
// `http://master:5050/replicated-log/members`. Mesos has no such thing: there the quorum is a flag, and all must be restarted.

import * as v from 'valibot'
import { Actor } from '../actors/actor.ts'
import {
  type HttpRequest,
  type HttpResponse,
  json,
  methodNotAllowed,
  text,
} from '../actors/http.ts'
import { type Pid, parseAddress } from '../actors/pid.ts'
import { LogService } from '../log/log.ts'

export const LOG_MEMBERSHIP_ID = 'replicated-log'

/** Waiting for members to have the last positions takes seconds at most (reconfigure.ts). */
const CHANGE_LIMIT_MS = 30_000
const MOST_BYTES = 4_096

const Address = v.pipe(
  v.string(),
  v.maxLength(300),
  v.check(address => parseAddress(address) !== undefined, 'is not host:port'),
)
const Change = v.union([v.strictObject({ add: Address }), v.strictObject({ remove: Address })])

export class LogMembership extends Actor {
  readonly serves = []
  readonly #log: Pid

  constructor(log: Pid) {
    super()
    this.#log = log
  }

  protected override initialize(): void {
    const help =
      'The masters that keep the registry. POST {"add": "host:port"} or {"remove": …} changes them.'
    this.route('/members', help, request => {
      if (request.method === 'GET' || request.method === 'HEAD') return this.#members()
      if (request.method === 'POST') return this.#change(request)
      return methodNotAllowed(['GET', 'POST'])
    })
  }

  async #members(): Promise<HttpResponse> {
    return json(await this.ref(LogService, this.#log).ask('members', {}))
  }

  async #change({ headers, body }: HttpRequest): Promise<HttpResponse> {
    // A page of another origin cannot send this type without being asked for leave, which nobody gives.
    if (!/^application\/json\b/.test(headers['content-type'] ?? ''))
      return text(415, 'Expected content-type: application/json.\n')
    const change = body.length > MOST_BYTES ? undefined : parseChange(body)
    if (!change) return text(400, 'Expected {"add": "host:port"} or {"remove": "host:port"}.\n')
    const limit = { timeoutMs: CHANGE_LIMIT_MS }
    return json(await this.ref(LogService, this.#log).ask('change', change, limit))
  }
}

function parseChange(body: Uint8Array): v.InferOutput<typeof Change> | undefined {
  try {
    const parsed = v.safeParse(Change, JSON.parse(new TextDecoder().decode(body)))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}
