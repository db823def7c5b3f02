// Who wants to hear of whose end. A local end is always known; of a remote one we hear from its process, or we
// conclude it from the loss of the connection (then the actor may still live, as with libprocess' links).

import type { LinkOptions } from './actor.ts'
import type { Cell } from './cell.ts'
import { FRAME } from './frames.ts'
import type { ExitReason } from './mailbox.ts'
import type { Peer } from './peer.ts'
import type { Peers } from './peers.ts'
import { type Address, addressOf, idOf, type Pid, pid } from './pid.ts'
import { NOBODY_LISTENS } from './transport.ts'

export interface LinksOptions {
  readonly address: Address
  readonly peers: Peers
  readonly cell: (id: string) => Cell | undefined
  /** Something was put in a peer's queue outside of a turn. */
  readonly wake: () => void
}

export class Links {
  readonly #o: LinksOptions
  /** Remote pids that local actors are linked to, by the address that was used, then by pid. */
  readonly #remote = new Map<Address, Map<Pid, Set<Cell>>>()

  constructor(options: LinksOptions) {
    this.#o = options
  }

  /** Actors of other processes that somebody here is linked to. */
  get count(): number {
    let count = 0
    for (const pids of this.#remote.values()) count += pids.size
    return count
  }

  link(cell: Cell, to: Pid, { reconnect = false }: LinkOptions = {}): void {
    if (cell.ended) return
    const address = addressOf(to)
    if (reconnect && address !== this.#o.address) {
      this.#o.peers.doubt(address)
      this.#o.wake()
    }
    if (cell.links?.has(to)) return
    cell.links ??= new Set()
    if (address === this.#o.address) {
      const target = this.#o.cell(idOf(to))
      cell.links.add(to)
      if (target) (target.watchers ??= new Set()).add(cell)
      else cell.enqueue({ type: 'exited', pid: to, why: 'absent' })
      return
    }
    cell.links.add(to)
    let pids = this.#remote.get(address)
    if (!pids) this.#remote.set(address, (pids = new Map()))
    const cells = pids.get(to)
    if (cells) {
      cells.add(cell)
      return
    }
    pids.set(to, new Set([cell]))
    this.#o.peers.sending.send(this.#o.peers.at(address), [FRAME.link, idOf(to)])
    this.#o.wake()
  }

  unlink(cell: Cell, to: Pid): void {
    if (!cell.links?.delete(to)) return
    const address = addressOf(to)
    if (address === this.#o.address) {
      if (!this.#o.cell(idOf(to))?.watchers?.delete(cell)) cell.mailbox.withdrawExited(to)
      return
    }
    const pids = this.#remote.get(address)
    const cells = pids?.get(to)
    if (!cells?.delete(cell)) cell.mailbox.withdrawExited(to)
    if (!pids || !cells || cells.size > 0) return
    pids.delete(to)
    if (pids.size === 0) this.#remote.delete(address)
    const peer = this.#o.peers.find(address)
    if (!peer || this.#linkedByOtherName(peer, idOf(to))) return
    this.#o.peers.sending.send(peer, [FRAME.unlink, idOf(to)])
    this.#o.wake()
  }

  /** To the peer all its names are one: it must not forget us while another name of the same actor is linked. */
  #linkedByOtherName(peer: Peer, id: string): boolean {
    for (const address of peer.addresses) {
      if (this.#remote.get(address)?.has(pid(id, address))) return true
    }
    return false
  }

  /** A peer asks to be told when an actor of ours ends. */
  watched(peer: Peer, id: string): void {
    const cell = this.#o.cell(id)
    if (!cell) {
      this.#o.peers.sending.send(peer, [FRAME.exited, id, 'absent'])
      this.#o.wake()
      return
    }
    cell.remoteWatchers ??= new Set()
    cell.remoteWatchers.add(peer)
    peer.watches.add(id)
  }

  unwatched(peer: Peer, id: string): void {
    this.#o.cell(id)?.remoteWatchers?.delete(peer)
    peer.watches.delete(id)
  }

  /** A peer tells that an actor of its has ended. */
  exited(peer: Peer, id: string, why: ExitReason): void {
    for (const address of peer.addresses) this.#break(address, pid(id, address), why)
  }

  /** An actor of this process has ended. */
  ended(cell: Cell, why: 'ended' | 'failed'): void {
    if (cell.links) for (const to of [...cell.links]) this.unlink(cell, to)
    for (const watcher of cell.watchers ?? NONE) {
      watcher.enqueue({ type: 'exited', pid: cell.pid, why })
    }
    for (const peer of cell.remoteWatchers ?? NONE) {
      peer.watches.delete(cell.id)
      this.#o.peers.sending.send(peer, [FRAME.exited, cell.id, why])
      this.#o.wake()
    }
  }

  /** The connection to a peer is gone, or could not be made: with it all that was linked over it, both ways. */
  lost(peer: Peer, reason: string): void {
    // Its process would listen as long as it lives.
    const why = reason.startsWith(NOBODY_LISTENS) ? 'absent' : 'unreachable'
    for (const id of peer.watches) this.#o.cell(id)?.remoteWatchers?.delete(peer)
    peer.watches.clear()
    for (const address of peer.addresses) {
      for (const to of [...(this.#remote.get(address)?.keys() ?? [])]) this.#break(address, to, why)
    }
  }

  #break(address: Address, to: Pid, why: ExitReason): void {
    const pids = this.#remote.get(address)
    const cells = pids?.get(to)
    if (!pids || !cells) return
    pids.delete(to)
    if (pids.size === 0) this.#remote.delete(address)
    for (const cell of cells) cell.enqueue({ type: 'exited', pid: to, why })
  }
}

const NONE: readonly never[] = []
