// Dominant Resource Fairness: who is furthest below its fair share comes first.
// (Ghodsi et al., "Dominant Resource Fairness: Fair Allocation of Multiple Resource Types", NSDI 2011.)

import { assert } from '../../base/assert.ts'

/** Scalar quantities by resource name, in thousandths. */
export type Scalars = ReadonlyMap<string, number>

interface Client {
  readonly name: string
  readonly weight: number
  active: boolean
  /** How many allocations it was given; breaks ties, so that equals take turns. */
  count: number
  readonly allocated: Map<string, number>
  share: number
  stale: boolean
}

/** If more than this part of the clients has moved, all are sorted anew. */
const MANY = 1 / 8

/**
 * Orders clients by dominant share: the largest, over all scalar resources, of allocated ÷ total, divided by the
 * client's weight. Equal shares go by the number of allocations, then by name, as in Mesos.
 */
export class DrfSorter {
  readonly #clients = new Map<string, Client>()
  readonly #total = new Map<string, number>()
  /** In order, but for those in `#moved`: an allocation moves one client, so that the rest need not be looked at. */
  #order: Client[] = []
  readonly #moved = new Set<Client>()

  add(name: string, weight = 1): void {
    if (this.#clients.has(name)) return
    assert(weight > 0, 'a weight is above 0')
    const client = {
      name,
      weight,
      active: true,
      count: 0,
      allocated: new Map<string, number>(),
      share: 0,
      stale: false,
    }
    this.#clients.set(name, client)
    this.#order.push(client)
    this.#moved.add(client)
  }

  remove(name: string): void {
    const client = this.#clients.get(name)
    if (!client) return
    this.#clients.delete(name)
    this.#moved.delete(client)
    this.#order.splice(this.#order.indexOf(client), 1)
  }

  has(name: string): boolean {
    return this.#clients.has(name)
  }

  get size(): number {
    return this.#clients.size
  }

  /** Whether the client has nothing. */
  isIdle(name: string): boolean {
    return (this.#clients.get(name)?.allocated.size ?? 0) === 0
  }

  /** An inactive client keeps what it has and counts, but is not in the order. */
  setActive(name: string, active: boolean): void {
    const client = this.#clients.get(name)
    if (client) client.active = active
  }

  addTotal(scalars: Scalars): void {
    this.#changeTotal(scalars, 1)
  }

  removeTotal(scalars: Scalars): void {
    this.#changeTotal(scalars, -1)
  }

  allocated(name: string, scalars: Scalars): void {
    const client = this.#clients.get(name)
    if (!client) return
    client.count++
    this.#change(client, scalars, 1)
  }

  recovered(name: string, scalars: Scalars): void {
    const client = this.#clients.get(name)
    if (client) this.#change(client, scalars, -1)
  }

  /** What the client has of a resource, in thousandths. */
  allocation(name: string, resource: string): number {
    return this.#clients.get(name)?.allocated.get(resource) ?? 0
  }

  /** The client's dominant share divided by its weight; 0 if it is not known. */
  share(name: string): number {
    const client = this.#clients.get(name)
    return client ? this.#shareOf(client) : 0
  }

  /** Active clients, the one to be served first in front. Nothing may be changed while they are gone through. */
  *sorted(): IterableIterator<string> {
    this.#sort()
    for (const client of this.#order) if (client.active) yield client.name
  }

  #change(client: Client, scalars: Scalars, sign: 1 | -1): void {
    for (const [resource, quantity] of scalars) {
      const now = (client.allocated.get(resource) ?? 0) + sign * quantity
      if (now === 0) client.allocated.delete(resource)
      else client.allocated.set(resource, now)
    }
    client.stale = true
    this.#moved.add(client)
  }

  #changeTotal(scalars: Scalars, sign: 1 | -1): void {
    for (const [resource, quantity] of scalars) {
      const now = (this.#total.get(resource) ?? 0) + sign * quantity
      if (now === 0) this.#total.delete(resource)
      else this.#total.set(resource, now)
    }
    for (const client of this.#order) {
      client.stale = true
      this.#moved.add(client)
    }
  }

  #shareOf(client: Client): number {
    if (!client.stale) return client.share
    let share = 0
    for (const [resource, quantity] of client.allocated) {
      const total = this.#total.get(resource)
      if (total) share = Math.max(share, quantity / total)
    }
    client.share = share / client.weight
    client.stale = false
    return client.share
  }

  #sort(): void {
    const moved = this.#moved
    if (moved.size === 0) return
    for (const client of moved) this.#shareOf(client)
    if (moved.size > this.#order.length * MANY) this.#order.sort(compare)
    else {
      for (const client of moved) this.#order.splice(this.#order.indexOf(client), 1)
      for (const client of moved) this.#order.splice(this.#placeOf(client), 0, client)
    }
    moved.clear()
  }

  /** Where it belongs in the order, by bisection. */
  #placeOf(client: Client): number {
    let low = 0
    let high = this.#order.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compare(this.#order[middle]!, client) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Names differ, so that no two clients are equal. */
function compare(a: Client, b: Client): number {
  return a.share - b.share || a.count - b.count || (a.name < b.name ? -1 : 1)
}
