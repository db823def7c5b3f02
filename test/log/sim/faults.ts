// What breaks in a simulated ensemble. Each fault strikes once, and ends by itself.
//
// What an ensemble is not promised to survive does not happen. Two disks that are lost at once may have been the only two of
// three with an entry: no algorithm finds it again. So a second disk is lost only when the replica that lost the first votes
// again. A flipped bit is a loss like that, only smaller, and it may stay unnoticed: a value in a closed segment is missed when
// it is asked for, and the segment as a whole when its index is lost, long after it was healed. So from a bit that flipped
// until the file that it was in is gone (put aside, truncated, or lost with its disk) and the replica votes, other disks
// lose nothing: it is one disk at a time that cannot be trusted. Nor does an ensemble of two lose one, for a
// majority of them would have to keep theirs. Who was removed may lose what it likes. Messages of the election do not come
// twice: the transport does not do that.

import {
  addressesOf,
  crash,
  cut,
  member,
  pick,
  split,
  type Strike,
  upTo,
  without,
} from './fault-context.ts'
import { flipBit } from './flipped-bit.ts'
import { changeMembers } from './member-faults.ts'

/** A replica without its disk votes again after so long, if all goes well (recover.ts). */
const RECOVERY_MS = 12_000

/**
 * A disk is lost, where it does the most harm: the one who writes speaks only to the one who is to lose it, and when that is
 * there again, it speaks to the others.
 */
const loseDisk: Strike = f => {
  const { ensemble, note } = f
  const { members } = ensemble
  if (!ensemble.initialised || ensemble.voters.length < 3) return
  const hurt = members.find(({ loss }) => loss !== 'none')
  if (hurt && hurt.loss !== 'damaged') return
  const writers = members.filter(({ writer }) => writer)
  const victim = hurt ?? pick(f, without(f, writers.length > 0 ? [pick(f, writers)] : []))
  const able = writers.filter(each => each !== victim)
  const writer = pick(f, able.length > 0 ? able : without(f, [victim]))
  const others = f.random.shuffle(without(f, [writer, victim]))
  const aimed = f.random.next() < 0.7
  // Taken at once, so that no other disk goes meanwhile.
  victim.loss = 'doomed'
  if (aimed && f.random.next() < 0.6) f.alone(RECOVERY_MS + 18_000)
  if (aimed) cut(f, [writer, victim], others, 4_000)
  const write = (): void => void (aimed && f.clients.append(writer))
  f.later(50, write)
  f.later(200, write)
  f.later(200 + upTo(f, 3_000), () => {
    note(`${victim.address} loses its disk`)
    ensemble.wipe(victim)
    if (aimed && members.length > 3) cut(f, [writer], without(f, [writer]), RECOVERY_MS + 1_500)
    const part = (): void => {
      if (!aimed) return
      // What has lost its disk, with as many as make a quorum, against the one who wrote and the rest.
      const group = [victim, ...others.slice(0, ensemble.quorum - 1)]
      cut(f, group, without(f, group), 2_000 + upTo(f, 12_000, 1))
      for (const ms of [50, 400, 800, 1_600]) {
        f.later(ms, () => {
          const some = pick(f, group)
          if (f.clients.rivals && !some.writer) void f.clients.elect(some)
          f.clients.append(some)
          f.clients.append(writer)
        })
      }
    }
    f.later(upTo(f, 1_000), () => {
      note(`${victim.address} starts with an empty disk`)
      ensemble.start(victim)
      if (f.random.next() < 0.4) return part()
      const wait = (): void => (victim.loss === 'lost' ? f.later(20, wait) : part())
      wait()
    })
  })
}

