import t from 'tap'
import { SeededRandom } from '../../src/base/random.ts'
import { isTerminal, type TaskState } from '../../src/messages/status.ts'
import { MemoryDisk } from '../../src/sim/memory-storage.ts'
import { Cluster, type FakeAgent, type FakeScheduler, MASTER, task } from './cluster.ts'

const AGENTS = 4
const SCHEDULERS = 5
const ROLES = ['*', 'a', 'b']

/** A cluster in which everything that can happen does. */
class Storm {
  readonly c: Cluster
  readonly random: SeededRandom
  readonly agents: FakeAgent[] = []
  readonly schedulers: FakeScheduler[] = []
  /** Those whose place was taken included. */
  readonly everyone: FakeScheduler[] = []
  over = false
  ran = 0
  #tasks = 0

  constructor(c: Cluster, seed: number) {
    this.c = c
    this.random = new SeededRandom(seed)
    for (let i = 0; i < AGENTS; i++)
      this.#startAgent(this.c.agent({ resources: 'cpus:4;mem:1024;ports:[1-9]' }))
    for (let i = 0; i < SCHEDULERS; i++) this.#startScheduler()
  }

  chance(p: number): boolean {
    return this.random.next() < p
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[this.random.integer(Math.max(1, list.length))]
  }

  later(maxMs: number, run: () => unknown): void {
    this.c.world.clock.delay(this.random.next() * maxMs, () => {
      if (!this.over) run()
    })
  }

  step(): void {
    const at = this.random.integer(this.schedulers.length)
    const agent = this.random.integer(this.agents.length)
    const roll = this.random.next()
    if (roll < 0.05) this.#restartAgent(agent, this.chance(0.6))
    else if (roll < 0.13) this.#cut(agent)
    else if (roll < 0.15) this.agents[agent]!.answersPings = !this.agents[agent]!.answersPings
    else if (roll < 0.2) register(this.agents[agent]!)
    else if (roll < 0.25) this.#replaceScheduler(at)
    else if (roll < 0.35) this.schedulers[at]!.subscribe()
    else if (this.schedulers[at]!.id) this.#call(this.schedulers[at]!)
  }

  #call(scheduler: FakeScheduler): void {
    const roll = this.random.next()
    if (roll < 0.04) scheduler.say({ type: 'TEARDOWN' })
    else if (roll < 0.24) scheduler.say({ type: this.chance(0.8) ? 'REVIVE' : 'SUPPRESS' })
    else if (roll < 0.4)
      scheduler.reconcile(...(this.chance(0.5) ? [] : [[this.#someTask()] as const]))
    else if (roll < 0.6) scheduler.kill(this.#someTask())
    else if (roll < 0.7) scheduler.acknowledges = !scheduler.acknowledges
  }

  /** All that was cut is whole, everybody comes back, all frameworks end. */
  async calm(): Promise<void> {
    this.over = true
    this.c.world.network.heal()
    for (const agent of this.agents) {
      agent.answersPings = true
      agent.onTask = () => {}
    }
    await this.c.world.advance(60_000)
    for (const agent of this.agents) register(agent)
    await this.c.world.advance(5_000)
    for (const scheduler of this.schedulers) if (scheduler.id) scheduler.say({ type: 'TEARDOWN' })
    await this.c.world.advance(5_000)
    for (const scheduler of this.everyone) this.c.world.crash(scheduler.address)
    // Those whose last scheduler died, or whom only agents know, end by time.
    await this.c.world.advance(700_000)
  }

  #someTask(): string {
    return `t${this.random.integer(Math.max(1, this.#tasks))}`
  }

  #startAgent(agent: FakeAgent, at = this.agents.length): void {
    this.agents[at] = agent
    const live = () => !this.over && this.agents[at] === agent
    agent.onLost = () => this.later(3_000, () => live() && register(agent))
    agent.onTask = ({ task_id }) => {
      const id = task_id.value
      this.ran++
      if (this.chance(0.1)) return
      this.later(500, () => live() && this.#advance(agent, id, 'TASK_RUNNING'))
      this.later(20_000, () => live() && this.#finish(agent, id))
    }
    agent.onKill = id => this.later(500, () => live() && this.#finish(agent, id))
    const repeat = (): void => {
      if (this.agents[at] !== agent) return
      for (const [id, { state }] of agent.tasks) if (isTerminal(state)) agent.update(id, state)
      this.c.world.clock.delay(10_000, repeat)
    }
    repeat()
    register(agent)
  }

  #finish(agent: FakeAgent, id: string): void {
    this.#advance(agent, id, this.pick(['TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED'] as const)!)
  }

  #advance(agent: FakeAgent, id: string, state: TaskState): void {
    const known = agent.tasks.get(id)
    if (known && !isTerminal(known.state)) agent.update(id, state)
  }

  #restartAgent(at: number, remembers: boolean): void {
    const agent = this.agents[at]!
    const address = agent.self.slice(agent.self.indexOf('@') + 1)
    this.c.world.crash(address)
    const next = this.c.agent({ ...agent.options, address })
    if (remembers && agent.id) {
      next.id = agent.id
      for (const [id, known] of agent.tasks) if (this.chance(0.9)) next.tasks.set(id, known)
      for (const [id, known] of agent.frameworks) next.frameworks.set(id, known)
    }
    this.#startAgent(next, at)
  }

  #startScheduler(at = this.schedulers.length, id?: string): void {
    const role = this.pick(ROLES)!
    const scheduler = this.c.scheduler({
      role,
      ...(id !== undefined && { id: { value: id } }),
      failover_timeout: this.pick([0, 5, 60])!,
      checkpoint: this.chance(0.5),
      capabilities: this.chance(0.5) ? [{ type: 'PARTITION_AWARE' }] : [],
    })
    this.schedulers[at] = scheduler
    this.everyone.push(scheduler)
    scheduler.onLost = () => this.later(2_000, () => scheduler.subscribe())
    scheduler.onEvent = event => {
      if (event.type === 'OFFERS') this.later(2_000, () => this.#answer(scheduler))
      if (event.type === 'ERROR') this.later(2_000, () => this.#startScheduler(at))
    }
    scheduler.subscribe()
  }

  #replaceScheduler(at: number): void {
    const scheduler = this.schedulers[at]!
    if (this.chance(0.7)) this.c.world.crash(scheduler.address)
    this.#startScheduler(at, this.chance(0.5) ? scheduler.id : undefined)
  }

  #answer(scheduler: FakeScheduler): void {
    const offers = scheduler.unused
    if (offers.length === 0) return
    const seconds = this.pick([0, 1, 5, undefined])
    const some = this.chance(0.2) ? offers : [this.pick(offers)!]
    if (this.chance(0.3)) return scheduler.decline(some, seconds)
    const launch = [...Array(this.random.integer(4)).keys()].map(() => {
      const id = this.chance(0.1) ? this.#someTask() : `t${this.#tasks++}`
      return task(id, some[0]!)
    })
    scheduler.accept(this.chance(0.05) ? [...some, ...some] : some, launch, seconds)
  }

  #cut(at: number): void {
    const agent = this.agents[at]!
    const address = agent.self.slice(agent.self.indexOf('@') + 1)
    this.c.world.network.partition([MASTER], [address])
    this.later(120_000, () => this.c.world.network.heal())
  }
}

