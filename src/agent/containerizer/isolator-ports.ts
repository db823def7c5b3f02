// network/ports: a container that listens on a TCP port which it was not given is ended for that, or only told of in the
// log. Mesos' isolator of that name.
//
// One look at the kernel's table of sockets serves all containers; whose a socket is, only those are asked that were not there
// the last time.

import type { Clock } from '../../actors/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import { containsRanges, NO_RANGES, normalise, type Ranges } from '../../resources/ranges.ts'
import type { Limitation } from './container.ts'
import type { Isolator } from './isolator.ts'
import { Rounds } from './rounds.ts'

/** What the kernel knows of sockets. */
export interface SocketTable {
  /** TCP sockets that listen, by inode, and their ports: in the network namespace of the agent. */
  listening(): Promise<ReadonlyMap<string, number>>
  /** Inodes of the sockets that a process has open. */
  of(pid: number): Promise<readonly string[]>
}

export interface PortsIsolatorOptions {
  readonly sockets: SocketTable
  /** Processes of a container. */
  readonly members: (containerId: string) => readonly number[]
  /** Ports that matter; undefined: all. */
  readonly checked: Ranges | undefined
  /** `--enforce_container_ports`. */
  readonly enforces: boolean
  readonly intervalMs: number
  readonly clock: Pick<Clock, 'delay'>
  readonly log: Logger
}

const LISTENS = '0A'

/** Reads /proc/net/tcp or tcp6: local address, state and inode are its second, fourth and tenth word. */
export function listeningIn(table: string): Map<string, number> {
  const found = new Map<string, number>()
  for (const line of table.split('\n').slice(1)) {
    const words = line.trim().split(/\s+/)
    const [, local = '', , state] = words
    const inode = words[9]
    if (state !== LISTENS || inode === undefined || inode === '0') continue
    found.set(inode, Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16))
  }
  return found
}

const includes = (ranges: Ranges, port: number): boolean =>
  containsRanges(ranges, [{ begin: port, end: port }])

export function portsIsolator(options: PortsIsolatorOptions): Isolator {
  const { sockets, members, checked, enforces, intervalMs, clock, log } = options
  const allowed = new Map<string, Ranges>()
  const limitations = new Map<string, Limitation>()
  /** Sockets that were looked at, and the container that has them. */
  let known = new Map<string, string | undefined>()

  const owners = async (wanted: ReadonlySet<string>): Promise<Map<string, string>> => {
    const found = new Map<string, string>()
    for (const containerId of allowed.keys()) {
      for (const pid of members(containerId)) {
        for (const inode of await sockets.of(pid))
          if (wanted.has(inode)) found.set(inode, containerId)
      }
    }
    return found
  }

  const judge = (containerId: string, ports: readonly number[]): void => {
    const list = [...ports].toSorted((a, b) => a - b).join(', ')
    const message = `Container is listening on unallocated port(s): ${list}`
    if (!enforces) return log.warn({ container: containerId }, message)
    const ranges = normalise(ports.map(port => ({ begin: port, end: port })))
    limitations.set(containerId, {
      reason: 'REASON_CONTAINER_LIMITATION',
      message,
      resources: [{ name: 'ports', type: 'RANGES', ranges: { range: [...ranges] } }],
    })
  }

  const look = async (): Promise<void> => {
    try {
      const listening = await sockets.listening()
      const fresh = new Set([...listening.keys()].filter(inode => !known.has(inode)))
      const found = fresh.size > 0 ? await owners(fresh) : new Map<string, string>()
      known = new Map(
        [...listening.keys()].map(inode => [inode, found.get(inode) ?? known.get(inode)]),
      )
      const unallocated = new Map<string, number[]>()
      for (const [inode, port] of listening) {
        const containerId = known.get(inode)
        const ports = containerId === undefined ? undefined : allowed.get(containerId)
        if (!ports || includes(ports, port) || (checked && !includes(checked, port))) continue
        unallocated.set(containerId!, [...(unallocated.get(containerId!) ?? []), port])
      }
      for (const [containerId, ports] of unallocated) judge(containerId, ports)
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'the ports of containers could not be looked at')
    }
  }

  const rounds = new Rounds(clock, intervalMs, look, () => allowed.size > 0)
  return {
    name: 'network/ports',
    prepare: ({ containerId, resources }) => {
      allowed.set(containerId, resources.ports ?? NO_RANGES)
      rounds.begin()
    },
    update: (containerId, { ports = NO_RANGES }) => {
      if (allowed.has(containerId)) allowed.set(containerId, ports)
    },
    limitation: containerId => limitations.get(containerId),
    cleanup: containerId => {
      allowed.delete(containerId)
      limitations.delete(containerId)
    },
  }
}
