// Stands beside a replica and sees all that it is asked, answers and writes, before anyone else does. The replica is
// as in production: the runtime lets a recorder see what an actor is served, and a storage is an argument.

import type { Context, Hooks } from '../../../src/actors/actor.ts'
import { WRAP } from '../../../src/actors/actor.ts'
import { type Address, addressOf } from '../../../src/actors/pid.ts'
import type { Handler } from '../../../src/actors/protocol.ts'
import { Recorder } from '../../../src/actors/recorder.ts'
import type { ReplicaRecord, Storage } from '../../../src/log/storage.ts'
import type {
  LearnedAction,
  Learned,
  Position,
  PromiseRequest,
  PromiseResponse,
  Proposal,
  WriteRequest,
  WriteResponse,
} from '../../../src/messages/log.ts'
import { isTombstone, nameOf, type Truth } from './truth.ts'
import type { Asked } from './votes.ts'

interface Fetched {
  readonly actions: readonly LearnedAction[]
}

/** What the watch tells of. */
export interface Watched {
  readonly address: Address
  readonly truth: Truth
  /** All that the acceptor was asked, since it has this disk. */
  readonly asked: Asked[]
  /** Of the ensemble, now or at any time. */
  readonly isMember: (address: Address) => boolean
  /** It has found its disk damaged, and goes on with an empty one: it is not bound by what it has said any more. */
  readonly startsOver: () => void
  /** A good moment for a fault. */
  readonly saw: (what: 'promise' | 'vote' | 'learned' | 'chosen') => void
}

/** For the runtime's `record`; records nothing. */
export class ReplicaWatch extends Recorder {
  readonly #w: Watched

  constructor(watched: Watched) {
    super()
    this.#w = watched
  }

  override attach(context: Context): Context {
    return context
  }

  override hooks(real: Hooks): Hooks {
    return {
      initialize: () => real.initialize(),
      finalize: () => real.finalize(),
      exited: (pid, why) => real.exited(pid, why),
      [WRAP]: (name, handler) => this.#wrapped(name, handler),
    }
  }

  #wrapped(name: string, real: Handler): Handler {
    switch (name) {
      case 'log.replica/promise':
        return (body, from, envelope) =>
          this.#noted(real(body, from, envelope), this.#promise(body as PromiseRequest))
      case 'log.replica/write':
        return (body, from, envelope) =>
          this.#noted(real(body, from, envelope), this.#write(body as WriteRequest))
      case 'log.replica/fetch':
        return (body, from, envelope) =>
          this.#noted(real(body, from, envelope), answer => this.#fetched(answer as Fetched))
      case 'log.replica/learned':
        return (body, from, envelope) => {
          if (this.#w.isMember(addressOf(from))) {
            this.#w.truth.told(`who speaks to ${this.#w.address}`, (body as Learned).action)
          }
          this.#w.saw('learned')
          return real(body, from, envelope)
        }
      case 'log.replica/chosen':
        return (body, from, envelope) => {
          this.#w.saw('chosen')
          return real(body, from, envelope)
        }
      default:
        return real
    }
  }

  /** In the turn in which it is decided a place in the order is taken; what is said comes there when it is said. */
  #noted<T>(answer: T, note: (answer: Awaited<T>) => void): T {
    if (answer instanceof Promise) answer.then(note, () => {})
    else note(answer as Awaited<T>)
    return answer
  }

  #promise({ proposal, position }: PromiseRequest): (answer: unknown) => void {
    const place = this.#place()
    return answer => {
      const response = answer as PromiseResponse
      if (response.type !== 'accept') return
      if (position === undefined) {
        place.said = { type: 'implicit', proposal, end: response.position }
      } else {
        const { performed } = response.action ?? {}
        place.said = {
          type: 'explicit',
          proposal,
          position,
          accepted: performed && { proposal: performed.proposal, name: nameOf(performed.value) },
          isLearned: performed?.learned ?? false,
        }
        if (performed?.learned && !isTombstone(performed.value)) {
          this.#w.truth.learned(this.#w.address, position, nameOf(performed.value))
        }
      }
      this.#w.saw('promise')
    }
  }

  #write({ proposal, position, values }: WriteRequest): (answer: unknown) => void {
    const place = this.#place()
    // Taken now, since the caller owns it.
    const names = values.map(nameOf)
    const changes = values.map(value => (value.type === 'MEMBERS' ? value.membership : undefined))
    return answer => {
      if ((answer as WriteResponse).type !== 'accept') return
      place.said = { type: 'vote', proposal, position, names }
      for (const [i, name] of names.entries()) {
        this.#w.truth.voted(this.#w.address, position + i, proposal, name, changes[i])
      }
      this.#w.saw('vote')
    }
  }

  #fetched({ actions }: Fetched): void {
    for (const action of actions) this.#w.truth.told(this.#w.address, action)
  }

  #place(): Asked {
    const place: Asked = {}
    this.#w.asked.push(place)
    return place
  }
}

/** Sees what a replica writes: that it takes for chosen only what is, and never lets go of that. */
export function watchStorage(
  storage: Storage,
  { address, truth, startsOver }: Watched,
  problem: (text: string) => void,
): void {
  const written = new Map<Position, { readonly proposal: Proposal; readonly name: string }>()
  const learned = new Set<Position>()
  const take = (record: ReplicaRecord): void => {
    if (record.type === 'write') {
      const { position, proposal } = record
      const name = nameOf(record.value)
      if (learned.has(position) && !record.learned) {
        problem(`${address} votes for ${name} at ${position}, which it had learned`)
      }
      written.set(position, { proposal, name })
      if (record.learned && !isTombstone(record.value)) learn(position, name)
    } else if (record.type === 'learned') {
      const before = written.get(record.position)
      if (before?.proposal === record.proposal) learn(record.position, before.name)
    }
  }
  const learn = (position: Position, name: string): void => {
    learned.add(position)
    truth.learned(address, position, name)
  }
  const open = storage.open.bind(storage)
  const persist = storage.persist.bind(storage)
  const note = storage.note.bind(storage)
  const startOver = storage.startOver.bind(storage)
  Object.assign(storage, {
    open: (...[restore, ...rest]: Parameters<Storage['open']>) => {
      const watched = (record: ReplicaRecord): void => {
        take(record)
        restore(record)
      }
      return open(watched, ...rest)
    },
    startOver() {
      written.clear()
      learned.clear()
      startsOver()
      return startOver()
    },
    persist(records: readonly ReplicaRecord[]) {
      records.forEach(take)
      return persist(records)
    },
    note(records: readonly ReplicaRecord[]) {
      records.forEach(take)
      note(records)
    },
  } satisfies Partial<Storage>)
}