function register(agent: FakeAgent): void {
  if (agent.id) agent.reregister()
  else agent.register()
}

/** What must hold at every moment, as `/state` shows it. */
function problems(state: Awaited<ReturnType<Cluster['json']>>): string[] {
  const found: string[] = []
  for (const slave of state.slaves) {
    for (const name of ['cpus', 'mem']) {
      const { [name]: total } = slave.resources
      const taken = slave.used_resources[name] + slave.offered_resources[name]
      if (taken > total + 1e-6) found.push(`${slave.id}: ${taken} of ${total} ${name} taken`)
    }
  }
  const agents = new Set(state.slaves.map((slave: { id: string }) => slave.id))
  for (const framework of state.frameworks) {
    const seen = new Set<string>()
    for (const { id, slave_id, state: at } of framework.tasks) {
      if (seen.has(id)) found.push(`${framework.id}: ${id} twice`)
      if (!agents.has(slave_id))
        found.push(`${framework.id}: ${id} (${at}) on ${slave_id}, which is not there`)
      seen.add(id)
    }
    for (const { id } of framework.unreachable_tasks) {
      if (seen.has(id)) found.push(`${framework.id}: ${id} is unreachable, and is not`)
    }
    for (const offer of framework.offers) {
      if (!agents.has(offer.slave_id))
        found.push(`offer ${offer.id} of ${offer.slave_id}, which is not there`)
    }
  }
  return found
}

/** More of them: SEEDS=7,8,9 */
const seeds = (process.env['SEEDS'] ?? '1,2,3,4,5,6').split(',').map(Number)

for (const seed of seeds) {
  t.test(`nothing is lost or counted twice, whatever happens (seed ${seed})`, async t => {
    const c = await Cluster.start({
      seed,
      disk: new MemoryDisk(),
      flags: { offer_timeout: '15secs' },
    })
    const storm = new Storm(c, seed)
    for (let second = 0; second < 240; second++) {
      for (let i = 0; i < 3; i++) storm.step()
      await c.world.advance(1_000)
      if (second % 90 === 60 && seed % 2 === 0) await c.failover()
      const found = problems(await c.json('/state'))
      if (found.length > 0) throw new Error(`second ${second}: ${found.join('; ')}`)
    }
    await storm.calm()
    t.same(c.world.fatalities, [])
    const state = await c.json('/state')
    t.same(problems(state), [])
    t.same(
      state.frameworks.map((f: { id: string }) => f.id),
      [],
    )
    t.equal(state.slaves.length, AGENTS)
    const offered = await c.offeredToNewcomer()
    t.match(offered, { cpus: 4 * AGENTS, mem: 1024 * AGENTS })
    t.ok(storm.ran > 100, `${storm.ran} tasks ran`)
  })
}
