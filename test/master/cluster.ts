// A real master in a simulated world, with agents and schedulers that do what a test tells them.

import { Actor } from '../../src/actors/actor.ts'
import type { HttpRequest, HttpResponse } from '../../src/actors/http.ts'
import { type Address, type Pid, pid } from '../../src/actors/pid.ts'
import { type CastNames, type RequestOf, serve } from '../../src/actors/protocol.ts'
import type { Runtime } from '../../src/actors/runtime.ts'
import type { RuntimeOptions } from '../../src/actors/runtime-options.ts'
import { parseFlags } from '../../src/base/flags.ts'
import { type CollectingLogger, collectingLogger } from '../../src/base/log.ts'
import { Log } from '../../src/log/log.ts'
import { masterConfig, masterFlags } from '../../src/master/flags.ts'
import { startMaster } from '../../src/master/start.ts'
import { AgentMaster, MasterAgent } from '../../src/messages/agent-registration.ts'
import type { AgentInfo } from '../../src/messages/agent.ts'
import type { FrameworkInfo } from '../../src/messages/framework.ts'
import type { Offer } from '../../src/messages/offer.ts'
import {
  type Call,
  type Event,
  MasterScheduler,
  SchedulerEvents,
} from '../../src/messages/scheduler-api.ts'
import { isTerminal, type TaskState, type TaskStatus } from '../../src/messages/status.ts'
import type { ExecutorInfo, Task, TaskInfo } from '../../src/messages/task.ts'
import { parseResources } from '../../src/resources/parse.ts'
import { MemoryDisk } from '../../src/sim/memory-storage.ts'
import { World } from '../../src/sim/world.ts'

export const MASTER: Address = '10.0.0.1:5050'
const MASTER_PID = pid('master', MASTER)

type FromMaster = (typeof AgentMaster)['entries']
type ToMaster = (typeof MasterAgent)['entries']

/** Flags as on a command line; what is not given has its default. */
export function configOf(flags: Readonly<Record<string, string>> = {}) {
  const argv = ['--registry=in_memory', ...Object.entries(flags).map(([k, v]) => `--${k}=${v}`)]
  const parsed = parseFlags(masterFlags, { argv, env: {}, readFile: () => '' })
  if (!parsed.ok) throw new Error(parsed.errors.join(' '))
  return masterConfig(parsed.values)
}

export interface ClusterOptions {
  readonly flags?: Readonly<Record<string, string>>
  readonly seed?: number
  /** Where the registry is kept; without one it is forgotten. */
  readonly disk?: MemoryDisk
  /** How long one write takes. */
  readonly syncMs?: number
  /** Whose events in the master's process are written down. */
  readonly record?: RuntimeOptions['record']
}

export class Cluster {
  readonly world: World
  readonly log: CollectingLogger
  readonly options: ClusterOptions
  master!: Runtime
  #count = 0

