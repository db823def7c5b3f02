// An agent as the allocator sees it: what it has, who holds of it, what is free.

import { Resources } from '../../resources/resources.ts'

export class AgentSlot {
  readonly id: string
  /** Why it is not offered. */
  withheld: string | undefined
  /** It offers GPUs, which only those who know what to do with them are offered. */
  gpus!: boolean
  #total!: Resources
  /** What frameworks were granted or had already; more than the total when the agent came back smaller. */
  #held = Resources.empty
  /** Undefined: to be reckoned when it is asked for. */
  #free: Resources | undefined
  /** Whether any of it is reserved: if not, every role sees the same, which is the quick case. */
  #reserved!: boolean

  constructor(id: string, total: Resources) {
    this.id = id
    this.total = total
  }

  get total(): Resources {
    return this.#total
  }

  set total(total: Resources) {
    this.#total = total
    this.#free = undefined
    this.#reserved = !total.unreserved().equals(total)
    this.gpus = total.get('gpus') > 0
  }

  get free(): Resources {
    return (this.#free ??= this.#total.subtract(this.#held))
  }

  take(resources: Resources): void {
    this.#held = this.#held.add(resources)
    this.#free = undefined
  }

  giveBack(resources: Resources): void {
    this.#held = this.#held.subtract(resources)
    this.#free = undefined
  }

  /** What of the free resources a role may have: those of nobody, and its own. */
  offerable(role: string): Resources {
    const { free } = this
    if (!this.#reserved) return free
    return free.unreserved().add(free.reserved(role))
  }
}
