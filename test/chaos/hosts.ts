// Where the masters live: all on loopback, or each in a network namespace of its own, so that links can be cut.
//
//     namespace HUB                       namespaces HUB-0, HUB-1, HUB-2
//       bridge: 10.77.0.254 and .253        eth0: 10.77.0.1, .2, .3
//         link0, link1, link2  ◀── veth ──▶
//       this process; ZooKeeper             a master each
//
// One way is cut by giving the sender a wrong hardware address for the receiver: what it sends is on the wire, and nobody
// takes it. All of it is in namespaces of this run and goes with them.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { freePorts } from '../../bench/ports.ts'
import { ip, succeeds } from './shell.ts'

/** Set for the process that runs inside of the hub. */
const HUB = 'MESOS_CHAOS_HUB'
const NET = '10.77.0'
const HUB_HOST = 254
const ZOOKEEPER_HOST = 253
const MASTER_PORT = 5_050
/** Nobody has it. */
const NOWHERE = '02:00:00:00:00:01'

export interface Hosts {
  /** Where this process listens. */
  readonly here: string
  /** Where ZooKeeper does. */
  readonly zookeeper: string
  /** Addresses of the masters. */
  readonly masters: readonly string[]
  /** How a command is started on a master's host. */
  command(master: number, words: readonly string[]): readonly string[]
  /** Absent if links cannot be cut. */
  readonly links?: Links
}

export interface Links {
  /** Pulls a master's cable, or puts it in again. */
  plug(master: number, isIn: boolean): void
  /** Whether what `from` sends arrives at `to`. */
  path(from: number, to: number | 'zookeeper', works: boolean): void
}

/** Why links cannot be cut on this machine; undefined if they can. */
export function whyNoLinks(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can make network namespaces'
  const name = `mesos-chaos-try-${process.pid}`
  if (!succeeds(() => ip('netns', 'add', name)))
    return 'no network namespaces (or no iproute2) here'
  const works =
    succeeds(() => ip('-n', name, 'link', 'add', 'br0', 'type', 'bridge')) &&
    succeeds(() => ip('-n', name, 'link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth1'))
  ip('netns', 'del', name)
  return works ? undefined : 'this kernel has no bridges or no veth pairs'
}

export async function loopback(masters: number): Promise<Hosts> {
  const ports = await freePorts(masters)
  return {
    here: '127.0.0.1',
    zookeeper: '127.0.0.1',
    masters: ports.map(port => `127.0.0.1:${port}`),
    command: (_, words) => words,
  }
}

/** The hosts around this process, if it runs inside of a hub. */
export function insideHub(masters: number): Hosts | undefined {
  const hub = process.env[HUB]
  if (hub === undefined) return undefined
  const all = Array.from({ length: masters }, (_, i) => i)
  const hostOf = (to: number | 'zookeeper'): number =>
    to === 'zookeeper' ? ZOOKEEPER_HOST : to + 1
  return {
    here: `${NET}.${HUB_HOST}`,
    zookeeper: `${NET}.${ZOOKEEPER_HOST}`,
    masters: all.map(i => `${NET}.${hostOf(i)}:${MASTER_PORT}`),
    command: (master, words) => ['ip', 'netns', 'exec', `${hub}-${master}`, ...words],
    links: {
      plug: (master, isIn) => void ip('link', 'set', `link${master}`, isIn ? 'up' : 'down'),
      path(from, to, works) {
        const neighbour = [`${NET}.${hostOf(to)}`, 'dev', 'eth0']
        const words = ['-n', `${hub}-${from}`, 'neigh']
        if (works) succeeds(() => ip(...words, 'del', ...neighbour))
        else ip(...words, 'replace', ...neighbour, 'lladdr', NOWHERE, 'nud', 'permanent')
      },
    },
  }
}

/** Runs this program again inside of a hub with hosts around it. Resolves to its exit status. */
export async function runInHub(masters: number): Promise<number> {
  const hub = `mesos-chaos-${process.pid}`
  const names = [hub, ...Array.from({ length: masters }, (_, i) => `${hub}-${i}`)]
  try {
    makeHub(hub, masters)
    const [, ...words] = process.argv
    const child = spawn(
      'ip',
      ['netns', 'exec', hub, process.execPath, '--enable-source-maps', ...words],
      { stdio: 'inherit', env: { ...process.env, [HUB]: hub } },
    )
    // The terminal's Ctrl-C reaches both; what is sent to this process alone is passed on.
    process.on('SIGINT', () => {})
    process.on('SIGTERM', () => child.kill('SIGTERM'))
    const [code] = (await once(child, 'exit')) as [number | null]
    return code ?? 1
  } finally {
    for (const name of names) removeNamespace(name)
  }
}

function makeHub(hub: string, masters: number): void {
  ip('netns', 'add', hub)
  const inHub = (...words: string[]): string => ip('-n', hub, ...words)
  inHub('link', 'set', 'lo', 'up')
  inHub('link', 'add', 'br0', 'type', 'bridge')
  for (const host of [HUB_HOST, ZOOKEEPER_HOST]) {
    inHub('addr', 'add', `${NET}.${host}/24`, 'dev', 'br0')
  }
  inHub('link', 'set', 'br0', 'up')
  for (let i = 0; i < masters; i++) {
    const name = `${hub}-${i}`
    ip('netns', 'add', name)
    inHub('link', 'add', `link${i}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
    inHub('link', 'set', `link${i}`, 'master', 'br0', 'up')
    ip('-n', name, 'addr', 'add', `${NET}.${i + 1}/24`, 'dev', 'eth0')
    ip('-n', name, 'link', 'set', 'eth0', 'up')
    ip('-n', name, 'link', 'set', 'lo', 'up')
  }
}

/** With what may still run in it, which this run has started. */
function removeNamespace(name: string): void {
  succeeds(() => {
    for (const pid of ip('netns', 'pids', name).split('\n').filter(Boolean)) {
      process.kill(Number(pid), 'SIGKILL')
    }
  })
  succeeds(() => ip('netns', 'del', name))
}
