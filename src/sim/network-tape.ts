// What chance did on a network, link by link: so that another run, of changed code, meets the same network.

/** One direction between two processes: `10.0.0.1:5050>10.0.1.1:5051`. */
export type Link = string

/** What became of all that was sent in one direction. Plain data: it may be kept as JSON. */
export interface LinkTape {
  /** Of each arrival, in order. */
  readonly delaysMs: number[]
  /** Which of the messages, counted from 0, were lost by a rule. */
  readonly lost: number[]
}

export type NetworkTape = Record<Link, LinkTape>

interface Progress {
  readonly tape: LinkTape
  delays: number
  sends: number
  losses: number
}

/** Writes a tape. */
export class Recorder {
  readonly tape: NetworkTape = {}
  readonly #sends = new Map<Link, number>()

  arrives(link: Link, delayMs: number): void {
    this.#of(link).delaysMs.push(delayMs)
  }

  sent(link: Link, lost: boolean): void {
    const nth = this.#sends.get(link) ?? 0
    this.#sends.set(link, nth + 1)
    if (lost) this.#of(link).lost.push(nth)
  }

  #of(link: Link): LinkTape {
    return (this.tape[link] ??= { delaysMs: [], lost: [] })
  }
}

/** Reads a tape. At its end, and for links that are not on it, chance decides again: the answers are undefined. */
export class Player {
  readonly #links: ReadonlyMap<Link, Progress>

  constructor(tape: NetworkTape) {
    this.#links = new Map(
      Object.entries(tape).map(([link, one]) => [
        link,
        { tape: one, delays: 0, sends: 0, losses: 0 },
      ]),
    )
  }

  /** How long the next message of a link is on its way. */
  delayMs(link: Link): number | undefined {
    const at = this.#links.get(link)
    return at?.tape.delaysMs[at.delays++]
  }

  /** Whether the next message of a link is lost. */
  isLost(link: Link): boolean {
    const at = this.#links.get(link)
    if (!at || at.tape.lost[at.losses] !== at.sends++) return false
    at.losses++
    return true
  }
}
