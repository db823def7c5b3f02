// The master: one actor that routes each message to its conversation, and waits for nothing but the registry.

import { Actor } from '../actors/actor.ts'
import { addressOf, type Pid } from '../actors/pid.ts'
import { type Ref, serve } from '../actors/protocol.ts'
import { BoundedRing } from '../base/bounded-ring.ts'
import { onceAWhile } from '../base/log.ts'
import { AgentMaster, MasterAgent } from '../messages/agent-registration.ts'
import type { MasterInfo } from '../messages/agent.ts'
import { Files } from '../messages/files.ts'
import { type Call, MasterScheduler, SchedulerEvents } from '../messages/scheduler-api.ts'
import {
  disconnectAgent,
  dropAgent,
  giveUpRecovered,
  pong,
  registerAgent,
  tellStranger,
} from './agents.ts'
import { Allocator } from './allocator/allocator.ts'
import { subscribedCall } from './calls.ts'
import type { MasterConfig } from './config.ts'
import { HEARTBEAT_INTERVAL_MS } from './constants.ts'
import type { MasterContext, ToAgent } from './context.ts'
import { settleDrained } from './draining.ts'
import { disconnectFramework, subscribe } from './frameworks.ts'
import { assertHeld, type Leadership } from './leadership.ts'
import { askForMachinesSoon } from './maintenance/inverse-offers.ts'
import { type CounterName, MasterMetrics } from './metrics.ts'
import { makeOffers } from './offers.ts'
import { RegistrarProtocol } from './registrar.ts'
import { collectGarbage } from './registry-gc.ts'
import type { Operation } from './registry/operations.ts'
import { Registry } from './registry/registry.ts'
import { reregisterAgent, reregisterPart } from './reregistration.ts'
import { addRoutes } from './routes/routes.ts'
import { type AgentRecord, MasterState } from './state.ts'
import { executorMessage, exitedExecutor } from './executors.ts'
import { statusUpdate } from './tasks.ts'
import { Waiting } from './waiting.ts'

export interface MasterOptions {
  readonly config: MasterConfig
  readonly info: MasterInfo
  readonly registrar: Pid
  readonly leadership: Leadership
  /** Called once, before the first message: for checkers, which look at the books and change nothing. */
  readonly inspect?: (books: MasterContext) => void
}

/** A scheduler that was not told of its framework's end may go on for long; the log need not say each time. */
const COMPLAINT_MS = 10_000

export class Master extends Actor {
  override readonly idPrefix = 'master'
  override readonly failureEnds = 'process'

  readonly #o: MasterOptions
  readonly #state: MasterState
  #m!: MasterContext
  #phase: 'standby' | 'recovering' | 'leading' = 'recovering'
  #electedAtMs = 0
  readonly #waiting = new Waiting()
  readonly #schedulers = new Map<Pid, Ref<(typeof SchedulerEvents)['entries']>>()
  readonly #agents = new Map<Pid, Ref<ToAgent>>()
  readonly #registryView = new Registry()
  readonly #complain = onceAWhile(() => this.clock.now(), COMPLAINT_MS)
  #allocating = false
  #expiry: { readonly atMs: number; cancel(): void } | undefined

