// What a framework does not want to be offered again for a while, by agent.

import type { Resources } from '../../resources/resources.ts'

export interface Refusal {
  readonly role: string
  readonly resources: Resources
  readonly untilMs: number
}

/** How a framework gave resources back. */
export interface Return {
  /** Undefined means Mesos' default, and so does an impossible value. */
  readonly refuseSeconds: number | undefined
  readonly nowMs: number
  /** It used another part of what it was offered. */
  readonly used?: boolean
}

const DEFAULT_REFUSE_SECONDS = 5
const LONGEST_REFUSE_SECONDS = 31_536_000
const NONE: readonly Refusal[] = []

/** Until when it is not offered again; undefined: it may be offered at once. */
export function refusedUntilMs(
  { refuseSeconds, nowMs, used }: Return,
  shortestMs: number,
): number | undefined {
  const given = refuseSeconds ?? DEFAULT_REFUSE_SECONDS
  // One that used a part and refuses nothing gets on. One that only ever declines would be asked without end.
  if (given === 0 && used) return undefined
  const seconds = given >= 0 ? Math.min(given, LONGEST_REFUSE_SECONDS) : DEFAULT_REFUSE_SECONDS
  const ms = Math.max(seconds * 1000, shortestMs)
  return ms > 0 ? nowMs + ms : undefined
}

export class Refusals {
  readonly #byAgent = new Map<string, readonly Refusal[]>()

  /** Those that have run out may be among them. */
  of(agentId: string): readonly Refusal[] {
    return this.#byAgent.get(agentId) ?? NONE
  }

  /** False if another one says as much already: they do not pile up, however long they last. */
  add(agentId: string, refusal: Refusal, nowMs: number): boolean {
    const others = this.of(agentId).filter(
      other => other.untilMs > nowMs && !saysAll(refusal, other),
    )
    const news = !others.some(other => saysAll(other, refusal))
    this.#byAgent.set(agentId, news ? [...others, refusal] : others)
    return news
  }

  forgetAgent(agentId: string): void {
    this.#byAgent.delete(agentId)
  }

  forgetRoles(roles: ReadonlySet<string>): void {
    for (const [agentId, refusals] of this.#byAgent) {
      const rest = refusals.filter(refusal => !roles.has(refusal.role))
      if (rest.length > 0) this.#byAgent.set(agentId, rest)
      else this.#byAgent.delete(agentId)
    }
  }

  clear(): void {
    this.#byAgent.clear()
  }

  *expiries(): IterableIterator<{ readonly untilMs: number; readonly agentId: string }> {
    for (const [agentId, refusals] of this.#byAgent) {
      for (const { untilMs } of refusals) yield { untilMs, agentId }
    }
  }
}

/** Whether all that `b` keeps from its framework is kept from it by `a` as well, and as long. */
function saysAll(a: Refusal, b: Refusal): boolean {
  return a.role === b.role && a.untilMs >= b.untilMs && a.resources.contains(b.resources)
}
