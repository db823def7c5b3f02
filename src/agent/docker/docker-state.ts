// What Docker says of containers, read from its output, which is not trusted to be what it was.

import * as v from 'valibot'
import { exitedWith } from '../wait-status.ts'
import { addressesIn, InspectedNetworks } from './docker-networks.ts'

const Inspected = v.array(
  v.object({
    Name: v.string(),
    State: v.object({
      Running: v.boolean(),
      OOMKilled: v.optional(v.boolean(), false),
      Pid: v.pipe(v.number(), v.integer(), v.minValue(0)),
      ExitCode: v.pipe(v.number(), v.integer()),
      Error: v.optional(v.string(), ''),
      StartedAt: v.string(),
    }),
    Config: v.object({ StopSignal: v.optional(v.nullable(v.string())) }),
    ...InspectedNetworks,
  }),
)

export interface DockerState {
  readonly name: string
  readonly isRunning: boolean
  /** It has run, or does. */
  readonly hasStarted: boolean
  readonly isOutOfMemory: boolean
  /** Of its first process, on this machine; 0: none. */
  readonly pid: number
  readonly waitStatus: number
  /** Why it did not start. */
  readonly error: string
  /** By which its image wants to be asked to end. */
  readonly stopSignal: string
  /** Of its own network; undefined: that is the machine's. */
  readonly addresses: readonly string[] | undefined
  /** All that Docker says of it, as `docker inspect` prints it. */
  readonly text: string
}

/** The answer to `docker inspect`. Throws where it is none. */
export function parseInspect(text: string): DockerState[] {
  const json: unknown = JSON.parse(text)
  const parsed = v.parse(Inspected, json)
  return parsed.map(({ Name, State, Config, ...networks }, i) => ({
    name: Name.replace(/^\//, ''),
    isRunning: State.Running,
    // Of one that never started, the time is that of year 1.
    hasStarted: !State.StartedAt.startsWith('0001-'),
    isOutOfMemory: State.OOMKilled,
    pid: State.Pid,
    waitStatus: exitedWith(State.ExitCode),
    error: State.Error,
    stopSignal: /^[A-Z0-9+-]{1,16}$/.test(Config.StopSignal ?? '') ? Config.StopSignal! : 'SIGTERM',
    addresses: addressesIn(networks),
    text: JSON.stringify([(json as unknown[])[i]]),
  }))
}

/** Names of this agent's containers in the answer to `docker ps`. */
export function parseNames(text: string): string[] {
  return text.split('\n').filter(line => /^mesos-[\w.-]+$/.test(line))
}

/** Whether Docker says that there is no such thing: all other errors say nothing of it. */
export function saysNothingThere(stderr: string): boolean {
  return /no such (container|object|image)/i.test(stderr)
}

const MAX_MESSAGE = 1_000

/** What is worth telling of what Docker printed when it failed. */
export function messageIn(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map(line => line.replaceAll(/[^\x20-\x7e\u00a0-\uffff]/g, ' ').trim())
    .filter(line => line !== '' && !line.startsWith('time=') && !line.startsWith('See '))
  return lines.join(' ').slice(0, MAX_MESSAGE)
}
