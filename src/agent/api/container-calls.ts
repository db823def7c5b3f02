// The calls about containers: what runs in them is listed, waited for and killed, more is started in them, and somebody talks
// to it.

import type { Clock } from '../../actors/clock.ts'
import { type HttpResponse, text } from '../../actors/http.ts'
import { UserError } from '../../base/errors.ts'
import { RecordDecoder } from '../../base/record-io.ts'
import type { AttachInput, Launch, ProcessIO } from '../../messages/agent-api.ts'
import type { CommandInfo } from '../../messages/command.ts'
import type { ReadResponse } from '../../messages/files.ts'
import type { ContainerID } from '../../messages/ids.ts'
import type { AgentExecutor, AgentState } from '../agent-state.ts'
import type { Input, Output, Outputs } from '../attachment.ts'
import { MAX_WINDOW } from '../containerizer/terminal.ts'
import { commandLine, type Environment } from '../environment.ts'
import type { Processes } from '../processes.ts'
import { chainOf, findContainer, type FoundContainer, whyNoName } from './container-names.ts'
import { Guests } from './guests.ts'
import { ProcessIoStream } from './process-io.ts'
import { Tail } from './tail.ts'

export interface ContainerCallsOptions {
  readonly state: AgentState
  readonly processes: Processes
  readonly clock: Clock
  /** A fresh UUID. */
  readonly uuid: () => string
  /** What the programs of an executor have in their environment. */
  readonly environment: (executor: AgentExecutor) => Environment
  /** As the actor `files` answers, in base64. */
  readonly read: (path: string, offset: number) => Promise<ReadResponse>
}

const OK: HttpResponse = { status: 200 }
const notFound = (id: ContainerID): HttpResponse =>
  text(404, `Container ${said(id)} cannot be found\n`)

/** As Mesos prints it. */
function said({ value, parent }: ContainerID): string {
  return parent ? `${said(parent)}.${value}` : value
}

/** Arguments: name, then the program. What it makes is made as the container's own user, wherever links of that one lead. */
const NESTED = `cd "$MESOS_SANDBOX" && mkdir -p "containers/$1" && cd "containers/$1" || exit 125
shift
exec "$@" >>stdout 2>>stderr`

const USUAL_WINDOW = { rows: 24, columns: 80 }
const SIGNALS = { 9: 'SIGKILL', 15: 'SIGTERM' } as const
/** Of one record of input. */
const MAX_RECORD_BYTES = 1024 * 1024

export class ContainerCalls {
  readonly #o: ContainerCallsOptions
  readonly #guests: Guests

  constructor(options: ContainerCallsOptions) {
    this.#o = options
    this.#guests = new Guests(options.processes)
  }