  private constructor(options: ClusterOptions) {
    this.options = options
    this.log = collectingLogger('info')
    this.world = new World({ log: this.log, seed: options.seed ?? 1 })
  }

  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const cluster = new Cluster(options)
    await cluster.startMaster()
    await cluster.leading()
    return cluster
  }

  /** Does not wait until it leads. */
  async startMaster(): Promise<void> {
    const { disk, flags, syncMs = 1, record } = this.options
    const runtime = this.world.start(MASTER, record && { record })
    this.master = runtime
    const log =
      disk && (await Log.open({ storage: disk.storage(runtime.clock, syncMs), quorum: 1 }))
    startMaster(runtime, { config: configOf(flags), hostname: 'master.example', log })
  }

  async leading(): Promise<void> {
    let status = 0
    await this.world.until(() => {
      void this.master.http(request('/flags')).then(response => (status = response.status))
      return status === 200
    }, 'the master leads')
  }

  /** The process dies; what was being written is lost. */
  crashMaster(): void {
    this.world.crash(MASTER)
    this.options.disk?.crash()
  }

  async failover(): Promise<void> {
    this.crashMaster()
    await this.startMaster()
    await this.leading()
  }

  /** An agent's process, at an address of its own. It says nothing until told to. */
  agent(options: Partial<FakeAgentOptions> = {}): FakeAgent {
    const n = ++this.#count
    const address = options.address ?? `10.0.1.${n}:5051`
    const agent = new FakeAgent({ hostname: `host-${n}`, resources: 'cpus:4;mem:4096', ...options })
    agent.runtime = this.world.start(address)
    agent.runtime.spawn(agent, 'slave(1)')
    return agent
  }

  /** An agent that has registered. */
  async registered(options: Partial<FakeAgentOptions> = {}): Promise<FakeAgent> {
    const agent = this.agent(options)
    await this.register(agent)
    return agent
  }

  async register(agent: FakeAgent): Promise<void> {
    agent.register()
    await this.world.until(() => agent.id !== undefined, 'the agent is registered')
  }

  async reregister(agent: FakeAgent): Promise<void> {
    const before = agent.of('reregistered').length
    agent.reregister()
    await this.world.until(() => agent.of('reregistered').length > before, 'the agent is back')
  }

  /** A scheduler's process, which does not listen. */
  scheduler(info: Partial<FrameworkInfo> = {}): FakeScheduler {
    const scheduler = new FakeScheduler({ name: 'test', user: 'tester', ...info })
    scheduler.address = `10.0.2.${++this.#count}:6000`
    scheduler.runtime = this.world.start(scheduler.address)
    scheduler.runtime.spawn(scheduler, 'scheduler(1)')
    return scheduler
  }

  async subscribed(
    info: Partial<FrameworkInfo> = {},
    suppressed: readonly string[] = [],
  ): Promise<FakeScheduler> {
    const scheduler = this.scheduler(info)
    scheduler.subscribe(suppressed)
    await this.world.until(() => scheduler.id !== undefined, 'the scheduler is subscribed')
    return scheduler
  }

  /** Waits for an offer of what was refused before. */
  revived(scheduler: FakeScheduler): Promise<Offer> {
    scheduler.say({ type: 'REVIVE' })
    return this.offer(scheduler)
  }

  /** Waits for an offer that was not taken before. */
  async offer(scheduler: FakeScheduler): Promise<Offer> {
    await this.world.until(() => scheduler.unused.length > 0, 'an offer')
    return scheduler.unused.shift()!
  }

  /** Waits for the next status of a task in this state. */
  async status(scheduler: FakeScheduler, task: string, state: TaskState): Promise<TaskStatus> {
    const found = () => scheduler.statuses.find(s => s.task_id.value === task && s.state === state)
    await this.world.until(() => found() !== undefined, `${task} is ${state}`)
    return found()!
  }

  /** Launches a task that runs, and waits for that. The rest of the offer is the others'. */
  async running(
    scheduler: FakeScheduler,
    agent: FakeAgent,
    id: string,
    more: Partial<TaskInfo> = {},
  ): Promise<void> {
    if (scheduler.unused.length === 0) scheduler.say({ type: 'REVIVE' })
    const offer = await this.offer(scheduler)
    scheduler.accept([offer], [task(id, offer, more)], 1000)
    await this.world.until(() => agent.tasks.has(id), `${id} is with the agent`)
    agent.update(id, 'TASK_RUNNING')
    await this.status(scheduler, id, 'TASK_RUNNING')
    await this.settle()
  }

  /** Lets everything that is on its way arrive. */
  settle(): Promise<void> {
    return this.world.advance(20)
  }

  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<HttpResponse> {
    return this.request(request(path, headers))
  }

  async request(of: HttpRequest): Promise<HttpResponse> {
    let response: HttpResponse | undefined
    void this.master.http(of).then(got => (response = got))
    await this.world.until(() => response !== undefined, `an answer to ${of.path}`)
    return response!
  }

  // oxlint-disable-next-line typescript/no-explicit-any -- a test reads what it expects
  async json(path: string): Promise<any> {
    const { status, body } = await this.get(path)
    if (status !== 200) throw new Error(`${path}: ${status} ${String(body)}`)
    return JSON.parse(String(body))
  }

  /** What is offered, in the end, to a framework that comes when all others have gone: nothing may be missing. */
  async offeredToNewcomer(): Promise<Readonly<Record<string, number>>> {
    const newcomer = await this.subscribed({ name: 'newcomer', roles: ['newcomer'], ...MULTI_ROLE })
    await this.world.advance(10_000)
    const sums: Record<string, number> = {}
    for (const offer of newcomer.unused) {
      for (const { name, scalar } of offer.resources ?? []) {
        sums[name] = (sums[name] ?? 0) + (scalar?.value ?? 0)
      }
    }
    newcomer.say({ type: 'TEARDOWN' })
    await this.settle()
    return sums
  }
}

