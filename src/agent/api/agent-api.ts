// `POST /api/v1`: the agent's calls, of which each is one JSON document, or a stream of them.

import * as v from 'valibot'
import {
  type HttpRequest,
  type HttpResponse,
  json,
  methodNotAllowed,
  text,
} from '../../actors/http.ts'
import { distrust, type IsOperator } from '../../actors/operators.ts'
import { AgentCall, AttachInput } from '../../messages/agent-api.ts'
import type { ContainerCalls } from './container-calls.ts'

const JSON_TYPE = 'application/json'
const STREAM_TYPE = 'application/recordio'

export interface AgentApiOptions {
  readonly containers: ContainerCalls
  /** Bodies of the calls that ask for something that is known, without the type. */
  readonly known: Readonly<Record<'GET_FLAGS' | 'GET_VERSION' | 'GET_STATE', () => object>>
  readonly listed: (isNestedShown: boolean) => readonly object[]
  readonly isOperator: IsOperator | undefined
}

export class AgentApi {
  readonly #o: AgentApiOptions

  constructor(options: AgentApiOptions) {
    this.#o = options
  }

  /** Never throws, and rejects for a bug only. */
  async handle(request: HttpRequest): Promise<HttpResponse> {
    if (request.method !== 'POST') return methodNotAllowed(['POST'])
    const refused = whyRefused(request) ?? distrust(request, this.#o.isOperator)
    if (refused) return refused
    if (request.pieces) return this.#o.containers.attachInput(request.pieces, parseInput)
    const call = parse(AgentCall, new TextDecoder().decode(request.body), 'agent::Call')
    if (typeof call === 'string') return text(400, `${call}\n`)
    return withType(await this.#answer(call), request)
  }

  #answer(call: AgentCall): HttpResponse | Promise<HttpResponse> {
    const { containers, known, listed } = this.#o
    const { type } = call
    const named = (body: object): HttpResponse => json({ type, [type.toLowerCase()]: body })
    const ended = (status: object): string => JSON.stringify({ type, [type.toLowerCase()]: status })
    switch (type) {
      case 'GET_HEALTH':
        return named({ healthy: true })
      case 'GET_FLAGS':
      case 'GET_VERSION':
      case 'GET_STATE':
        return named(known[type]())
      case 'GET_CONTAINERS':
        return named({ containers: listed(call.get_containers?.show_nested ?? false) })
      case 'LAUNCH_CONTAINER':
        return containers.launch(call.launch_container)
      case 'LAUNCH_NESTED_CONTAINER':
        return containers.launch(call.launch_nested_container)
      case 'LAUNCH_NESTED_CONTAINER_SESSION':
        return containers.session(call.launch_nested_container_session)
      case 'WAIT_CONTAINER':
        return containers.wait(call.wait_container.container_id, ended)
      case 'WAIT_NESTED_CONTAINER':
        return containers.wait(call.wait_nested_container.container_id, ended)
      case 'KILL_CONTAINER':
        return containers.kill(call.kill_container.container_id, call.kill_container.signal)
      case 'KILL_NESTED_CONTAINER':
        return containers.kill(
          call.kill_nested_container.container_id,
          call.kill_nested_container.signal,
        )
      case 'REMOVE_CONTAINER':
        return containers.remove(call.remove_container.container_id)
      case 'REMOVE_NESTED_CONTAINER':
        return containers.remove(call.remove_nested_container.container_id)
      case 'ATTACH_CONTAINER_OUTPUT':
        return containers.attachOutput(call.attach_container_output.container_id)
    }
  }
}

/** What is wrong with the headers; Mesos' words. */
function whyRefused({ headers, pieces }: HttpRequest): HttpResponse | undefined {
  const type = headers['content-type']
  const message = headers['message-content-type']
  const isJson = type !== undefined && /^application\/json\b/i.test(type)
  if (type === undefined) return text(400, "Expecting 'Content-Type' to be present\n")
  if (!isJson && !pieces) {
    return text(415, `Expecting 'Content-Type' of ${JSON_TYPE} or ${STREAM_TYPE}\n`)
  }
  if (pieces && message === undefined) {
    return text(400, "Expecting 'Message-Content-Type' to be set for streaming requests\n")
  }
  if (pieces && !/^application\/json\b/i.test(message!)) {
    return text(415, `Expecting 'Message-Content-Type' of ${JSON_TYPE}\n`)
  }
  if (!pieces && message !== undefined) {
    return text(415, "Expecting 'Message-Content-Type' to be not set for non-streaming requests\n")
  }
  if (accepts(headers, JSON_TYPE) || accepts(headers, STREAM_TYPE)) return undefined
  return text(406, `Expecting 'Accept' to allow ${JSON_TYPE} or ${STREAM_TYPE}\n`)
}

function accepts(headers: HttpRequest['headers'], type: string): boolean {
  const accept = headers['accept'] ?? '*/*'
  return accept
    .split(',')
    .map(range => range.split(';')[0]!.trim().toLowerCase())
    .some(range => range === type || range === '*/*' || range === 'application/*')
}

/** As Mesos: who does not ask for records by name gets them as what it calls JSON. */
function withType(response: HttpResponse, { headers }: HttpRequest): HttpResponse {
  if (!response.stream || response.headers?.['content-type'] !== undefined) return response
  const isNamed = /application\/recordio/i.test(headers['accept'] ?? '')
  return {
    ...response,
    headers: isNamed
      ? { 'content-type': STREAM_TYPE, 'message-content-type': JSON_TYPE }
      : { 'content-type': JSON_TYPE },
  }
}

function parseInput(record: Uint8Array): AttachInput | string {
  return parse(AttachInput, new TextDecoder().decode(record), 'agent::Call')
}

function parse<T>(schema: v.GenericSchema<unknown, T>, body: string, what: string): T | string {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch (error) {
    return `Failed to parse body into JSON: ${(error as Error).message}`
  }
  const parsed = v.safeParse(schema, value)
  if (parsed.success) return parsed.output
  const [issue] = parsed.issues
  const path = v.getDotPath(issue)
  return `Failed to validate ${what}: ${path === null ? '' : `'${path}': `}${issue.message}`
}