  readonly serves = [
    serve(MasterScheduler, {
      call: (call, from) => this.#leading(from, undefined, () => this.#call(call, from)),
    }),
    serve(MasterAgent, {
      register_agent: (message, from) =>
        this.#leading(from, 'messages_register_slave', () => registerAgent(this.#m, message, from)),
      reregister_part: (part, from) => ({
        taken: this.#phase === 'leading' && reregisterPart(this.#m, part, from),
      }),
      reregister_agent: (message, from) =>
        this.#leading(from, 'messages_reregister_slave', () =>
          reregisterAgent(this.#m, message, from),
        ),
      unregister_agent: ({ agent_id }, from) =>
        this.#leading(from, 'messages_unregister_slave', async () => {
          const agent = this.#agentOf(agent_id.value, from)
          if (agent) await dropAgent(this.#m, agent, 'it unregistered')
        }),
      status_update: ({ update }, from) =>
        this.#leading(from, 'messages_status_update', () => {
          const agent = this.#speaker(update.agent_id.value, from)
          if (agent) statusUpdate(this.#m, agent, update)
          else this.#m.metrics.count('invalid_status_updates')
        }),
      exited_executor: (message, from) =>
        this.#leading(from, 'messages_exited_executor', () => {
          const agent = this.#speaker(message.agent_id.value, from)
          if (agent) exitedExecutor(this.#m, agent, message)
        }),
      executor_message: (message, from) =>
        this.#leading(from, 'messages_executor_to_framework', () => {
          if (this.#speaker(message.agent_id.value, from)) executorMessage(this.#m, message)
          else this.#m.metrics.count('invalid_executor_to_framework_messages')
        }),
      pong: ({ agent_id }, from) => {
        if (this.#phase !== 'leading') return
        const agent = this.#agentOf(agent_id.value, from)
        if (agent) pong(agent)
        else tellStranger(this.#m, agent_id.value, from)
      },
    }),
  ]

  constructor(options: MasterOptions) {
    super()
    this.#o = options
    this.#state = new MasterState(new BoundedRing(options.config.maxCompletedFrameworks))
  }

  /** Waits until it is elected, reads the registry, then leads. */
  protected override async initialize(): Promise<void> {
    const { leadership } = this.#o
    this.#m = this.#makeContext()
    this.#o.inspect?.(this.#m)
    addRoutes(this.#m, {
      route: (path, help, handler) => this.route(path, help, handler),
      leading: () => this.#phase === 'leading',
      leader: leadership.leader,
      startedAtMs: this.clock.now(),
      electedAtMs: () => this.#electedAtMs,
      files: of => this.ref(Files, of),
    })
    if (!leadership.holds()) {
      this.#phase = 'standby'
      await this.resume(leadership.elected)
      this.#phase = 'recovering'
    }
    const registrar = this.ref(RegistrarProtocol, this.#o.registrar)
    const snapshot = await registrar.ask('recover', { master: this.#o.info })
    Object.assign(this.#registryView, Registry.of(snapshot))
    for (const info of snapshot.agents) this.#state.recoveredAgents.set(info.id!.value, info)
    this.#phase = 'leading'
    this.#electedAtMs = this.clock.now()
    const { recoveredAgents } = this.#state
    if (recoveredAgents.size > 0) {
      this.delay(this.#o.config.agentReregisterTimeoutMs, () => giveUpRecovered(this.#m))
    }
    this.delay(HEARTBEAT_INTERVAL_MS, () => this.#heartbeat())
    this.delay(this.#o.config.registryGcIntervalMs, () => this.#collectGarbage())
    this.log.info(
      {
        master_id: this.#o.info.id,
        address: addressOf(this.self),
        agents_expected: recoveredAgents.size,
      },
      'leading',
    )
    this.#m.changed()
    for (const run of this.#waiting.take()) this.dispatch(run)
  }

  protected override exited(pid: Pid): void {
    this.#schedulers.delete(pid)
    this.#agents.delete(pid)
    const framework = this.#state.frameworksByPid.get(pid)
    if (framework) disconnectFramework(this.#m, framework)
    const agent = this.#state.agentsByPid.get(pid)
    if (agent) disconnectAgent(this.#m, agent)
    const asking = this.#state.asking.get(pid)
    if (asking) asking.lost = true
    this.#state.reregistering.delete(pid)
    this.#waiting.forget(pid)
  }

  #leading(from: Pid, counter: CounterName | undefined, run: () => unknown): void | Promise<void> {
    if (counter) this.#m.metrics.count(counter)
    if (this.#phase === 'leading') {
      assertHeld(this.#o.leadership)
      return run() as void | Promise<void>
    }
    if (this.#phase === 'standby' || !this.#waiting.add(from, run)) {
      return this.#m.metrics.count('dropped_messages')
    }
    this.link(from)
  }

  #agentOf(id: string, from: Pid): AgentRecord | undefined {
    const agent = this.#state.agents.get(id)
    return agent?.pid === from ? agent : undefined
  }

  /** The agent, if it is connected; else it is asked to register again, and to say all that it runs, first. */
  #speaker(id: string, from: Pid): AgentRecord | undefined {
    const agent = this.#agentOf(id, from)
    if (agent?.connected) return agent
    tellStranger(this.#m, id, from)
    return undefined
  }

  #call(call: Call, from: Pid): void {
    const m = this.#m
    m.metrics.call(call)
    if (call.type === 'SUBSCRIBE') {
      return subscribe(m, call.subscribe, call.framework_id?.value, from)
    }
    const framework = this.#state.frameworksByPid.get(from)
    if (!framework || framework.id !== call.framework_id?.value) {
      m.metrics.count('dropped_messages')
      const fields = { from, call: call.type, framework_id: call.framework_id?.value }
      this.#complain(repeats => {
        this.log.warn(
          { ...fields, ...repeats },
          'call of a scheduler that is not subscribed, dropped',
        )
      })
      return
    }
    subscribedCall(m, framework, call)
  }

  #makeContext(): MasterContext {
    const { config, info } = this.#o
    const allocator = new Allocator({
      random: this.random,
      minimum: config.minAllocatable,
      filterGpus: config.filterGpuResources,
      weights: config.weights,
      shortestRefusalMs: config.allocationIntervalMs,
    })
    return {
      state: this.#state,
      config,
      info,
      allocator,
      log: this.log,
      metrics: new MasterMetrics({
        context: this.context,
        state: this.#state,
        registry: this.#registryView,
        allocator,
        leading: () => this.#phase === 'leading',
      }),
      registryView: this.#registryView,
      now: () => this.clock.now(),
      nowSeconds: () => this.clock.now() / 1000,
      delay: (ms, run) => this.delay(ms, run),
      tellFramework: (framework, event) => {
        if (framework.connected && framework.pid !== undefined) {
          this.#scheduler(framework.pid).tell('event', event)
        }
      },
      tellScheduler: (pid, event) => this.#scheduler(pid).tell('event', event),
      tellAgent: (agent, name, message) =>
        this.#agent(typeof agent === 'string' ? agent : agent.pid).tell(name, message),
      link: pid => this.link(pid),
      unlink: pid => {
        this.#schedulers.delete(pid)
        this.#agents.delete(pid)
        this.unlink(pid)
      },
      registry: operation => this.#applyToRegistry(operation),
      changed: () => {
        this.#state.version++
      },
      mayBeDrained: agent => this.dispatch(() => settleDrained(this.#m, agent)),
      allocateSoon: () => this.#allocateSoon(),
    }
  }

  #scheduler(pid: Pid): Ref<(typeof SchedulerEvents)['entries']> {
    const known = this.#schedulers.get(pid)
    if (known) return known
    const ref = this.ref(SchedulerEvents, pid)
    // Only those that are linked are kept: their end is heard of, so the map cannot grow for ever.
    if (this.#state.frameworksByPid.has(pid)) this.#schedulers.set(pid, ref)
    return ref
  }

  #agent(pid: Pid): Ref<ToAgent> {
    const known = this.#agents.get(pid)
    if (known) return known
    const ref = this.ref(AgentMaster, pid)
    if (this.#state.agentsByPid.has(pid)) this.#agents.set(pid, ref)
    return ref
  }

  async #applyToRegistry(operation: Operation): Promise<boolean> {
    const registrar = this.ref(RegistrarProtocol, this.#o.registrar)
    const { changed, error } = await registrar.ask('apply', operation)
    if (error !== undefined)
      this.log.warn({ operation: operation.type, error }, 'registry operation refused')
    if (changed) this.#registryView.apply(operation)
    return changed
  }

  /** Offers what is free after the messages that are waiting now: their changes are then seen together. */
  #allocateSoon(): void {
    if (this.#allocating) return
    this.#allocating = true
    const { allocator, metrics } = this.#m
    const wantedMs = this.clock.now()
    this.dispatch(() => {
      this.#allocating = false
      const startMs = this.clock.now()
      const grants = allocator.allocate(startMs)
      metrics.allocationRuns.increment()
      metrics.allocationRunLatency.record(startMs - wantedMs)
      metrics.allocationRun.record(this.clock.now() - startMs)
      makeOffers(this.#m, grants)
      askForMachinesSoon(this.#m)
      this.#awaitExpiry()
    })
  }

  /** One timer for the refusal that runs out first. */
  #awaitExpiry(): void {
    const nextMs = this.#m.allocator.nextExpiryMs
    if (nextMs === undefined || (this.#expiry && this.#expiry.atMs <= nextMs)) return
    this.#expiry?.cancel()
    const timer = this.delay(nextMs - this.clock.now(), () => {
      this.#expiry = undefined
      this.#allocateSoon()
    })
    this.#expiry = { atMs: nextMs, cancel: () => timer.cancel() }
  }

  async #collectGarbage(): Promise<void> {
    await collectGarbage(this.#m)
    this.delay(this.#o.config.registryGcIntervalMs, () => this.#collectGarbage())
  }

  #heartbeat(): void {
    for (const framework of this.#state.frameworks.values()) {
      this.#m.tellFramework(framework, { type: 'HEARTBEAT' })
    }
    this.delay(HEARTBEAT_INTERVAL_MS, () => this.#heartbeat())
  }
}
