// The agent: one actor, `slave(1)` as in Mesos, that routes what it hears to the parts that know.
//
//   master ──register, ping──▶ registration.ts ◀── retries, silence
//   master ──run, kill───────▶ tasks.ts ──▶ executor-starts.ts ──▶ executors (command-executor.ts, or processes)
//   executors ◀──tasks, kills▶ executors.ts ──▶ executor-ends.ts
//   executors ──updates──────▶ updates.ts ──▶ task-status-update-manager.ts ──▶ master, until acknowledged
//   people ──HTTP────────────▶ routes.ts (state-json.ts, api/), files.ts

import { Actor } from '../actors/actor.ts'
import type { Pid } from '../actors/pid.ts'
import { type Served, serve } from '../actors/protocol.ts'
import { type Detector, detectorOf } from '../detector/detector.ts'
import { isList } from '../detector/location.ts'
import {
  AgentMaster,
  type Ping,
  type RegisterAgent,
  type Registered,
  type Reregistered,
  type ShutdownFramework,
} from '../messages/agent-registration.ts'
import { AgentExecutor } from '../messages/executor-api.ts'
import { agentCapabilities } from './agent-capabilities.ts'
import { makeAgentDirectory } from './agent-directory.ts'
import { AgentState } from './agent-state.ts'
import { Draining } from './draining.ts'
import { ExecutorEnds } from './executor-ends.ts'
import { ExecutorLinks } from './executor-links.ts'
import { ExecutorStarts } from './executor-starts.ts'
import { Executors } from './executors.ts'
import type { FileAttachments } from './files.ts'
import { AgentMetrics } from './metrics.ts'
import type { AgentOptions } from './options.ts'
import { Recovery } from './recovery.ts'
import { Registration, type RegistrationRequest } from './registration.ts'
import { contents, reregistration } from './reregistration.ts'
import { addRoutes } from './routes.ts'
import { TaskStatusUpdateManager } from './task-status-update-manager.ts'
import { Tasks } from './tasks.ts'
import { Updates } from './updates.ts'

