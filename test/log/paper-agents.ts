// The agents of "Paxos Made Simple" on a table: real replicas with real storage in a simulated world, and proposers that do
// one step at a time, as a test wants it.

import { Actor } from '../../src/actors/actor.ts'
import { type Address, type Pid, pid } from '../../src/actors/pid.ts'
import type { Ref } from '../../src/actors/protocol.ts'
import { silentLogger } from '../../src/base/log.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { Acceptor } from '../../src/log/acceptor.ts'
import { DEFAULT_TIMING, type Host } from '../../src/log/consensus.ts'
import { Coordinator } from '../../src/log/coordinator.ts'
import { LocalReplica } from '../../src/log/local.ts'
import { Network } from '../../src/log/network.ts'
import { collectPromises, collectWrites, fillStep } from '../../src/log/proposer.ts'
import { majorityOf } from '../../src/log/quorum.ts'
import { Replica } from '../../src/log/replica.ts'
import { Members, REPLICA_ID } from '../../src/log/log.ts'
import { appendOf } from '../../src/log/storage.ts'
import {
  LogReplica,
  type Position,
  type PromiseResponse,
  type Proposal,
  type Value,
  type WriteResponse,
} from '../../src/messages/log.ts'
import { MemoryDisk, type UnsyncedFate } from '../../src/sim/memory-storage.ts'
import { World } from '../../src/sim/world.ts'
import { nameOf } from './sim/truth.ts'

/** The proposer's part of a server. */
class Proposer extends Actor {
  readonly serves = []

  replica(to: Pid): Ref<typeof LogReplica.entries> {
    return this.ref(LogReplica, to)
  }

  host(own: Pid, all: readonly Pid[], quorum: number): Host {
    return {
      network: new Network(to => this.ref(LogReplica, to), all),
      quorum,
      ensemble: all.length,
      local: this.ref(LocalReplica, own),
      random: new SeededRandom(1),
      log: silentLogger,
      timing: DEFAULT_TIMING,
      sleep: ms => new Promise(resolve => this.delay(ms, resolve)),
      soon: run => this.dispatch(run),
    }
  }
}

interface Server {
  readonly address: Address
  readonly replica: Pid
  readonly disk: MemoryDisk
  acceptor: Acceptor
  proposer: Proposer
}

export const value = (name: string): Value =>
  name === 'NOP' ? { type: 'NOP' } : appendOf(new TextEncoder().encode(name))

export class Agents {
  readonly world = new World({ seed: 1, log: silentLogger })
  readonly servers: readonly Server[]
  readonly quorum: number

  private constructor(count: number) {
    this.quorum = majorityOf(count)
    this.servers = Array.from({ length: count }, (_, i) => {
      const address = `10.0.0.${i + 1}:5050`
      const disk = new MemoryDisk()
      disk.sync([{ type: 'metadata', status: 'VOTING', promised: 0 }])
      return {
        address,
        replica: pid(REPLICA_ID, address),
        disk,
        acceptor: new Acceptor(),
        proposer: new Proposer(),
      }
    })
  }

  /** Servers that vote, with an empty log. */
  static async of(count: number): Promise<Agents> {
    const agents = new Agents(count)
    for (const i of agents.servers.keys()) await agents.start(i)
    return agents
  }

  async start(i: number): Promise<void> {
    const server = this.servers[i]!
    const runtime = this.world.start(server.address)
    server.acceptor = new Acceptor()
    server.proposer = new Proposer()
    const storage = server.disk.storage(runtime.clock)
    await storage.open(
      record => server.acceptor.apply(record),
      () => server.acceptor.snapshot(),
    )
    const owner = runtime.spawn(server.proposer, 'proposer')
    runtime.spawn(
      new Replica({
        acceptor: server.acceptor,
        storage,
        owner,
        members: Members.fixed(this.servers.map(({ address }) => address)),
      }),
      REPLICA_ID,
    )
    // The others hear that the process before it has gone.
    await this.world.advance(5)
  }