export const MULTI_ROLE = {
  capabilities: [{ type: 'MULTI_ROLE' }, { type: 'RESERVATION_REFINEMENT' }],
}
export const PARTITION_AWARE = { capabilities: [{ type: 'PARTITION_AWARE' }] }

export function request(
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = 'GET',
): HttpRequest {
  const [route = '', query = ''] = path.split('?')
  return {
    method,
    path: route,
    query: new URLSearchParams(query),
    headers,
    body: new Uint8Array(),
  }
}

/** A command task for an offer, with one cpu. */
export function task(id: string, offer: Offer, more: Partial<TaskInfo> = {}): TaskInfo {
  return {
    name: id,
    task_id: { value: id },
    agent_id: offer.agent_id,
    command: { value: 'true' },
    resources: [...parseResources('cpus:1;mem:32').list()],
    ...more,
  }
}

export function executor(id: string, resources: string): ExecutorInfo {
  return {
    executor_id: { value: id },
    command: { value: './executor' },
    resources: [...parseResources(resources).list()],
  }
}

export interface FakeAgentOptions {
  readonly hostname: string
  readonly resources: string
  readonly address?: Address
  readonly attributes?: AgentInfo['attributes']
}

type Heard<K extends keyof FromMaster> = {
  readonly name: K
  readonly body: RequestOf<FromMaster[K]>
}

/** Keeps its tasks as an agent does, but says nothing about them unless told to. */
export class FakeAgent extends Actor {
  readonly options: FakeAgentOptions
  runtime!: Runtime
  id: string | undefined
  /** Whether the parts of its registrations were taken. */
  readonly taken: boolean[] = []
  /** The last answer of the master. */
  registration: string | undefined
  resources: string
  answersPings = true
  /** Tasks it was told to run and that have not ended, or whose end is not acknowledged. */
  readonly tasks = new Map<string, Task>()
  readonly frameworks = new Map<string, FrameworkInfo>()
  readonly executors: ExecutorInfo[] = []
  readonly heard: { readonly name: string; readonly body: unknown }[] = []
  onTask: (info: TaskInfo) => void = () => {}
  onKill: (taskId: string) => void = () => {}
  /** The master's connection broke, or it says that it does not know this agent. */
  onLost: () => void = () => {}
  #uuids = 0

  constructor(options: FakeAgentOptions) {
    super()
    this.options = options
    this.resources = options.resources
  }

