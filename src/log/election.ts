// Who of an ensemble leads: the one that holds the lease of a quorum (lease.ts). Needs no other system, and no disk.
//
//   follower ──nobody leads──▶ candidate ──quorum grants──▶ leader ──lease runs out──▶ ended
//       ▲                          │
//       └──────── too few ─────────┘
//
// One such actor in each process of the ensemble, `log-election(1)`. All of them grant, and all know who leads from what
// they have granted: a leader asks all, again and again. That a leader's process is gone is known at once, if its address says so;
// else when its lease has run out.

import * as v from 'valibot'
import { Actor } from '../actors/actor.ts'
import type { Timer } from '../actors/clock.ts'
import type { ExitReason } from '../actors/mailbox.ts'
import { type Address, addressOf, type Pid, pid } from '../actors/pid.ts'
import { call, cast, protocol, type Ref, serve } from '../actors/protocol.ts'
import { seconds } from '../base/duration.ts'
import { silenced } from './consensus.ts'
import { candidacy, type Candidacy, Grants, type LeaseAnswer, validUntil } from './lease.ts'
import { Members } from './members.ts'
import { majorityOf } from './quorum.ts'

export const ELECTION_ID = 'log-election(1)'

const LEASE_MS = seconds(3)
/** So many times in the life of a lease it is asked for anew. */
const RENEWALS = 4
/** A broken connection to who leads is made again after so long. */
const AGAIN_MS = 10
/** The first of the list tries at once, each other one so much later than the one before it: rivals take it from each other. */
const STAGGER_MS = 40
/** After each try in vain it waits twice as long, so many times. */
const MOST_DOUBLINGS = 3

const Text = v.pipe(v.string(), v.maxLength(64 * 1024))
const Ms = v.pipe(v.number(), v.finite())

export const LogElection = protocol('log.election', {
  lease: call(
    v.object({ candidate: Text, about: Text, sure: v.boolean() }),
    v.variant('type', [
      v.object({ type: v.literal('granted') }),
      v.object({ type: v.literal('held'), leftMs: Ms }),
      v.object({ type: v.literal('fresh'), leftMs: Ms }),
    ]),
  ),
  /** What was granted is not needed. */
  release: cast(v.object({ candidate: Text })),
})

export interface ElectionOptions {
  /** Addresses of all members, this process' own among them; of those that may change, as they are at any time. */
  readonly members: readonly Address[] | Members
  /** What the others are told of this one while it leads. */
  readonly about: string
  readonly leaseMs?: number
  /** Who leads now, by what it says about itself; undefined if nobody is known to. At each change. */
  readonly leads?: (about: string | undefined) => void
  readonly elected: () => void
  /** The lease ran out. Whoever led must not do anything more. */
  readonly lost: () => void
}

export class Election extends Actor {
  override readonly idPrefix = 'log-election'
  override readonly failureEnds = 'process'
  readonly serves = [
    serve(LogElection, {
      lease: (request, from) => this.#grant(request, from),
      release: ({ candidate }, from) => {
        if (this.#isMember(from)) this.#release(candidate)
      },
    }),
  ]

  readonly #o: ElectionOptions
  readonly #leaseMs: number
  #grants!: Grants
  #candidate = ''
  #role: 'follower' | 'candidate' | 'leader' = 'follower'
  /** Tries in vain, one after the other, since somebody led. */
  #failures = 0
  /** Until when this process leads, by its own clock. */
  #validUntilMs = 0
  /** Where the holder of our grant is, to notice its end. */
  #holderPid: Pid | undefined
  #known: string | undefined
  #next: Timer | undefined
  #expiry: Timer | undefined

  constructor(options: ElectionOptions) {
    super()
    this.#o = options
    this.#leaseMs = options.leaseMs ?? LEASE_MS
  }

  /** Whether this process leads at this moment. To be asked before anything is done that only a leader may do. */
  get leading(): boolean {
    return this.#role === 'leader' && this.clock.now() < this.#validUntilMs
  }

  protected override initialize(): void {
    this.#candidate = this.random.uuid()
    this.#grants = new Grants(this.#leaseMs, this.clock.now())
    this.#contendIn(this.#staggerMs())
  }

  // Granting

  #grant(request: { candidate: string; about: string; sure: boolean }, from: Pid): LeaseAnswer {
    if (!this.#isMember(from)) return { type: 'held', leftMs: this.#leaseMs }
    const answer = this.#grants.ask(request, this.clock.now())
    if (answer.type === 'granted') this.#watch(from)
    this.#tell()
    return answer
  }

  get #addresses(): readonly Address[] {
    const { members } = this.#o
    return members instanceof Members ? members.addresses : members
  }

