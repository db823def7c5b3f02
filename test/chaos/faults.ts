// What goes wrong in a round: chosen by a seed. Pure.

import type { Random } from '../../src/base/random.ts'

/**
 * - `kill`: SIGKILL; started again after `ms`.
 * - `pause`: SIGSTOP; SIGCONT after `ms`.
 * - `isolate`: the network cable is pulled for `ms`: nothing goes in or out.
 * - `mute`: what it sends to all other masters is lost for `ms`; it still hears them, and agents hear it.
 * - `cut`: nothing gets through between it and one other master for `ms`.
 * - `cut one way`: what it sends to one other master is lost for `ms`.
 * - `zk lost`: what it sends to ZooKeeper is lost for `ms`: its session expires if that is long enough.
 * - `zk pause`, `zk kill`: ZooKeeper itself stands still, or is killed and started again.
 */
export type FaultKind =
  | 'kill'
  | 'pause'
  | 'isolate'
  | 'mute'
  | 'cut'
  | 'cut one way'
  | 'zk lost'
  | 'zk pause'
  | 'zk kill'

export interface Fault {
  readonly kind: FaultKind
  /** The number of the master that it strikes. */
  readonly target: number
  /** The one at the other end of a link. */
  readonly other: number
  readonly ms: number
  readonly onLeader: boolean
}

/** What needs nothing but signals. */
const SIGNALS: readonly FaultKind[] = ['kill', 'pause']
const LINKS: readonly FaultKind[] = ['isolate', 'mute', 'cut', 'cut one way']
const ZOOKEEPER: readonly FaultKind[] = ['zk pause', 'zk kill']
const ZOOKEEPER_LINKS: readonly FaultKind[] = ['zk lost']

export const FAULT_KINDS = [...SIGNALS, ...LINKS, ...ZOOKEEPER, ...ZOOKEEPER_LINKS]

export function kindsFor(has: { links: boolean; zookeeper: boolean }): readonly FaultKind[] {
  return [
    ...SIGNALS,
    ...(has.links ? LINKS : []),
    ...(has.zookeeper ? ZOOKEEPER : []),
    ...(has.links && has.zookeeper ? ZOOKEEPER_LINKS : []),
  ]
}

const SHORTEST_MS = 200
const LONGEST_MS = 6_000
const LONGEST_DEATH_MS = 2_000
/** How often the leader is meant, of all times. */
const LEADER_SHARE = 0.6

export interface Choice {
  readonly kinds: readonly FaultKind[]
  readonly masters: number
  readonly leader: number
}

/** Always as many draws from `random`, so that what is chosen later does not depend on who led. */
export function chooseFault(random: Random, { kinds, masters, leader }: Choice): Fault {
  const kind = kinds[random.integer(kinds.length)]!
  const meansLeader = random.next() < LEADER_SHARE
  const any = random.integer(masters)
  const step = 1 + random.integer(masters - 1)
  const share = random.next()
  const target = meansLeader ? leader : any
  const longest = kind === 'kill' || kind === 'zk kill' ? LONGEST_DEATH_MS : LONGEST_MS
  return {
    kind,
    target,
    other: (target + step) % masters,
    ms: Math.round(SHORTEST_MS + share * (longest - SHORTEST_MS)),
    onLeader: target === leader,
  }
}

export function faultText({ kind, target, other, ms, onLeader }: Fault): string {
  const who = `master ${target}${onLeader ? ' (leads)' : ''}`
  if (kind === 'zk pause' || kind === 'zk kill') return `${kind} for ${ms} ms`
  if (kind === 'cut') return `${kind} between ${who} and master ${other} for ${ms} ms`
  if (kind === 'cut one way') return `${kind} from ${who} to master ${other} for ${ms} ms`
  return `${kind} of ${who} for ${ms} ms`
}