  readonly serves = [
    serve(AgentMaster, {
      registered: body =>
        this.#hear('registered', body, () => {
          this.id = body.agent_id.value
          this.registration = body.registration
        }),
      reregistered: body =>
        this.#hear('reregistered', body, () => {
          this.registration = body.registration
        }),
      ping: body =>
        this.#hear('ping', body, () => {
          if (this.answersPings && this.id) this.say('pong', { agent_id: { value: this.id } })
          if (body.registration !== undefined) {
            this.registration = body.registration
            this.reregister()
          } else if (!body.connected) this.onLost()
        }),
      run_task: body => this.#hear('run_task', body, () => this.#run(body.framework, body.task)),
      kill_task: body => this.#hear('kill_task', body, () => this.onKill(body.task_id.value)),
      status_update_acknowledgement: body =>
        this.#hear('status_update_acknowledgement', body, () => {
          const known = this.tasks.get(body.task_id.value)
          if (known && known.status_update_uuid === body.uuid && isTerminal(known.state)) {
            this.tasks.delete(body.task_id.value)
          }
        }),
      shutdown_framework: body =>
        this.#hear('shutdown_framework', body, () => {
          this.frameworks.delete(body.framework_id.value)
          for (const [id, { framework_id }] of this.tasks) {
            if (framework_id.value === body.framework_id.value) this.tasks.delete(id)
          }
        }),
      shutdown_executor: body => this.#hear('shutdown_executor', body),
      framework_message: body => this.#hear('framework_message', body),
      shutdown: body => this.#hear('shutdown', body),
      drain: body => this.#hear('drain', body),
      run_task_group: body =>
        this.#hear('run_task_group', body, () => {
          for (const task of body.task_group.tasks ?? []) {
            this.#run(body.framework, { ...task, executor: body.executor })
          }
        }),
      update_framework: body =>
        this.#hear('update_framework', body, () => {
          this.frameworks.set(body.framework.id!.value, body.framework)
        }),
    }),
  ]

  /** Messages of one name, so far. */
  of<K extends keyof FromMaster>(name: K): Heard<K>['body'][] {
    return this.heard.filter((h): h is Heard<K> => h.name === name).map(h => h.body)
  }

  get info(): AgentInfo {
    const { hostname, attributes } = this.options
    return {
      hostname,
      port: 5051,
      resources: [...parseResources(this.resources).list()],
      ...(attributes && { attributes }),
      ...(this.id && { id: { value: this.id } }),
    }
  }

  say<K extends CastNames<ToMaster>>(name: K, body: RequestOf<ToMaster[K]>): void {
    this.ref(MasterAgent, MASTER_PID).tell(name, body)
  }

  register(): void {
    this.link(MASTER_PID)
    this.say('register_agent', this.#identity())
  }

  reregister(): void {
    this.link(MASTER_PID)
    this.say('reregister_agent', {
      ...this.#identity(),
      ...(this.registration !== undefined && { registration: this.registration }),
      tasks: [...this.tasks.values()],
      executor_infos: this.executors,
      frameworks: [...this.frameworks.values()],
    })
  }

  /** The same in several messages, one for each task, of which some may be left out. */
  async reregisterInParts(keep: (part: number) => boolean = () => true): Promise<void> {
    this.link(MASTER_PID)
    const master = this.ref(MasterAgent, MASTER_PID)
    const tasks = [...this.tasks.values()]
    for (const [index, task] of tasks.entries()) {
      if (!keep(index)) continue
      const part = { index, tasks: [task], executor_infos: [], frameworks: [] }
      this.taken.push((await master.ask('reregister_part', part)).taken)
    }
    this.say('reregister_agent', {
      ...this.#identity(),
      ...(this.registration !== undefined && { registration: this.registration }),
      parts: tasks.length,
      tasks: [],
      executor_infos: this.executors,
      frameworks: [...this.frameworks.values()],
    })
  }

  /** Sends an update of a task; returns its uuid. */
  update(
    id: string,
    state: TaskState,
    more: Partial<TaskStatus> = {},
    frameworkId?: string,
  ): string {
    const known = this.tasks.get(id)
    const uuid = Buffer.alloc(16, ++this.#uuids).toString('base64')
    const status: TaskStatus = {
      task_id: { value: id },
      state,
      source: 'SOURCE_EXECUTOR',
      agent_id: { value: this.id! },
      timestamp: this.clock.now() / 1000,
      uuid,
      ...more,
    }
    if (known) {
      known.state = state
      known.status_update_state = state
      known.status_update_uuid = uuid
      known.statuses = [...(known.statuses ?? []), status]
    }
    this.say('status_update', {
      update: {
        framework_id: { value: frameworkId ?? known!.framework_id.value },
        agent_id: { value: this.id! },
        status,
        timestamp: status.timestamp!,
        uuid,
        latest_state: state,
      },
    })
    return uuid
  }

  protected override exited(): void {
    this.onLost()
  }

  #identity() {
    return {
      agent: this.info,
      version: '0.1.0',
      agent_capabilities: [{ type: 'MULTI_ROLE' }, { type: 'AGENT_DRAINING' }],
      checkpointed_resources: [],
    }
  }

  #hear<K extends keyof FromMaster>(
    name: K,
    body: RequestOf<FromMaster[K]>,
    then: () => void = () => {},
  ): void {
    this.heard.push({ name, body })
    then()
  }

  #run(framework: FrameworkInfo, info: TaskInfo): void {
    const frameworkId = framework.id!.value
    this.frameworks.set(frameworkId, framework)
    const { executor: own } = info
    if (own && !this.executors.some(e => e.executor_id.value === own.executor_id.value)) {
      this.executors.push({ ...own, framework_id: { value: frameworkId } })
    }
    this.tasks.set(info.task_id.value, {
      name: info.name,
      task_id: info.task_id,
      framework_id: { value: frameworkId },
      agent_id: info.agent_id,
      state: 'TASK_STAGING',
      resources: info.resources,
      statuses: [],
      ...(own && { executor_id: own.executor_id }),
    })
    this.onTask(info)
  }
}