  get #members(): readonly Ref<typeof LogElection.entries>[] {
    return this.#addresses.map(address => this.ref(LogElection, pid(ELECTION_ID, address)))
  }

  #isMember(from: Pid): boolean {
    return this.#addresses.includes(addressOf(from))
  }

  #watch(holder: Pid): void {
    if (this.#holderPid === holder) return
    if (this.#holderPid !== undefined && this.#holderPid !== this.self) this.unlink(this.#holderPid)
    this.#holderPid = holder
    if (holder !== this.self) this.link(holder)
  }

  #release(candidate: string): void {
    if (!this.#grants.release(candidate)) return
    this.#tell()
    if (this.#role === 'follower' && candidate !== this.#candidate) {
      this.#contendIn(this.#staggerMs())
    }
  }

  protected override exited(gone: Pid, why: ExitReason): void {
    if (gone !== this.#holderPid) return
    this.#holderPid = undefined
    const holder = this.#grants.holder(this.clock.now())
    if (!holder) return
    if (why === 'unreachable') {
      // A connection may break while its process lives, and leads. Whether it does, its address knows.
      this.delay(AGAIN_MS, () => this.#holderPid ?? this.#watch(gone))
      return
    }
    this.log.info({ holder: gone, why }, 'the process that led is gone')
    this.#release(holder.candidate)
  }

  /** Says who leads, if that has changed. */
  #tell(): void {
    const about = this.#grants.holder(this.clock.now())?.about
    if (about !== undefined) this.#failures = 0
    if (about === this.#known) return
    this.#known = about
    this.#o.leads?.(about)
  }

  // Asking

  #staggerMs(): number {
    const rank = this.#addresses.indexOf(addressOf(this.self))
    // It has been removed, and may be added again.
    if (rank < 0) return this.#leaseMs
    return (rank + this.random.next()) * STAGGER_MS * 2 ** Math.min(this.#failures, MOST_DOUBLINGS)
  }

  #contendIn(ms: number): void {
    this.#next?.cancel()
    this.#next = this.delay(ms, () => this.#contend())
  }

  async #contend(): Promise<void> {
    this.#tell()
    if (this.#role !== 'follower') return
    if (this.#grants.holder(this.clock.now()) || !this.#isMember(this.self))
      return this.#contendIn(this.#staggerMs())
    this.#role = 'candidate'
    let result = await this.#ask(false)
    if (result.type === 'sure') result = await this.#ask(true)
    if (result.type === 'won') return this.#lead()
    this.#role = 'follower'
    this.#failures++
    const candidate = this.#candidate
    for (const member of this.#members) member.tell('release', { candidate })
    this.#contendIn(this.#staggerMs())
  }

  /** Asks all members for the lease; over as soon as a quorum has granted it. */
  #ask(sure: boolean): Promise<Candidacy> {
    const { about } = this.#o
    const members = this.#members
    const quorum = majorityOf(members.length)
    const askedAtMs = this.clock.now()
    const answers: (LeaseAnswer | undefined)[] = members.map(() => undefined)
    const request = { candidate: this.#candidate, about, sure }
    return new Promise((resolve, reject) => {
      let open = answers.length
      for (const [i, member] of members.entries()) {
        const limit = { timeoutMs: this.#leaseMs / RENEWALS }
        silenced(member.ask('lease', request, limit)).then(answer => {
          answers[i] = answer
          open--
          const result = candidacy(answers, quorum)
          if (result.type === 'won')
            this.#validUntilMs = Math.max(this.#validUntilMs, validUntil(askedAtMs, this.#leaseMs))
          if (result.type === 'won' || open === 0) resolve(result)
        }, reject)
      }
    })
  }

  // Leading

  #lead(): void {
    // A quorum has granted it, but that may have taken longer than it lasts.
    if (this.clock.now() >= this.#validUntilMs) {
      this.#role = 'follower'
      return this.#contendIn(this.#staggerMs())
    }
    this.#role = 'leader'
    this.log.info('elected')
    this.#o.elected()
    this.#renewLater()
    this.#watchExpiry()
  }

  #renewLater(): void {
    this.#next = this.delay(this.#leaseMs / RENEWALS, async () => {
      // Members that do not answer do not delay the next time.
      this.#renewLater()
      await this.#ask(true)
    })
  }

  #watchExpiry(): void {
    this.#expiry?.cancel()
    this.#expiry = this.delay(this.#validUntilMs - this.clock.now(), () => {
      if (this.leading) return this.#watchExpiry()
      this.log.error('the lease of this leader has run out: too few members have renewed it')
      this.#role = 'follower'
      this.#next?.cancel()
      this.#o.lost()
    })
  }
}
