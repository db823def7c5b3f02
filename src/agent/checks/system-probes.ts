// Real probes: commands in containers, requests and connections to this machine's own addresses. One of the few files that
// may touch the world.
//
// Tasks share the machine's network, and loopback is where they are asked. Redirects are not followed: a task could send the
// agent anywhere by them.

import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { commandEnvironment, commandLine } from '../environment.ts'
import type { Processes } from '../processes.ts'
import { exitCodeOf } from '../wait-status.ts'
import type { Probe, ProbeResult } from './probe.ts'
import { BoundedProbes, type Probed, type Probes } from './probes.ts'

/** So many tasks are asked at a time. A command is a process each. */
const MAX_PROBES = 32
const MAX_PROBES_OF_ONE = 16

/** Probes for all tasks of an agent. `processes`: where their commands run. */
export function systemProbes(processes: Pick<Processes, 'exec'>): Probes {
  return new BoundedProbes(new SystemProbes(processes), MAX_PROBES, MAX_PROBES_OF_ONE)
}

/** Headers of an answer that are read at most. */
const MAX_HEADER_BYTES = 16 * 1024
const OF_SIGNAL = -1

class SystemProbes implements Probes {
  readonly #processes: Pick<Processes, 'exec'>

  constructor(processes: Pick<Processes, 'exec'>) {
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
          return { type: 'HTTP', statusCode: await statusOf(probe, stop) }
        case 'TCP':
          return { type: 'TCP', succeeded: await connects(probe, stop) }
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
}

function statusOf(
  { scheme, host, port, path }: Extract<Probe, { type: 'HTTP' }>,
  signal: AbortSignal,
): Promise<number> {
  const request = scheme === 'https' ? httpsRequest : httpRequest
  const options = {
    host,
    port,
    path,
    signal,
    agent: false as const,
    maxHeaderSize: MAX_HEADER_BYTES,
    // Tasks have certificates of their own making.
    rejectUnauthorized: false,
    headers: { 'user-agent': 'mesos-agent', accept: '*/*' },
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