type EventOf<T extends Event['type']> = Extract<Event, { type: T }>
type CallBody = Call extends infer C ? (C extends unknown ? Omit<C, 'framework_id'> : never) : never

/** Records what it hears; keeps offers that were neither rescinded nor taken in `unused`. */
export class FakeScheduler extends Actor {
  info: FrameworkInfo
  address!: Address
  runtime!: Runtime
  id: string | undefined
  readonly events: Event[] = []
  readonly offers: Offer[] = []
  unused: Offer[] = []
  /** Acknowledges updates as they come. */
  acknowledges = true
  onEvent: (event: Event) => void = () => {}
  onLost: () => void = () => {}

  constructor(info: FrameworkInfo) {
    super()
    this.info = info
  }

  readonly serves = [serve(SchedulerEvents, { event: event => this.#hear(event) })]

  of<T extends Event['type']>(type: T): EventOf<T>[] {
    return this.events.filter((event): event is EventOf<T> => event.type === type)
  }

  get statuses(): TaskStatus[] {
    return this.of('UPDATE').map(event => event.update.status)
  }

  /** States of one task, in the order in which they were told. */
  states(id: string): TaskState[] {
    return this.statuses.filter(s => s.task_id.value === id).map(s => s.state)
  }

  subscribe(suppressed: readonly string[] = []): void {
    this.link(MASTER_PID)
    this.tell({
      type: 'SUBSCRIBE',
      ...(this.info.id && { framework_id: this.info.id }),
      subscribe: { framework_info: this.info, suppressed_roles: [...suppressed] },
    })
  }

  say(call: CallBody): void {
    this.tell({ ...call, framework_id: { value: this.id! } })
  }

  tell(call: Call): void {
    this.ref(MasterScheduler, MASTER_PID).tell('call', call)
  }

  accept(offers: readonly Offer[], tasks: readonly TaskInfo[], refuseSeconds?: number): void {
    this.#forget(offers)
    this.say({
      type: 'ACCEPT',
      accept: {
        offer_ids: offers.map(offer => offer.id),
        operations: [{ type: 'LAUNCH', launch: { task_infos: [...tasks] } }],
        ...(refuseSeconds !== undefined && { filters: { refuse_seconds: refuseSeconds } }),
      },
    })
  }

  decline(offers: readonly Offer[], refuseSeconds?: number): void {
    this.#forget(offers)
    this.say({
      type: 'DECLINE',
      decline: {
        offer_ids: offers.map(offer => offer.id),
        ...(refuseSeconds !== undefined && { filters: { refuse_seconds: refuseSeconds } }),
      },
    })
  }

  kill(id: string, agentId?: string): void {
    this.say({
      type: 'KILL',
      kill: { task_id: { value: id }, ...(agentId && { agent_id: { value: agentId } }) },
    })
  }

  reconcile(...tasks: readonly (readonly [string, (string | undefined)?])[]): void {
    this.say({
      type: 'RECONCILE',
      reconcile: {
        tasks: tasks.map(([id, agentId]) => ({
          task_id: { value: id },
          ...(agentId && { agent_id: { value: agentId } }),
        })),
      },
    })
  }

  acknowledge({ agent_id, task_id, uuid }: TaskStatus): void {
    this.say({ type: 'ACKNOWLEDGE', acknowledge: { agent_id: agent_id!, task_id, uuid: uuid! } })
  }

  protected override exited(_: Pid): void {
    this.onLost()
  }

  #forget(offers: readonly Offer[]): void {
    this.unused = this.unused.filter(offer => !offers.includes(offer))
  }

  #hear(event: Event): void {
    this.events.push(event)
    if (event.type === 'SUBSCRIBED') {
      this.id = event.subscribed.framework_id.value
      this.info = { ...this.info, id: { value: this.id } }
      this.unused = []
    } else if (event.type === 'OFFERS') {
      this.offers.push(...(event.offers.offers ?? []))
      this.unused.push(...(event.offers.offers ?? []))
    } else if (event.type === 'RESCIND') {
      const { value } = event.rescind.offer_id
      this.unused = this.unused.filter(offer => offer.id.value !== value)
    } else if (event.type === 'UPDATE' && this.acknowledges && event.update.status.uuid) {
      this.acknowledge(event.update.status)
    }
    this.onEvent(event)
  }
}
