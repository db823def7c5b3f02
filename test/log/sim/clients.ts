// Clients of a simulated log: they append, truncate and read wherever somebody may, and note what they saw.

import type { Random } from '../../../src/base/random.ts'
import type { Writer } from '../../../src/log/log.ts'
import type { Position } from '../../../src/messages/log.ts'
import type { Ensemble, Member } from './ensemble.ts'
import { History, type Operation } from './history.ts'

export interface ClientsOptions {
  readonly ensemble: Ensemble
  readonly random: Random
  /** Whether who leads by its lease may read on the strength of that. */
  readonly leases: boolean
  readonly problem: (text: string) => void
  readonly note: (text: string) => void
}

/** The first attempt to be elected again comes after so long, at most. */
const AGAIN_MS = 300

export class Clients {
  readonly history = new History()
  readonly #o: ClientsOptions
  #names = 0
  /** The last position confirmed to anybody. */
  #last = 0
  /** Up to where somebody has asked for truncation; each `to` is asked for once, so that its record has a name. */
  #truncated = 0
  /** What each elected one knows to be written: up to where its log ended when it was elected, or it wrote since. */
  readonly #known = new WeakMap<Writer, Position>()
  /** No lease is believed any more. */
  #leasesOver = false

  constructor(options: ClientsOptions) {
    this.#o = options
  }

  /** From now on anybody may write, and who reads gets elected for it. */
  endLeases(): void {
    this.#leasesOver = true
  }

  /** Whether members get elected as writers whenever they like. */
  get rivals(): boolean {
    return !this.#o.leases || this.#leasesOver
  }

  /** A member has the lease: it gets elected as the writer, and again if it loses that, for as long as it leads. */
  async lead(member: Member): Promise<void> {
    const { runtime } = member
    const { world } = this.#o.ensemble
    while (member.runtime === runtime && member.election?.leading && !this.rivals) {
      if ((await this.elect(member)) !== undefined) return
      await new Promise<void>(resolve =>
        world.clock.delay(this.#o.random.next() * AGAIN_MS, resolve),
      )
    }
  }

  /** Resolves with the last position, or undefined if it was not elected; maybe never. */
  async elect(member: Member): Promise<Position | undefined> {
    const writer = this.#o.ensemble.writer(member)
    if (!writer) return undefined
    const { runtime } = member
    try {
      const position = await writer.start()
      if (member.runtime !== runtime) return undefined
      if (position === undefined) return undefined
      member.writer = writer
      this.#known.set(writer, position)
      this.#o.note(`${member.address} is elected, its log ends at ${position}`)
      return position
    } catch {
      return undefined
    }
  }

  append(member: Member): Operation | undefined {
    const { writer } = member
    if (!writer) return undefined
    const name = `v${++this.#names}`
    const operation = this.history.asks(member.address, { type: 'append', name })
    this.#written(member, operation, name, writer, writer.append(new TextEncoder().encode(name)))
    return operation
  }

  truncate(member: Member): Operation | undefined {
    const { writer } = member
    const room = this.#last - this.#truncated
    if (!writer || room < 1) return undefined
    const to = this.#truncated + 1 + this.#o.random.integer(room)
    this.#truncated = to
    const operation = this.history.asks(member.address, { type: 'truncate', to })
    this.#written(member, operation, `TRUNCATE ${to}`, writer, writer.truncate(to))
    return operation
  }

  #written(
    member: Member,
    operation: Operation,
    name: string,
    writer: Writer,
    done: Promise<Position | undefined>,
  ): void {
    const { runtime } = member
    done.then(
      at => {
        // What a dead process was told is told to nobody.
        if (member.runtime !== runtime) return
        if (at === undefined) return this.#deposed(member, writer)
        this.history.answered(operation, { at })
        this.#last = Math.max(this.#last, at)
        this.#known.set(writer, Math.max(this.#known.get(writer) ?? 0, at))
        if (this.#o.ensemble.truth.chosen(at) !== name) {
          this.#o.problem(`${name} was confirmed at ${at}, where it is not chosen`)
        }
      },
      () => {},
    )
  }

  #deposed(member: Member, writer: Writer): void {
    if (member.writer !== writer) return
    // Some keep trying with what they have.
    if (this.rivals && this.#o.random.next() < 0.3) return
    member.writer = undefined
    if (!this.rivals) void this.lead(member)
  }

  /** A read that must find all that was confirmed before it: by who leads, or by who gets elected for it. */
  async read(member: Member): Promise<void> {
    const operation = this.history.asks(member.address, { type: 'read' })
    const { runtime } = member
    try {
      if (this.rivals) {
        const end = await this.elect(member)
        if (end === undefined) return
        return await this.#readTo(operation, member, end)
      }
      if (!member.election?.leading || !member.writer) return
      const { writer } = member
      const end = this.#known.get(writer) ?? 0
      await this.#readTo(operation, member, end, () =>
        Boolean(member.runtime === runtime && member.writer === writer && member.election?.leading),
      )
    } catch {
      // Nothing was seen.
    }
  }

  async #readTo(
    operation: Operation,
    member: Member,
    end: Position,
    holds: () => boolean = () => true,
  ): Promise<void> {
    const { runtime } = member
    const reader = this.#o.ensemble.reader(member)
    if (!reader) return
    const begin = await reader.beginning()
    const entries = begin > end ? [] : await reader.read(begin, end)
    if (member.runtime !== runtime || !holds()) return
    const found = entries.map(
      ({ position, bytes }) => [position, new TextDecoder().decode(bytes)] as const,
    )
    this.#check(member, begin, found)
    this.history.answered(operation, { begin, found })
  }

  /** A read of whoever is there, however far behind it is: all that it finds is chosen. */
  async peek(member: Member): Promise<void> {
    const reader = this.#o.ensemble.reader(member)
    if (!reader) return
    try {
      const [begin, end] = [await reader.beginning(), await reader.ending()]
      const entries = await reader.read(begin, Math.max(begin, end))
      this.#check(
        member,
        begin,
        entries.map(({ position, bytes }) => [position, new TextDecoder().decode(bytes)]),
      )
    } catch {
      // It is not up to date, or gone.
    }
  }

  #check(member: Member, begin: Position, found: readonly (readonly [Position, string])[]): void {
    const { truth } = this.#o.ensemble
    if (begin > truth.begin) {
      this.#o.problem(
        `${member.address} begins at ${begin}, though nothing is truncated beyond ${truth.begin}`,
      )
    }
    for (const [at, name] of found) truth.learned(member.address, at, name)
  }
}
