// Rules by which single messages are lost, kept, or sent twice: tests and faults name them by protocol, sender, receiver
// and content.

import { decodeFrames, encode } from '../actors/codec.ts'
import { checkMessage, FRAME } from '../actors/frames.ts'
import type { Address } from '../actors/pid.ts'
import type { Link } from './network-tape.ts'

/** A message on its way, as rules see it. */
export interface Passing {
  readonly from: Address
  readonly to: Address
  /** Wire name, such as `master.agent/register_agent`; undefined for the runtime's own frames. */
  readonly message: string | undefined
  readonly fromId: string | undefined
  readonly toId: string | undefined
  /** As it was sent: of the shape that its protocol gives it, as far as the sender keeps to that. */
  readonly body: unknown
}

export type Matches = (passing: Passing) => boolean

export interface Rule {
  /** Messages that it took hold of so far. */
  readonly count: number
  stop(): void
}

export interface Recording extends Rule {
  /**
   * Sends all that was recorded once more, in the order in which it was sent, each over the connection that its two
   * processes have now. Returns how many could be sent. The runtime promises at most one delivery, so this is for
   * messages that their sender itself may repeat.
   */
  replay(): number
}

/** One end of a connection, as far as rules need it. */
export interface Sender {
  readonly local: Address
  readonly remote: Address
  readonly link: Link
  /** Whether another connection is between the same two processes: not between others at their addresses. */
  isBetweenThoseOf(other: Sender): boolean
}

interface Kept {
  readonly by: Sender
  readonly bytes: Uint8Array
}

interface Entry {
  readonly matches: Matches
  readonly does: 'lose' | 'record' | 'duplicate'
  readonly kept: Kept[]
  count: number
}

export class MessageRules {
  readonly #entries = new Set<Entry>()
  /** What comes again with the next connection of its link. */
  readonly #again = new Map<Link, Kept[]>()
  /** Sends bytes over the connection that a link has now; false if it has none. */
  readonly #send: (link: Link, bytes: Uint8Array) => boolean

  constructor(send: (link: Link, bytes: Uint8Array) => boolean) {
    this.#send = send
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0
  }

  lose(matches: Matches): Rule {
    return this.#add({ matches, does: 'lose', kept: [], count: 0 })
  }

  record(matches: Matches): Recording {
    const entry: Entry = { matches, does: 'record', kept: [], count: 0 }
    const replay = (): number =>
      entry.kept.filter(({ by, bytes }) => this.#send(by.link, bytes)).length
    return Object.assign(this.#add(entry), { replay })
  }

  duplicate(matches: Matches): Rule {
    return this.#add({ matches, does: 'duplicate', kept: [], count: 0 })
  }

  #add(entry: Entry): Rule {
    this.#entries.add(entry)
    return Object.defineProperty(
      { count: 0, stop: () => void this.#entries.delete(entry) },
      'count',
      {
        get: () => entry.count,
      },
    )
  }

  /** A message is about to leave: whether it is lost. The whole of it is, as a datagram would be, if one frame is to be. */
  loses(by: Sender, bytes: Uint8Array): boolean {
    for (const frame of checkMessage(decodeFrames(bytes)).valid) {
      const named = frame[0] === FRAME.tell || frame[0] === FRAME.ask
      const passing: Passing = {
        from: by.local,
        to: by.remote,
        message: named ? frame[3] : undefined,
        fromId: named ? frame[2] : undefined,
        toId: named ? frame[1] : undefined,
        body: named ? frame[4] : undefined,
      }
      for (const entry of this.#entries) {
        if (!entry.matches(passing)) continue
        entry.count++
        if (entry.does === 'lose') return true
        const kept = { by, bytes: encode([frame]) }
        if (entry.does === 'record') entry.kept.push(kept)
        else this.#keep(by.link, kept)
      }
    }
    return false
  }

  #keep(link: Link, kept: Kept): void {
    const list = this.#again.get(link)
    if (list) list.push(kept)
    else this.#again.set(link, [kept])
  }

  /**
   * What earlier connections of a link carried and this one is to carry again; each once. A process repeats what it said
   * itself, and to whom it said it; what was said to another one at the same address cannot come again.
   */
  repeated(by: Sender): readonly Uint8Array[] {
    const list = this.#again.get(by.link)?.filter(kept => by.isBetweenThoseOf(kept.by))
    if (!list) return []
    const again = list.filter(kept => kept.by !== by)
    if (again.length === 0) return []
    this.#again.delete(by.link)
    for (const kept of list) if (kept.by === by) this.#keep(by.link, kept)
    return again.map(({ bytes }) => bytes)
  }

  /** Nothing is repeated any more. */
  forget(): void {
    this.#again.clear()
  }
}