  crash(i: number, fate: UnsyncedFate = 'lost'): void {
    const server = this.servers[i]!
    this.world.crash(server.address)
    server.disk.crash(fate)
  }

  async restart(i: number, fate?: UnsyncedFate): Promise<void> {
    this.crash(i, fate)
    await this.start(i)
  }

  async run<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let settled = false
    const done = (): void => {
      settled = true
    }
    promise.then(done, done)
    await this.world.until(() => settled, 'it is over', limitMs)
    return promise
  }

  // A proposer's steps, by server `by`, to the servers `to`

  /** Phase 1 for one instance: what each has answered. */
  prepare(
    by: number,
    proposal: Proposal,
    position: Position | undefined,
    to: readonly number[],
  ): Promise<PromiseResponse[]> {
    const request = { proposal, ...(position !== undefined && { position }) }
    return this.run(Promise.all(to.map(i => this.#ref(by, i).ask('promise', request))))
  }

  /** Phase 2 for one instance. */
  accept(
    by: number,
    proposal: Proposal,
    position: Position,
    name: string,
    to: readonly number[],
  ): Promise<WriteResponse[]> {
    const request = { proposal, position, values: [value(name)] }
    return this.run(Promise.all(to.map(i => this.#ref(by, i).ask('write', request))))
  }

  #ref(by: number, to: number): Ref<typeof LogReplica.entries> {
    return this.servers[by]!.proposer.replica(this.servers[to]!.replica)
  }

  /** What a proposer may write after these answers: a name, or that it may not. */
  choice(answers: readonly PromiseResponse[], proposal: Proposal): string {
    const collector = collectPromises(this.quorum, this.servers.length)
    for (const [i, answer] of answers.entries()) {
      const outcome = collector.add(`${i}`, answer)
      if (!outcome) continue
      const step = fillStep(outcome, proposal)
      if (step.type === 'retry') return `again above ${step.above}`
      return nameOf(step.type === 'write' ? step.value : step.action.performed.value)
    }
    return 'no majority'
  }

  /** Whether these answers to an accept request make its value chosen. */
  isChosen(answers: readonly WriteResponse[]): boolean {
    const collector = collectWrites(this.quorum, this.servers.length)
    return answers.some((answer, i) => collector.add(`${i}`, answer)?.type === 'accept')
  }

  // A leader

  /** What the server's whole proposer needs: it asks all, and itself what to do. */
  host(i: number): Host {
    const { proposer, replica } = this.servers[i]!
    return proposer.host(
      replica,
      this.servers.map(server => server.replica),
      this.quorum,
    )
  }

  leader(i: number): Coordinator {
    return new Coordinator(this.host(i))
  }

  append(leader: Coordinator, name: string): Promise<Position | undefined> {
    return leader.append([new TextEncoder().encode(name)])
  }

  // Learners

  isLearned(i: number, position: Position): boolean {
    return this.servers[i]!.acceptor.isLearned(position)
  }

  /** What a server knows to be chosen at a position. */
  async learned(i: number, position: Position): Promise<string | undefined> {
    const { actions } = await this.run(this.#ref(i, i).ask('fetch', { from: position }))
    const action = actions.find(each => each.position === position)
    return action && nameOf(action.performed.value)
  }

  /** Counts what servers say to each other of one kind, from now on. */
  count(kind: string): { readonly count: number } {
    return this.world.network.keep(({ message }) => message === `log.replica/${kind}`)
  }

  /** Loses what servers say to each other of one kind, until stopped. */
  lose(kind: string, to?: number): { stop(): void } {
    const address = to === undefined ? undefined : this.servers[to]!.address
    return this.world.network.drop(
      passing =>
        passing.message === `log.replica/${kind}` &&
        (address === undefined || passing.to === address),
    )
  }
}
