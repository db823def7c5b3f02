// Real probes: commands in containers, requests and connections to this machine's own addresses. One of the few files that
// may touch the world.
//
// Loopback is where tasks are asked: the machine's, or, with a network of the container's own, that one's. Redirects are not
// followed: a task could send the agent anywhere by them.

import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { commandEnvironment, commandLine } from '../environment.ts'
import type { Processes } from '../processes.ts'
import { exitCodeOf } from '../wait-status.ts'
import { connectWithin } from './connect-within.ts'
import type { Probe, ProbeResult } from './probe.ts'
import { BoundedProbes, type Probed, type Probes } from './probes.ts'

type Asked = Pick<Processes, 'exec' | 'networkEntrance'>

/** So many tasks are asked at a time. A command is a process each. */
const MAX_PROBES = 32
const MAX_PROBES_OF_ONE = 16

/** Probes for all tasks of an agent. `processes`: where their commands run. */
export function systemProbes(processes: Asked): Probes {
  return new BoundedProbes(new SystemProbes(processes), MAX_PROBES, MAX_PROBES_OF_ONE)
}

/** Headers of an answer that are read at most. */
const MAX_HEADER_BYTES = 16 * 1024
const OF_SIGNAL = -1

class SystemProbes implements Probes {
  readonly #processes: Asked

  constructor(processes: Asked) {
    this.#processes = processes
  }

  async ask(
    probe: Probe,
    task: Probed,
    stop: AbortSignal,
    begun: () => void,
  ): Promise<ProbeResult | undefined> {
    begun()
    try {
      switch (probe.type) {
        case 'COMMAND':
          return await this.#command(probe, task, stop)
        case 'HTTP':
          return { type: 'HTTP', statusCode: await this.#status(probe, task, stop) }
        case 'TCP':
          return { type: 'TCP', succeeded: await this.#connects(probe, task, stop) }
      }
    } catch {
      return undefined
    }
  }

  async #command(
    { command }: Extract<Probe, { type: 'COMMAND' }>,
    { containerId, env }: Probed,
    stop: AbortSignal,
  ): Promise<ProbeResult | undefined> {
    const whole = commandEnvironment(env, command)
    const spec = { containerId, ...commandLine(command), env: whole, command }
    const waitStatus = await this.#processes.exec?.(spec, stop)
    if (waitStatus === undefined || stop.aborted) return undefined
    return { type: 'COMMAND', exitCode: exitCodeOf(waitStatus) ?? OF_SIGNAL }
  }

  async #status(
    probe: Extract<Probe, { type: 'HTTP' }>,
    { containerId }: Probed,
    stop: AbortSignal,
  ): Promise<number> {
    const entrance = this.#processes.networkEntrance?.(containerId)
    if (!entrance) return statusOf(probe, stop)
    const socket = await connectWithin(entrance, probe, stop)
    try {
      return await statusOf(probe, stop, socket)
    } finally {
      socket.destroy()
    }
  }

  async #connects(
    probe: Extract<Probe, { type: 'TCP' }>,
    { containerId }: Probed,
    stop: AbortSignal,
  ): Promise<boolean> {
    const entrance = this.#processes.networkEntrance?.(containerId)
    if (!entrance) return connects(probe, stop)
    try {
      const socket = await connectWithin(entrance, probe, stop)
      socket.destroy()
      return true
    } catch {
      return false
    }
  }
}

function statusOf(
  { scheme, host, port, path }: Extract<Probe, { type: 'HTTP' }>,
  signal: AbortSignal,
  socket?: Duplex,
): Promise<number> {
  const request = scheme === 'https' ? httpsRequest : httpRequest
  const options = {
    host,
    port,
    path,
    signal,
    maxHeaderSize: MAX_HEADER_BYTES,
    // Tasks have certificates of their own making.
    rejectUnauthorized: false,
    headers: { 'user-agent': 'mesos-agent', accept: '*/*' },
    // An agent, which `false` means too, would make connections of its own.
    ...(socket
      ? {
          createConnection: () =>
            scheme === 'https' ? connectTls({ socket, rejectUnauthorized: false }) : socket,
        }
      : { agent: false as const }),
  }
  return new Promise((resolve, reject) => {
    const asked = request(options, answer => {
      resolve(answer.statusCode ?? 0)
      // However long the body is, it is not read.
      answer.destroy()
    })
    asked.once('error', reject)
    asked.end()
  })
}

function connects(
  { host, port }: Extract<Probe, { type: 'TCP' }>,
  signal: AbortSignal,
): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host, port })
    const end = (succeeded: boolean): void => {
      signal.removeEventListener('abort', stop)
      socket.destroy()
      resolve(succeeded)
    }
    const stop = (): void => end(false)
    signal.addEventListener('abort', stop, { once: true })
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}