  /** Runs until it ends by itself, in a directory of its own in its parent's sandbox. */
  async launch({ container_id: id, command, container }: Launch): Promise<HttpResponse> {
    const chain = chainOf(id)
    if (chain !== undefined && this.#guests.has(chain)) return { status: 202 }
    if (container) {
      return text(400, "'container' is only for sessions: this one has what its parent has\n")
    }
    const { argv } = commandLine(command)
    const inside = { argv: ['/bin/sh', '-c', NESTED, 'sh', id.value, ...argv] as const }
    const started = await this.#start(id, command, inside)
    if ('status' in started) return started
    started.input.end()
    // It says nothing here.
    void (async () => {
      for await (const _ of started.output);
    })()
    return OK
  }

  /** Answers with what it says. It ends when whoever listens goes away. */
  async session({ container_id: id, command, container }: Launch): Promise<HttpResponse> {
    const tty = container?.tty_info
    const size = tty?.window_size ?? USUAL_WINDOW
    const others = Object.keys(container ?? {}).filter(key => key !== 'type' && key !== 'tty_info')
    if (others.length > 0) {
      return text(400, `'container.${others[0]}': a session has what its parent has\n`)
    }
    if (!isWindow(size)) return text(400, `A terminal has 1 to ${MAX_WINDOW} rows and columns\n`)
    const program = { ...commandLine(command), ...(tty && { terminal: size }) }
    const started = await this.#start(id, command, program)
    if ('status' in started) return started
    const chain = chainOf(id)!
    const kill = (): void => void this.#guests.kill(chain, 'SIGKILL')
    const whole = untilEnd(started.output, this.#guests.wait(chain))
    return { status: 200, stream: new ProcessIoStream(whole, this.#o.clock, kill) }
  }

  async #start(
    id: ContainerID,
    command: CommandInfo,
    program: Pick<Parameters<Guests['start']>[1], 'argv' | 'argv0' | 'terminal'>,
  ) {
    const why = whyNoName(id)
    if (why !== undefined) return text(400, `Container ${said(id)} cannot be launched: ${why}\n`)
    const parent = findContainer(this.#o.state, id.parent!)
    if (!parent) {
      return text(404, `Unable to locate executor for parent container ${said(id.parent!)}\n`)
    }
    const chain = chainOf(id)!
    if (this.#guests.has(chain)) return text(400, `Container ${said(id)} is known already\n`)
    const wrong = whyNoCommand(command)
    if (wrong !== undefined)
      return text(400, `Container ${said(id)} cannot be launched: ${wrong}\n`)
    try {
      return await this.#guests.start(chain, {
        containerId: parent.containerId,
        name: this.#o.uuid(),
        ...program,
        env: { ...this.#o.environment(parent.executor) },
        command,
      })
    } catch (error) {
      if (error instanceof UserError) return text(400, `${error.message}\n`)
      throw error
    }
  }

  /** Answers when it has ended. `answer` makes the body of its wait(2) status, if it has one. */
  wait(
    id: ContainerID,
    answer: (status: { readonly exit_status?: number }) => string,
  ): HttpResponse {
    const ended = this.#guests.wait(chainOf(id) ?? '')
    if (ended) return later(async () => answer({ exit_status: await ended }))
    const found = findContainer(this.#o.state, id)
    if (!found) return notFound(id)
    // How tasks and executors end, their schedulers are told.
    return later(async hasLeft => {
      while (!hasLeft() && this.#isLive(id, found)) await this.#pause()
      return answer({})
    })
  }

  kill(id: ContainerID, signal = 9): HttpResponse {
    const name = SIGNALS[signal as keyof typeof SIGNALS]
    if (name === undefined) return text(400, `Signal ${signal} cannot be sent; 9 and 15 can\n`)
    if (this.#guests.kill(chainOf(id) ?? '', name)) return OK
    if (!findContainer(this.#o.state, id)) return notFound(id)
    return text(
      400,
      `Container ${said(id)} is ended by its scheduler, or by that of its executor\n`,
    )
  }

  remove(id: ContainerID): HttpResponse {
    const chain = chainOf(id) ?? ''
    if (this.#guests.isLive(chain) || findContainer(this.#o.state, id)) {
      return text(500, `Container ${said(id)} is still running\n`)
    }
    if (!this.#guests.has(chain)) return notFound(id)
    this.#guests.forget(chain)
    return OK
  }

  /** What it says from now on. */
  attachOutput(id: ContainerID): HttpResponse {
    if (this.#guests.isLive(chainOf(id) ?? '')) {
      return text(400, `The output of container ${said(id)} goes to where it was launched from\n`)
    }
    const found = findContainer(this.#o.state, id)
    if (!found) return notFound(id)
    const { read, clock } = this.#o
    const tail = new Tail({
      read,
      files: [
        { stream: 'STDOUT', path: `${found.sandbox}/stdout` },
        { stream: 'STDERR', path: `${found.sandbox}/stderr` },
      ],
      isLive: () => this.#isLive(id, found),
      clock,
    })
    return { status: 200, stream: new ProcessIoStream(tail, clock, () => tail.stop()) }
  }

  /** Takes records until there are no more, or what they are for has ended. */
  async attachInput(
    pieces: AsyncIterable<Uint8Array>,
    parse: (record: Uint8Array) => AttachInput | string,
  ): Promise<HttpResponse> {
    const decoder = new RecordDecoder(MAX_RECORD_BYTES)
    let input: Input | undefined
    let isLive = (): boolean => true
    try {
      for await (const piece of untilGone(pieces)) {
        for (const record of decoder.take(piece)) {
          const call = parse(record)
          if (typeof call === 'string') return text(400, `${call}\n`)
          const { attach_container_input: attach } = call
          if ((attach.type === 'CONTAINER_ID') === (input !== undefined)) {
            return text(400, 'Expecting one container id, in front of all that it is sent\n')
          }
          if (attach.type === 'PROCESS_IO') await give(attach.process_io, input!)
          else {
            const found = this.#inputOf(attach.container_id)
            if ('status' in found) return found
            ;({ input, isLive } = found)
          }
        }
        if (!isLive()) return OK
      }
      return decoder.isWithin ? text(400, 'The last record is not whole\n') : OK
    } catch (error) {
      if (error instanceof UserError) return text(400, `${error.message}\n`)
      throw error
    } finally {
      input?.close()
    }
  }

  #inputOf(id: ContainerID): HttpResponse | { input: Input; isLive: () => boolean } {
    const chain = chainOf(id) ?? ''
    const guests = this.#guests.input(chain)
    if (guests) return { input: guests, isLive: () => this.#guests.isLive(chain) }
    const found = findContainer(this.#o.state, id)
    if (!found) return notFound(id)
    const input = found.hasTerminal && this.#o.processes.input?.(found.containerId)
    if (!input) {
      return text(400, `Container ${said(id)} has no terminal: nothing can be sent to it\n`)
    }
    return { input, isLive: () => this.#isLive(id, found) }
  }

  #isLive(id: ContainerID, { containerId }: FoundContainer): boolean {
    return findContainer(this.#o.state, id)?.containerId === containerId
  }

  #pause(): Promise<void> {
    return new Promise(resolve => this.#o.clock.delay(PAUSE_MS, resolve))
  }
}

const PAUSE_MS = 250

/** It may have closed its output, and go on. */
async function* untilEnd(
  output: Outputs,
  ended: Promise<unknown> | undefined,
): AsyncGenerator<Output> {
  yield* output
  await ended
}

/** Whoever sends may go away at any time, which is an end as well. */
async function* untilGone(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* pieces
  } catch {
    // The connection is broken.
  }
}

/** A response whose head is sent at once. What makes the rest can ask whether anybody waits for it still. */
function later(make: (hasLeft: () => boolean) => Promise<string>): HttpResponse {
  let hasLeft = false
  const body = (async function* (): AsyncGenerator<string> {
    yield await make(() => hasLeft)
  })()
  const iterator: AsyncIterator<string> = {
    next: () => body.next(),
    return: () => {
      hasLeft = true
      return body.return(undefined)
    },
  }
  const stream = { [Symbol.asyncIterator]: () => iterator }
  return { status: 200, headers: { 'content-type': 'application/json' }, stream }
}

async function give(io: ProcessIO, input: Input): Promise<void> {
  if (io.type === 'CONTROL') {
    const size = io.control.type === 'TTY_INFO' ? io.control.tty_info.window_size : undefined
    return size && isWindow(size) ? input.resize(size) : undefined
  }
  if (io.data.type !== 'STDIN') throw new UserError('invalid_value', 'Expecting data of STDIN')
  const data = Buffer.from(io.data.data ?? '', 'base64')
  if (data.length === 0) return input.end()
  return input.write(data)
}

function isWindow({ rows, columns }: { rows: number; columns: number }): boolean {
  return [rows, columns].every(length => length >= 1 && length <= MAX_WINDOW)
}

function whyNoCommand({ value, arguments: args, user, uris, environment }: CommandInfo) {
  if ((value ?? '') === '') return 'there is nothing to run'
  if ([value, ...(args ?? [])].some(each => each?.includes('\0'))) return 'a NUL is in its command'
  if (user !== undefined) return "'command.user': it runs as the user of its parent"
  if ((uris ?? []).length > 0) return "'command.uris': nothing is fetched for it"
  for (const { name, type, value: of } of environment?.variables ?? []) {
    if (type === 'SECRET') return `'${name}': secrets are only for tasks`
    if (name === '' || /[=\0]/.test(name)) return `'${name}' is no name of a variable`
    if (of?.includes('\0')) return `a NUL is in the variable '${name}'`
  }
  return undefined
}
