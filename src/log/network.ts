// The members of an ensemble: the set of replicas, this process' own among them, and how to speak to all of them.

import { addressOf, type Pid } from '../actors/pid.ts'
import type { CastNames, Ref, RequestOf } from '../actors/protocol.ts'
import type { ChosenMembership, LogReplica } from '../messages/log.ts'

/** The id under which every process has its replica. */
export const REPLICA_ID = 'log-replica(1)'

type Entries = typeof LogReplica.entries
export type ReplicaRef = Ref<Entries>

export class Network {
  readonly #connect: (pid: Pid) => ReplicaRef
  readonly #members = new Map<Pid, ReplicaRef>()
  #membership: ChosenMembership | undefined
  #watchers: { readonly size: number; readonly resolve: () => void }[] = []

  /** `connect` makes the references of the actor that owns the network; answers then come as its turns. */
  constructor(connect: (pid: Pid) => ReplicaRef, members: Iterable<Pid> = []) {
    this.#connect = connect
    for (const pid of members) this.add(pid)
  }

  get size(): number {
    return this.#members.size
  }

  get members(): readonly ReplicaRef[] {
    return [...this.#members.values()]
  }

  add(pid: Pid): void {
    if (!this.#members.has(pid)) this.#members.set(pid, this.#connect(pid))
    this.#wake()
  }

  /** The change that made these the members; undefined if there was none. */
  get membership(): ChosenMembership | undefined {
    return this.#membership
  }

  /** How many changes of members these are the outcome of. */
  get version(): number {
    return this.#membership?.version ?? 0
  }

  /** Whether this is the one that was added last, and its replica, if it names one, the one that it had then. */
  hasJoined(member: Pid, replica: string | undefined): boolean {
    const joined = this.#membership?.joined
    return joined !== undefined && joined.member === addressOf(member) && joined.replica === replica
  }

  /** Takes these for the members. What has been asked of one that is none any more is still answered. */
  replace(pids: readonly Pid[], membership?: ChosenMembership): void {
    this.#membership = membership
    for (const pid of this.#members.keys()) if (!pids.includes(pid)) this.#members.delete(pid)
    for (const pid of pids) this.add(pid)
  }

  #wake(): void {
    const reached = this.#watchers.filter(watcher => watcher.size <= this.size)
    this.#watchers = this.#watchers.filter(watcher => watcher.size > this.size)
    for (const watcher of reached) watcher.resolve()
  }

  /** Resolves when there are at least `size` members. */
  watch(size: number): Promise<void> {
    if (this.size >= size) return Promise.resolve()
    return new Promise(resolve => this.#watchers.push({ size, resolve }))
  }

  /** Tells all members, or all but one. */
  broadcast<K extends CastNames<Entries>>(
    name: K,
    message: RequestOf<Entries[K]>,
    except?: Pid,
  ): void {
    for (const [pid, member] of this.#members) if (pid !== except) member.tell(name, message)
  }
}
