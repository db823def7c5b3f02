// Members come and go: an operator adds one, removes one, or puts one in the place of another, while all else goes on.
//
// One change at a time, as the log's own rule has it; but of a change whose leader has died nobody knows what becomes of it,
// and the operator goes on without waiting. What was removed may run on for as long as it likes, believing what it did;
// or it is gone at once; or it comes back with an empty disk, and is added again under the same address.
//
// One thing the operator sees to: no member is left with none but dead ones to ask. A member that was away knows those who
// were members when it went, and asks them who there is now (replica.ts). If all of them have been replaced meanwhile, it
// cannot know whom to believe. So each member that stays must know, on its disk, another one that stays and is up to date.

import { LogService } from '../../../src/log/log.ts'
import type { ChangeResult } from '../../../src/messages/log-membership.ts'
import type { Member } from './ensemble.ts'
import { type FaultContext, pick, type Strike, upTo } from './fault-context.ts'

type Change = { readonly add: string } | { readonly remove: string }

const MOST_MEMBERS = 7
/** There are never more processes than this, the dead ones included. */
const MOST_PROCESSES = 14
const PATIENCE_MS = 12_000
const ANSWER_MS = 5_000
const AGAIN_MS = 150

export const changeMembers: Strike = f => {
  const { ensemble, random } = f
  if (!ensemble.initialised || ensemble.changing) return
  const size = ensemble.voters.length
  // Of two that lose a disk there is no majority that keeps its own.
  const least = f.strikes('lost disk') || f.strikes('flipped bit') ? 3 : 2
  const dice = random.next()
  const grows = size <= least || (size < MOST_MEMBERS && dice < 0.6)
  const replaces = dice > 0.25 && dice < 0.8
  ensemble.changing = true
  const over = (): void => {
    ensemble.changing = false
  }
  if (grows) add(f, done => (done && replaces ? remove(f, over) : over()))
  else remove(f, done => (done && replaces ? add(f, over) : over()))
}

function add(f: FaultContext, then: (done: boolean) => void): void {
  const { ensemble, random, note } = f
  const guest = newcomer(f)
  if (!guest) return then(false)
  ensemble.relist(guest)
  note(`${guest.address} is to be added to ${ensemble.truth.membership.members.join()}`)
  f.later(random.next() < 0.7 ? 0 : upTo(f, 1_000), () => ensemble.start(guest))
  attempt(
    f,
    { add: guest.address },
    () => ensemble.votes(guest.address),
    done => {
      if (!done && !guest.joined && !ensemble.votes(guest.address)) ensemble.retire(guest)
      then(done)
    },
  )
}

/** Who is to be added: new, or one that was to be before, or a removed one whose machine has another disk; or even the old. */
function newcomer(f: FaultContext): Member | undefined {
  const { ensemble, random } = f
  const { retired, members } = ensemble
  const idle = [...retired, ...members.filter(each => each.joined && !ensemble.votes(each.address))]
  const isFull = retired.length + members.length >= MOST_PROCESSES
  if (idle.length === 0 || (!isFull && random.next() < 0.5))
    return isFull ? undefined : ensemble.add([])
  const again = pick(f, idle)
  if (again.joined && random.next() < 0.85) ensemble.renew(again)
  again.retired = false
  return again
}

function remove(f: FaultContext, then: (done: boolean) => void): void {
  const { ensemble, random, note } = f
  const gone = pick(f, ensemble.voters)
  note(`${gone.address} is to be removed of ${ensemble.truth.membership.members.join()}`)
  attempt(
    f,
    { remove: gone.address },
    () => !ensemble.votes(gone.address),
    done => {
      const goes = (): void => {
        if (!ensemble.votes(gone.address) && gone.joined && !ensemble.changing)
          ensemble.retire(gone)
      }
      if (done && random.next() < 0.4) ensemble.retire(gone)
      else if (random.next() < 0.6) f.later(upTo(f, 15_000), goes)
      then(done)
    },
  )
}

/** Asks those who may write, one after the other, until it is done or the operator loses patience. */
function attempt(
  f: FaultContext,
  change: Change,
  isDone: () => boolean,
  then: (done: boolean) => void,
): void {
  const { ensemble, note } = f
  const { clock } = ensemble.world
  const endMs = clock.now() + PATIENCE_MS
  const again = (): void => f.later(AGAIN_MS, step)
  const step = (): void => {
    if (isDone() || clock.now() > endMs) return then(isDone())
    if (!leavesNobodyAlone(f, change)) return again()
    const able = ensemble.voters.filter(({ writer }) => writer)
    if (able.length === 0) {
      const some = pick(f, ensemble.voters)
      if (f.clients.rivals) void f.clients.elect(some)
      return again()
    }
    ask(f, pick(f, able), change, result => {
      note(`${JSON.stringify(change)}: ${JSON.stringify(result ?? 'no answer')}`)
      const isHopeless = result?.type === 'refused' && /has a log already/.test(result.why)
      if (isHopeless) then(false)
      else again()
    })
  }
  step()
}

/** Who dies does not answer. */
function ask(
  f: FaultContext,
  { runtime, pid }: Member,
  change: Change,
  then: (result: ChangeResult | undefined) => void,
): void {
  let isOver = false
  const over = (result?: ChangeResult): void => {
    if (isOver) return
    isOver = true
    then(result)
  }
  f.later(ANSWER_MS + 100, over)
  if (!runtime || !pid) return
  const answer = runtime.ref(LogService, pid).ask('change', change, { timeoutMs: ANSWER_MS })
  answer.then(
    result => f.later(0, () => over(result)),
    () => f.later(0, over),
  )
}

function leavesNobodyAlone({ ensemble }: FaultContext, change: Change): boolean {
  const { version } = ensemble.truth.membership
  const stays = ensemble.voters.filter(
    ({ address }) => !('remove' in change && change.remove === address),
  )
  const sure = stays.filter(({ log, lasting }) => log?.recovered && lasting.version === version)
  return stays.every(({ address, lasting }) =>
    sure.some(other => other.address !== address && lasting.members.includes(other.address)),
  )
}
