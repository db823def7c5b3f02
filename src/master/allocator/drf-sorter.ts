// Dominant Resource Fairness: who is furthest below its fair share comes first.
// (Ghodsi et al., "Dominant Resource Fairness: Fair Allocation of Multiple Resource Types", NSDI 2011.)

/** Scalar quantities by resource name, in thousandths. */
export type Scalars = ReadonlyMap<string, number>

interface Client {
  readonly name: string
  weight: number
  active: boolean
  /** How many allocations it was given; breaks ties, so that equals take turns. */
  count: number
  readonly allocated: Map<string, number>
  share: number
  stale: boolean
}

/**
 * Orders clients by dominant share: the largest, over all scalar resources, of allocated ÷ total, divided by the
 * client's weight. Equal shares go by the number of allocations, then by name, as in Mesos.
 */
export class DrfSorter {
  readonly #clients = new Map<string, Client>()
  readonly #total = new Map<string, number>()
  /** Kept between calls: an allocation moves one client, so that sorting again is nearly free. */
  #order: Client[] = []
  #sorted = true

  add(name: string, weight = 1): void {
    if (this.#clients.has(name)) return
    const client = {
      name,
      weight,
      active: true,
      count: 0,
      allocated: new Map<string, number>(),
      share: 0,
      stale: true,
    }
    this.#clients.set(name, client)
    this.#order.push(client)
    this.#sorted = false
  }

  remove(name: string): void {
    const client = this.#clients.get(name)
    if (!client) return
    this.#clients.delete(name)
    this.#order.splice(this.#order.indexOf(client), 1)
  }

  has(name: string): boolean {
    return this.#clients.has(name)
  }

  /** An inactive client keeps what it has and counts, but is not in the order. */
  setActive(name: string, active: boolean): void {
    const client = this.#clients.get(name)
    if (client) client.active = active
  }

  setWeight(name: string, weight: number): void {
    const client = this.#clients.get(name)
    if (!client) return
    client.weight = weight
    this.#touch(client)
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
    if (!client) return 0
    if (client.stale) this.#refresh(client)
    return client.share
  }

  /** Active clients, the one to be served first in front. */
  *sorted(): IterableIterator<string> {
    this.#sort()
    for (const client of this.#order.slice()) if (client.active) yield client.name
  }

  #change(client: Client, scalars: Scalars, sign: 1 | -1): void {
    for (const [resource, quantity] of scalars) {
      const now = (client.allocated.get(resource) ?? 0) + sign * quantity
      if (now === 0) client.allocated.delete(resource)
      else client.allocated.set(resource, now)
    }
    this.#touch(client)
  }

  #changeTotal(scalars: Scalars, sign: 1 | -1): void {
    for (const [resource, quantity] of scalars) {
      const now = (this.#total.get(resource) ?? 0) + sign * quantity
      if (now === 0) this.#total.delete(resource)
      else this.#total.set(resource, now)
    }
    for (const client of this.#order) client.stale = true
    this.#sorted = false
  }

  #touch(client: Client): void {
    client.stale = true
    this.#sorted = false
  }

  #refresh(client: Client): void {
    let share = 0
    for (const [resource, quantity] of client.allocated) {
      const total = this.#total.get(resource)
      if (total) share = Math.max(share, quantity / total)
    }
    client.share = share / client.weight
    client.stale = false
  }

  /** Insertion sort: linear when, as nearly always, only one or two clients have moved. */
  #sort(): void {
    if (this.#sorted) return
    const order = this.#order
    for (const client of order) if (client.stale) this.#refresh(client)
    for (let i = 1; i < order.length; i++) {
      const client = order[i]!
      let j = i - 1
      while (j >= 0 && before(client, order[j]!)) {
        order[j + 1] = order[j]!
        j--
      }
      order[j + 1] = client
    }
    this.#sorted = true
  }
}

function before(a: Client, b: Client): boolean {
  if (a.share !== b.share) return a.share < b.share
  if (a.count !== b.count) return a.count < b.count
  return a.name < b.name
}