export class Agent extends Actor {
  override readonly idPrefix = 'slave'
  override readonly failureEnds = 'process'
  override readonly serves: readonly Served[] = [
    serve(AgentMaster, {
      registered: (message, from) => this.#registered(message, from),
      reregistered: (message, from) => this.#reregistered(message, from),
      ping: (message, from) => this.#ping(message, from),
      run_task: (message, from) => this.#ofMaster(from, 'run_task', () => this.#tasks.run(message)),
      run_task_group: (message, from) =>
        this.#ofMaster(from, 'run_task_group', () => this.#tasks.runGroup(message)),
      kill_task: (message, from) =>
        this.#ofMaster(from, 'kill_task', () => this.#tasks.kill(message)),
      status_update_acknowledgement: (message, from) =>
        this.#ofMaster(from, 'acknowledgement', () => this.#updates.acknowledged(message)),
      shutdown_framework: (message, from) =>
        this.#ofMaster(from, 'shutdown_framework', () => this.#shutdownFramework(message)),
      shutdown_executor: (message, from) =>
        this.#ofMaster(from, 'shutdown_executor', () => this.#executors.shutdown(message)),
      framework_message: (message, from) =>
        this.#ofMaster(from, 'framework_message', () => this.#executors.message(message)),
      shutdown: ({ message }, from) => this.#refused(message, from),
      update_framework: (message, from) =>
        this.#ofMaster(from, 'update_framework', () => this.#starts.updateFramework(message)),
      drain: ({ drain }, from) => this.#ofMaster(from, 'drain', () => this.#draining.follow(drain)),
    }),
    serve(AgentExecutor, { call: (call, from) => this.#executors.call(call, from) }),
  ]

  readonly #options: AgentOptions
  readonly #attachments: FileAttachments
  readonly #state: AgentState
  readonly #manager: TaskStatusUpdateManager
  #registration!: Registration
  #detector: Detector | undefined
  #updates!: Updates
  #executors!: Executors
  #ends!: ExecutorEnds
  #starts!: ExecutorStarts
  #tasks!: Tasks
  #draining!: Draining
  #startTimeMs = 0
  /** Why the agent ends, once it does. */
  #ending: string | undefined

  constructor(options: AgentOptions, attachments: FileAttachments) {
    super()
    this.#options = options
    this.#attachments = attachments
    this.#state = new AgentState({
      hostname: options.hostname,
      port: options.port,
      resources: [...(options.recovered?.resources ?? options.resources)],
      attributes: [...options.attributes],
      ...(options.recovered && { id: { value: options.recovered.agentId } }),
    })
    this.#manager = new TaskStatusUpdateManager({
      forward: update => this.dispatch(() => this.#updates.forward(update)),
      ...(options.checkpoints && { store: options.checkpoints }),
    })
  }

  protected override async initialize(): Promise<void> {
    const { context } = this
    const options = this.#options
    const state = this.#state
    const manager = this.#manager
    this.#startTimeMs = this.clock.now()
    this.spawn(manager)
    const registered = (): boolean => registration.connected
    const registration = new Registration({
      context,
      master: isList(options.masters) ? options.masters[0] : undefined,
      backoffMs: options.settings.registrationBackoffMs,
      request: () => this.#request(),
      disconnected: () => manager.pause(),
    })
    const metrics = new AgentMetrics({
      context,
      state,
      registered,
    })
    const { checkpoints, recovered, settings } = options
    const draining = new Draining({
      context,
      state,
      settings,
      checkpoints,
      kill: kill => this.#tasks.kill(kill),
    })
    const updates: Updates = new Updates({
      context,
      metrics,
      state,
      registration,
      manager,
      draining,
      ip: options.ip,
      settled: (framework, executor) => this.#ends.settled(framework, executor),
      shrunk: executor => starts.resize(executor),
      taskEnded: (executor, taskId) => ends.taskEnded(executor, taskId),
    })
    const attachments = this.#attachments
    const links = new ExecutorLinks(context, state)
    const ends: ExecutorEnds = new ExecutorEnds({
      context,
      metrics,
      options,
      state,
      registration,
      manager,
      attachments,
      links,
      updates,
      idle: () => this.#endIfIdle(),
    })
    const starts: ExecutorStarts = new ExecutorStarts({
      context,
      options,
      state,
      attachments,
      links,
      ends,
    })
    const executors = new Executors({
      context,
      metrics,
      state,
      registration,
      links,
      ends,
      updates,
    })
    const { isolation, containerizers = new Set(['mesos'] as const) } = options
    const tasks = {
      context,
      state,
      starts,
      executors,
      ends,
      updates,
      draining,
      switching: options,
      isolation,
      containerizers,
      registered,
    }
    this.#tasks = new Tasks(tasks)
    this.#draining = draining
    this.#ends = ends
    this.#starts = starts
    this.#executors = executors
    this.#updates = updates
    this.#registration = registration
    addRoutes({
      context,
      source: () => ({
        state,
        options,
        pid: this.self,
        startTimeMs: this.#startTimeMs,
        masterHostname: registration.connected ? registration.masterHost : undefined,
        drain: this.#draining.record,
      }),
      environment: executor => starts.environment(executor),
    })
    this.log.info(
      {
        master: options.printableFlags['master'],
        work_dir: options.workDir,
        hostname: options.hostname,
      },
      'agent started',
    )
    if (checkpoints && recovered) {
      metrics.recovered(recovered.errors)
      const recovery = { context, state, settings, checkpoints, manager, starts, ends, updates }
      void makeAgentDirectory(options, state.info, this.log)
      draining.restore(recovered.drain)
      await new Recovery(recovery).begin(recovered)
      await draining.resume()
    }
    for (const measure of options.measures ?? []) measure(this.context.metrics)
    void options.gc?.begin(path =>
      [...state.executors()].some(({ directory }) => directory === path),
    )
    const changed = (leader: Pid) => registration.appoint(leader)
    this.#detector = detectorOf({ context, masters: options.masters, changed })
    this.#detector.begin()
    return registration.begin()
  }

  protected override finalize(): void {
    this.#detector?.end()
    this.#options.gc?.end()
  }

  /** Ends for good: gives the agent's id back and ends all it runs. `onShutdown` is called when that is done. */
  unregister(reason: string): void {
    this.dispatch(() => {
      const { id } = this.#state.info
      if (id && this.#registration.connected) {
        this.#registration.master.tell('unregister_agent', { agent_id: id })
      }
      this.#shutdown(reason)
    })
  }

  protected override exited(pid: Pid): Promise<void> | void {
    this.#registration.exited(pid)
    return this.#executors.exited(pid)
  }

  #identity(): RegisterAgent {
    return {
      agent: this.#state.info,
      version: this.#options.version,
      agent_capabilities: agentCapabilities(this.#options.isolation).map(type => ({ type })),
      checkpointed_resources: [],
    }
  }

  #request(): RegistrationRequest {
    const identity = this.#identity()
    if (!this.#state.info.id) return { type: 'register', body: identity }
    const { last } = this.#registration
    return reregistration(
      { ...identity, ...(last !== undefined && { registration: last }) },
      contents(this.#state),
    )
  }

  async #registered(
    { agent_id, connection, registration, drain }: Registered,
    from: Pid,
  ): Promise<void> {
    if (!this.#registration.accepts(from)) return this.#stranger('registered', from)
    if (this.#ending !== undefined) return
    const id = this.#state.info.id
    if (id && id.value !== agent_id.value) {
      // Two of our requests were both granted: the one that we did not take will be found dead by the master.
      return this.log.warn(
        { id: agent_id.value, ours: id.value },
        'registered once more, under another id; ignored',
      )
    }
    if (id && !this.#registration.connected) return
    if (!id) {
      this.#state.info = { ...this.#state.info, id: agent_id }
      this.log.info({ id: agent_id.value, master: from }, 'registered with the master')
    }
    this.#registration.succeeded(connection, registration)
    this.#manager.resumeSending()
    if (!id) await this.resume(makeAgentDirectory(this.#options, this.#state.info, this.log))
    await this.#draining.follow(drain)
  }

  async #reregistered(
    { agent_id, connection, reconciliations, registration, drain }: Reregistered,
    from: Pid,
  ): Promise<void> {
    if (!this.#registration.accepts(from)) return this.#stranger('reregistered', from)
    if (this.#ending !== undefined) return
    const id = this.#state.info.id?.value
    if (id !== agent_id.value) {
      return this.log.warn(
        { id: agent_id.value, ours: id },
        'reregistered under another id; ignored',
      )
    }
    if (!this.#registration.connected) this.log.info({ id, master: from }, 'back with the master')
    this.#registration.succeeded(connection, registration)
    this.#manager.resumeSending()
    this.#ends.reportExits()
    const reconciled = reconciliations.map(each => this.#tasks.reconcile(each))
    await Promise.all([this.#draining.follow(drain), ...reconciled])
  }

  #ping({ connected, registration }: Ping, from: Pid): Promise<void> | void {
    // A master may ping before its answer to the registration is out.
    if (!this.#registration.mayBeMaster(from)) return this.#stranger('ping', from)
    const { id } = this.#state.info
    // A master that does not have this agent answers each of its words by such a ping.
    if (id && (connected || this.#registration.connected))
      this.#registration.master.tell('pong', { agent_id: id })
    return this.#registration.pinged(connected, registration)
  }

  /** Only the master may say this, and only while the agent is its. */
  #ofMaster(from: Pid, what: string, act: () => Promise<void> | void): Promise<void> | void {
    if (!this.#registration.isMaster(from)) return this.#stranger(what, from)
    if (this.#ending === undefined && this.#state.info.id) return act()
    const why = this.#ending === undefined ? 'the agent is not registered' : 'the agent ends'
    this.log.info({ message: what }, `ignored: ${why}`)
  }

  #stranger(what: string, from: Pid): void {
    this.log.warn({ from, message: what }, 'ignored: it is not the master')
  }

  #shutdownFramework({ framework_id }: ShutdownFramework): void {
    const framework = this.#state.framework(framework_id.value)
    // Updates of tasks that were refused, or found missing, may exist without it.
    this.#manager.forget(framework_id.value)
    if (!framework || framework.state === 'TERMINATING') return
    this.log.info({ framework: framework.id }, 'the framework is gone; ending its executors')
    this.#ends.shutdownFramework(framework)
  }

  /** The master's word, and maybe its first. */
  #refused(reason: string, from: Pid): void {
    if (this.#registration.mayBeMaster(from)) this.#shutdown(reason)
    else this.#stranger('shutdown', from)
  }

  /** All that it runs ends, and then the agent. */
  #shutdown(reason: string): void {
    if (this.#ending !== undefined) return
    this.log.warn({ reason }, 'told to shut down; ending all that runs here')
    this.#ending = reason
    this.#registration.stop()
    void this.#options.checkpoints?.forgetAgent()
    for (const framework of [...this.#state.frameworks.values()]) {
      this.#ends.shutdownFramework(framework)
    }
    this.#endIfIdle()
  }

  #endIfIdle(): void {
    if (this.#ending === undefined || this.#state.frameworks.size > 0) return
    this.log.info({ reason: this.#ending }, 'the agent has ended all it ran and ends')
    const { onShutdown } = this.#options
    onShutdown?.(this.#ending)
    this.terminate()
  }
}
