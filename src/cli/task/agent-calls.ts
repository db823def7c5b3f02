// Calls to an agent about a container, whose answer or request goes on for as long as somebody talks to it.

import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import * as v from 'valibot'
import { messageOf, UserError } from '../../base/errors.ts'
import { encodeRecord, RecordDecoder } from '../../base/record-io.ts'
import { ProcessIO } from '../../messages/agent-api.ts'
import type { ContainerID } from '../../messages/ids.ts'

const JSON_TYPE = 'application/json'
const STREAM_TYPE = 'application/recordio'
const MAX_RECORD_BYTES = 4 * 1024 * 1024
const HEARTBEAT_MS = 30_000
const NS_PER_MS = 1_000_000
const MAX_ANSWER_BYTES = 1024 * 1024

export interface AgentOptions {
  /** host:port. */
  readonly address: string
  /** Proves that we know the secret of the cluster. */
  readonly token: string | undefined
}

export class AgentCalls {
  readonly #o: AgentOptions

  constructor(options: AgentOptions) {
    this.#o = options
  }

  /** Makes a call and reads its whole answer. Rejects with a `UserError` if it is refused. */
  async call(call: object): Promise<string> {
    return wholeOf(await this.#post(call, JSON_TYPE))
  }

  /** Makes a call whose answer is what a program says. */
  async output(call: object): Promise<AsyncIterable<ProcessIO>> {
    return recordsOf(await this.#post(call, STREAM_TYPE))
  }

  /** Opens the input of a container. `ended` is called once, with why if it was refused or broke off. */
  input(containerId: ContainerID, ended: (why: string | undefined) => void): ContainerInput {
    const call = this.#request({ 'content-type': STREAM_TYPE, 'message-content-type': JSON_TYPE })
    const done = once(ended)
    call.on('error', error => done(messageOf(error)))
    call.on('response', response => {
      wholeOf(response).then(
        () => done(undefined),
        (error: unknown) => done(messageOf(error)),
      )
    })
    return new ContainerInput(call, containerId)
  }

  async #post(call: object, accept: string): Promise<IncomingMessage> {
    const sent = this.#request({ 'content-type': JSON_TYPE, accept })
    sent.end(JSON.stringify(call))
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      sent.once('response', resolve)
      sent.once('error', error => {
        const why = `No answer from the agent at ${this.#o.address}: ${messageOf(error)}.`
        reject(new UserError('unreachable', why))
      })
    })
    if (response.statusCode === 200) return response
    const body = await wholeOf(response)
    throw new UserError('unavailable', body)
  }

  #request(headers: Readonly<Record<string, string>>): ClientRequest {
    const { address, token } = this.#o
    const trust = token === undefined ? {} : { authorization: `Bearer ${token}` }
    return request(`http://${address}/api/v1`, {
      method: 'POST',
      headers: { ...headers, ...trust },
      // Each is a conversation of its own.
      agent: false,
    })
  }
}

/** What is typed to a container. */
export class ContainerInput {
  readonly #call: ClientRequest
  readonly #heartbeat: NodeJS.Timeout

  constructor(call: ClientRequest, containerId: ContainerID) {
    this.#call = call
    this.#send({ type: 'CONTAINER_ID', container_id: containerId })
    this.#heartbeat = setInterval(() => {
      const heartbeat = { interval: { nanoseconds: HEARTBEAT_MS * NS_PER_MS } }
      this.#io({ type: 'CONTROL', control: { type: 'HEARTBEAT', heartbeat } })
    }, HEARTBEAT_MS).unref()
  }

  /** False if it should wait for `drained`. */
  write(data: Uint8Array): boolean {
    const text = Buffer.from(data).toString('base64')
    return this.#io({ type: 'DATA', data: { type: 'STDIN', data: text } })
  }

  drained(then: () => void): void {
    this.#call.once('drain', then)
  }

  /** Nothing more will be typed. */
  endOfInput(): void {
    this.#io({ type: 'DATA', data: { type: 'STDIN', data: '' } })
  }

  resize(size: { readonly rows: number; readonly columns: number }): void {
    this.#io({ type: 'CONTROL', control: { type: 'TTY_INFO', tty_info: { window_size: size } } })
  }

  close(): void {
    clearInterval(this.#heartbeat)
    this.#call.end()
  }

  #io(io: ProcessIO): boolean {
    return this.#send({ type: 'PROCESS_IO', process_io: io })
  }

  #send(attach: object): boolean {
    if (this.#call.destroyed || this.#call.writableEnded) return true
    const call = { type: 'ATTACH_CONTAINER_INPUT', attach_container_input: attach }
    return this.#call.write(encodeRecord(JSON.stringify(call)))
  }
}

async function* recordsOf(response: IncomingMessage): AsyncGenerator<ProcessIO> {
  const decoder = new RecordDecoder(MAX_RECORD_BYTES)
  try {
    for await (const piece of response) {
      for (const record of decoder.take(piece as Buffer)) {
        yield v.parse(ProcessIO, JSON.parse(new TextDecoder().decode(record)))
      }
    }
  } catch (error) {
    throw new UserError('unavailable', `The agent broke off: ${messageOf(error)}.`)
  }
}

/** Rejects with what it says if it is refused. */
async function wholeOf(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of response) {
    pieces.push(piece as Buffer)
    bytes += (piece as Buffer).length
    if (bytes > MAX_ANSWER_BYTES) throw new UserError('unavailable', 'The answer has no end.')
  }
  const body = Buffer.concat(pieces).toString()
  if (response.statusCode === 200) return body
  const said = body.trim()
  throw new UserError(
    'unavailable',
    `The agent answered ${response.statusCode}${said === '' ? '' : `: ${said}`}`,
  )
}

function once<A>(act: (value: A) => void): (value: A) => void {
  let isDone = false
  return value => {
    if (isDone) return
    isDone = true
    act(value)
  }
}
