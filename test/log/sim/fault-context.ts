// What a fault has to strike with, and how the simplest ones do.

import type { Address } from '../../../src/actors/pid.ts'
import type { Random } from '../../../src/base/random.ts'
import type { Rule } from '../../../src/sim/message-rules.ts'
import type { Clients } from './clients.ts'
import type { End, Ensemble, Member } from './ensemble.ts'

export interface FaultContext {
  /** Whether such a fault may strike. */
  readonly strikes: (kind: string) => boolean
  readonly ensemble: Ensemble
  readonly clients: Clients
  readonly random: Random
  readonly note: (text: string) => void
  /** Runs after a time, unless all has been calmed by then. */
  readonly later: (ms: number, run: () => void) => void
  /** Stopped when all is calmed. */
  readonly hold: (rule: Rule) => void
  /** Runs when a member has been seen doing that for the `count`-th time from now on. */
  readonly when: (
    what: 'promise' | 'vote' | 'learned' | 'chosen',
    count: number,
    run: (address: Address) => void,
  ) => void
  /** For so long nothing happens but what this fault does. */
  readonly alone: (ms: number) => void
  /** Someone who is no member says this to one. */
  readonly strange: (to: Member) => void
}

export type Strike = (f: FaultContext) => void

const ENDS: readonly End[] = ['lost', 'torn', 'kept', 'alone']

export const pick = <T>({ random }: FaultContext, list: readonly T[]): T =>
  list[random.integer(list.length)]!
export const member = (f: FaultContext): Member => pick(f, f.ensemble.members)
export const addressesOf = (members: readonly Member[]): Address[] =>
  members.map(({ address }) => address)

export function crash(f: FaultContext, which: Member, ms: number, end = pick(f, ENDS)): void {
  if (!which.runtime) return
  f.note(`${which.address} crashes (${end}) for ${ms.toFixed(0)} ms`)
  f.ensemble.crash(which, end)
  f.later(ms, () => f.ensemble.start(which))
}

/** Cuts links for a while; in one direction only with `oneWay`. */
export function cut(
  f: FaultContext,
  some: readonly Member[],
  others: readonly Member[],
  ms: number,
  oneWay = false,
): void {
  if (some.length === 0 || others.length === 0) return
  const names = (list: readonly Member[]): string => list.map(({ index }) => index + 1).join('+')
  const text = `${names(some)} ${oneWay ? '→' : '↔'} ${names(others)}`
  f.note(`cut ${text} for ${ms.toFixed(0)} ms`)
  const made = f.ensemble.world.partition(addressesOf(some), addressesOf(others), { oneWay })
  f.later(ms, () => {
    f.note(`mended ${text}`)
    made.mend()
  })
}

/** Two groups by chance, none empty. */
export function split(f: FaultContext): readonly [Member[], Member[]] {
  const all = f.random.shuffle(f.ensemble.members)
  const at = 1 + f.random.integer(all.length - 1)
  return [all.slice(0, at), all.slice(at)]
}

/** Somebody who is not in a group, or anybody. */
export const without = (f: FaultContext, group: readonly Member[]): Member[] =>
  f.ensemble.members.filter(each => !group.includes(each))

export const upTo = ({ random }: FaultContext, ms: number, power = 2): number =>
  random.next() ** power * ms