export const FAULTS = {
  crash: f => crash(f, member(f), upTo(f, 5_000)),
  'power cut': f => {
    const [some] = split(f)
    for (const each of some) crash(f, each, upTo(f, 3_000))
  },
  'crash at work': f => {
    const what = pick(f, ['promise', 'vote', 'vote', 'learned', 'chosen'] as const)
    f.when(what, 1 + f.random.integer(6), address => {
      // The one that was seen, or the one who writes and has just been answered.
      const writers = f.ensemble.members.filter(({ writer }) => writer)
      const seen = f.ensemble.members.find(each => each.address === address) ?? member(f)
      const which = writers.length > 0 && f.random.next() < 0.5 ? pick(f, writers) : seen
      f.note(`seen: ${what} of ${address}`)
      f.later(upTo(f, 3), () => crash(f, which, upTo(f, 4_000)))
    })
  },
  restart: f => crash(f, member(f), 0),
  split: f => {
    const [some, others] = split(f)
    cut(f, some, others, upTo(f, 12_000))
  },
  isolate: f => {
    const some = member(f)
    cut(f, [some], without(f, [some]), upTo(f, 12_000))
  },
  'one way': f => {
    const [some, others] = split(f)
    cut(f, some, others, upTo(f, 12_000), true)
  },
  bridge: f => {
    const between = member(f)
    const rest = f.random.shuffle(without(f, [between]))
    const half = Math.floor(rest.length / 2)
    cut(f, rest.slice(0, half), rest.slice(half), upTo(f, 12_000))
  },
  flapping: f => {
    const [some, others] = split(f)
    const oneWay = f.random.next() < 0.3
    let left = 2 + f.random.integer(6)
    const flap = (): void => {
      if (left-- === 0) return
      const ms = 20 + upTo(f, 1_000)
      cut(f, some, others, ms, oneWay)
      f.later(ms + upTo(f, 500), flap)
    }
    flap()
  },
  clog: f => {
    const [some, others] = split(f)
    const ms = upTo(f, 6_000)
    f.note(`clogged for ${ms.toFixed(0)} ms`)
    const { network } = f.ensemble.world
    network.clog(addressesOf(some), addressesOf(others), ms, { oneWay: f.random.next() < 0.7 })
  },
  latency: f => {
    const most = 10 ** (1 + f.random.next() * 2.3)
    f.note(`latency up to ${most.toFixed(0)} ms`)
    const { network } = f.ensemble.world
    network.latencyMs = [0.1, most]
    f.later(upTo(f, 8_000), () => {
      network.latencyMs = [0.1, 1]
    })
  },
  flaky: f => {
    const { network } = f.ensemble.world
    network.lossRate = 10 ** (-2.5 + f.random.next() * 2)
    f.note(`one message in ${(1 / network.lossRate).toFixed(0)} breaks its connection`)
    f.later(upTo(f, 8_000), () => {
      network.lossRate = 0
    })
  },
  reset: f => {
    const some = member(f)
    f.note(`connections of ${some.address} are reset`)
    f.ensemble.world.network.reset(some.address)
  },
  'lost messages': f => {
    const kind = pick(f, ['promise', 'write', 'learned', 'chosen', 'fetch', 'recover'])
    const some = member(f).address
    const part = f.random.next() < 0.5 ? 1 : f.random.next()
    f.note(`losing ${part.toFixed(2)} of ${kind} of ${some}`)
    const { network } = f.ensemble.world
    const rule = network.drop(
      ({ from, to, message }) =>
        message === `log.replica/${kind}` &&
        (from === some || to === some) &&
        f.random.next() < part,
    )
    f.hold(rule)
    f.later(upTo(f, 6_000), () => {
      rule.stop()
      // As much as TCP ever loses.
      network.cutOff(some)
    })
  },
  duplicates: f => {
    const some = member(f).address
    f.note(`messages of ${some} will come again`)
    const { network } = f.ensemble.world
    const rule = network.duplicate(
      ({ from, to, message }) =>
        message?.startsWith('log.replica/') === true &&
        (from === some || to === some) &&
        f.random.next() < 0.4,
    )
    f.hold(rule)
    f.later(upTo(f, 6_000), () => {
      rule.stop()
      f.note(`${rule.count} messages of ${some} come again`)
      network.reset(some)
    })
  },
  pause: f => {
    const some = member(f).address
    const ms = upTo(f, 12_000)
    f.note(`${some} stands still for ${ms.toFixed(0)} ms`)
    f.ensemble.world.pause(some)
    f.later(ms, () => {
      f.note(`${some} goes on`)
      f.ensemble.world.unpause(some)
    })
  },
  // A lease allows for a tenth: what two clocks differ by at most.
  'wrong clock': f => {
    const some = member(f).address
    const rate = 0.96 + f.random.next() * 0.08
    const offsetMs = (f.random.next() - 0.5) * 1_000_000
    f.note(`the clock of ${some} runs at ${rate.toFixed(3)}, ${offsetMs.toFixed(0)} ms off`)
    f.ensemble.world.skew(some, { rate, offsetMs })
  },
  'full disk': f => {
    const some = member(f)
    f.note(`the disk of ${some.address} is full`)
    some.disk.full = true
    f.later(upTo(f, 4_000), () => {
      some.disk.full = false
    })
  },
  'failed sync': f => {
    const some = member(f)
    f.note(`the disk of ${some.address} does not sync`)
    some.brokenSync = true
    f.later(upTo(f, 4_000), () => {
      some.brokenSync = false
    })
  },
  'slow disk': f => {
    const some = member(f)
    const ms = 10 ** (f.random.next() * 2.5)
    f.note(`a sync of ${some.address} takes ${ms.toFixed(0)} ms`)
    some.disk.syncMs = ms
    f.later(upTo(f, 6_000), () => {
      some.disk.syncMs = 1
    })
  },
  'lost disk': loseDisk,
  'flipped bit': flipBit,
  members: changeMembers,
  stranger: f => f.strange(member(f)),
} as const satisfies Record<string, Strike>

export type { FaultContext } from './fault-context.ts'
export type FaultKind = keyof typeof FAULTS
export const FAULT_KINDS = Object.keys(FAULTS) as FaultKind[]
