// Counts those who have come in and have not shown yet that they are of any use: so many of one host, and so many of all.

export class Turnstile {
  readonly #mostOfOne: number
  readonly #most: number
  readonly #byHost = new Map<string, number>()
  #inside = 0
  /** How many were turned away. */
  refused = 0

  /** One host never fills all places, if `mostOfOne` is less than `most`. */
  constructor(mostOfOne: number, most: number) {
    this.#mostOfOne = mostOfOne
    this.#most = most
  }

  get inside(): number {
    return this.#inside
  }

  /** Lets one in, and returns how it leaves (a second time does nothing); undefined: there is no room. */
  enter(host: string): (() => void) | undefined {
    const count = this.#byHost.get(host) ?? 0
    if (count >= this.#mostOfOne || this.#inside >= this.#most) {
      this.refused++
      return undefined
    }
    this.#byHost.set(host, count + 1)
    this.#inside++
    let left = false
    return () => {
      if (left) return
      left = true
      this.#inside--
      const rest = this.#byHost.get(host)! - 1
      if (rest === 0) this.#byHost.delete(host)
      else this.#byHost.set(host, rest)
    }
  }
}

/** The host of a socket's `host:port`. The port is another one each time. */
export const hostOf = (remote: string): string => remote.replace(/:\d+$/, '')
