// The same message to many actors: encoded once, wherever and however many they are.

import type { Cell } from './cell.ts'
import { decode, encode } from './codec.ts'
import { FRAME } from './frames.ts'
import { SharedFrame } from './outbox.ts'
import { beginning } from './packing.ts'
import { type Address, addressOf, idOf, type Pid } from './pid.ts'
import type { Entries, Protocol, Refs } from './protocol.ts'
import { NOBODY, type RefHost, type Target } from './refs.ts'

interface Remote {
  readonly id: string
  readonly address: Address
}

export class ManyRefs<E extends Entries> implements Refs<E> {
  readonly pids: readonly Pid[]
  readonly #wire: Readonly<Record<keyof E, string>>
  readonly #from: Cell | undefined
  readonly #host: RefHost
  readonly #local: readonly Target[]
  readonly #remote: readonly Remote[]

  constructor(
    host: RefHost,
    here: Address,
    { wire }: Protocol<E>,
    to: readonly Pid[],
    from: Cell | undefined,
  ) {
    this.pids = [...to]
    this.#wire = wire
    this.#from = from
    this.#host = host
    const ends = this.pids.map(pid => ({ id: idOf(pid), address: addressOf(pid) }))
    this.#remote = ends.filter(({ address }) => address !== here)
    this.#local = ends
      .filter(({ address }) => address === here)
      .map(({ id }) => ({ id, cell: undefined, name: '', served: undefined }))
  }

  tell(name: keyof E, message: unknown): void {
    const from = this.#from
    if (from?.ended) return
    const wire = this.#wire[name]
    // First of all: if it cannot be encoded, nobody has been told.
    const body = this.#remote.length > 0 || this.#local.length > 1 ? encode(message) : undefined
    this.#local.forEach((target, i) => {
      // No two actors share an object: all but the first get one of their own.
      const own = i === 0 ? message : decode(body!)
      this.#host.local(target, wire, own, from?.pid ?? NOBODY, undefined)
    })
    if (this.#remote.length === 0) return
    const { peers } = this.#host
    // Those who are told the same in other processes mostly have the same id there.
    const frames = new Map<string, SharedFrame>()
    for (const { id, address } of this.#remote) {
      let frame = frames.get(id)
      if (!frame) {
        const head = beginning(5, [FRAME.tell, id, from?.id ?? '', wire])
        frames.set(id, (frame = new SharedFrame(head, body!)))
      }
      const peer = peers.at(address)
      if (peer.gatherShared(frame, peers.limits)) peers.sending.gathered(peer)
      else this.#host.tooLarge(peer, String(name))
    }
    this.#host.wake()
  }
}
