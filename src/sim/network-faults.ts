// Faults of the network: what is slow, cut, broken, lost, or comes twice.

import { seconds } from '../base/duration.ts'
import { MASTER } from './cluster.ts'
import { type FaultContext, MESSAGES, REPEATABLE, type Strike } from './fault.ts'

function partition(f: FaultContext, oneWay: boolean): void {
  const { cluster, random, note } = f
  const [from, to] = sides(f)
  const ms = random.next() ** 3 * seconds(150)
  const arrow = oneWay ? '→' : '↔'
  note(`cut ${from.join(', ')} ${arrow} ${to.join(', ')} for ${ms.toFixed(0)} ms`)
  const cut = cluster.world.partition(from, to, { oneWay })
  f.later(ms, () => {
    note(`mended ${from.join(', ')} ${arrow} ${to.join(', ')}`)
    cut.mend()
  })
}

/** The master, and one of the others, or some of them, or nearly all; in either order. */
function sides({
  random,
  everyone,
}: FaultContext): readonly [readonly string[], readonly string[]] {
  const others = random.shuffle(everyone())
  const some = others.slice(0, 1 + Math.floor(random.next() ** 3 * others.length))
  return random.next() < 0.5 ? [some, [MASTER]] : [[MASTER], some]
}

const clog: Strike = f => {
  const { cluster, random, note } = f
  const [from, to] = sides(f)
  const ms = random.next() ** 2 * seconds(60)
  note(`clogged: ${from.join(', ')} → ${to.join(', ')} for ${ms.toFixed(0)} ms`)
  cluster.world.network.clog(from, to, ms, { oneWay: random.next() < 0.7 })
}

const latency: Strike = ({ cluster, random, note, later }) => {
  const most = 10 ** (1 + random.next() * 2.5)
  note(`latency up to ${most.toFixed(0)} ms`)
  const { network } = cluster.world
  network.latencyMs = [0.1, most]
  later(random.next() * seconds(20), () => {
    note('latency as before')
    network.latencyMs = [0.1, 1]
  })
}

/** As much as TCP ever loses: what was on its way when a connection broke, here of one name only. */
const loseMessages: Strike = f => {
  const { cluster, random, note } = f
  const some = f.pick(f.everyone())
  const name = f.pick(MESSAGES)
  const part = random.next() < 0.5 ? 1 : random.next()
  note(`losing ${part.toFixed(2)} of ${name} of ${some}`)
  const { network } = cluster.world
  const rule = network.drop(
    ({ from, to, message }) =>
      message === name && (from === some || to === some) && random.next() < part,
  )
  f.hold(rule)
  f.later(random.next() ** 2 * seconds(20), () => {
    note(`lost ${rule.count} ${name}; ${some} loses its connections`)
    f.end(rule)
    network.cutOff(some)
  })
}

const cutOff: Strike = f => {
  const some = f.pick(f.everyone())
  f.note(`${some} loses its connections, and the others hear nothing`)
  f.cluster.world.network.cutOff(some)
}

const reset: Strike = f => {
  const some = f.pick([MASTER, ...f.everyone()])
  f.note(`connections of ${some} are reset`)
  f.cluster.world.network.reset(some)
}

const flaky: Strike = ({ cluster, random, note, later }) => {
  const rate = 10 ** (-3 + random.next() * 2)
  note(`one message in ${(1 / rate).toFixed(0)} breaks its connection`)
  const { network } = cluster.world
  network.lossRate = rate
  later(random.next() * seconds(30), () => {
    note('no message breaks its connection')
    network.lossRate = 0
  })
}

/** Old messages come once more after their connection has been replaced. */
const duplicates: Strike = f => {
  const { cluster, random, note } = f
  const some = f.pick(f.everyone())
  note(`messages of ${some} will come again`)
  const { network } = cluster.world
  const rule = network.duplicate(
    ({ from, to, message }) =>
      message !== undefined &&
      REPEATABLE.has(message) &&
      (from === some || to === some) &&
      random.next() < 0.3,
  )
  f.hold(rule)
  f.later(random.next() * seconds(20), () => {
    note(`${rule.count} messages of ${some} come again`)
    f.end(rule)
    network.reset(some)
  })
}

export const NETWORK_FAULTS = {
  partition: f => partition(f, false),
  'one-way partition': f => partition(f, true),
  clog,
  latency,
  'lost messages': loseMessages,
  'cut off': cutOff,
  reset,
  'flaky network': flaky,
  duplicates,
} as const satisfies Record<string, Strike>
