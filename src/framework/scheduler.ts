// The scheduler of a framework: what authors of frameworks subclass.
//
// It subscribes to the master, and again under the same framework id whenever the connection is lost, for ever; the
// author's callbacks see offers and statuses only while subscribed.

import type { Pid } from '../actors/pid.ts'
import type { Timer } from '../actors/clock.ts'
import { serve } from '../actors/protocol.ts'
import { seconds } from '../base/duration.ts'
import { fromBase64 } from '../base/base64.ts'
import { type Masters, parseMasters } from '../detector/location.ts'
import type { MasterInfo } from '../messages/agent.ts'
import type { FrameworkInfo } from '../messages/framework.ts'
import type { AgentID, ExecutorID, FrameworkID, OfferID, TaskID } from '../messages/ids.ts'
import type { Filters, InverseOffer, Offer } from '../messages/offer.ts'
import type { OfferOperation } from '../messages/operation.ts'
import {
  type Call,
  type Event,
  MasterScheduler,
  SchedulerEvents,
} from '../messages/scheduler-api.ts'
import type { TaskStatus } from '../messages/status.ts'
import type { KillPolicy, TaskInfo } from '../messages/task.ts'
import { encodeData } from './data.ts'
import { describe, type FrameworkDescription, withDefaults } from './description.ts'
import { idsOf, type Offers } from './offers.ts'
import { Subscriber } from './subscriber.ts'
import { SuppressedRoles } from './suppressed-roles.ts'
import { type Launched, tasksOf, unsent, UnansweredLaunches } from './unanswered-launches.ts'

export interface SchedulerOptions {
  /**
   * `host:port` of the master; of several masters all of them, with commas between; `zk://…/path` if ZooKeeper knows who
   * leads; or `file:///path` of a file with one of these.
   */
  readonly master: string
  readonly framework: FrameworkDescription
  /** Without it every status is acknowledged when `update` has returned (or what it returned has resolved). */
  readonly explicitAcknowledgements?: boolean
}

/** An agent is gone (`agent_id` alone), or an executor ended (`status`: its wait(2) status). */
export type FailureEvent = Extract<Event, { type: 'FAILURE' }>['failure']

type Subscribed = Extract<Event, { type: 'SUBSCRIBED' }>['subscribed']
type WithoutId<T> = T extends unknown ? Omit<T, 'framework_id'> : never

/** After a new subscription: agents that come back meanwhile bring most answers by themselves. */
const FIRST_QUESTION_MS = seconds(1)
const LONGEST_QUESTION_MS = seconds(60)
/** How long a framework that ends waits for a master that is away. */
const LEAVING_MS = seconds(5)
const NOT_TOLD =
  "the master could not be told that this framework ends: its tasks run on for the framework's failover_timeout, counted from the master's return"

/**
 * Subclass it, override the callbacks of interest, and hand an instance to `runScheduler` (run.ts). Callbacks are turns
 * of the actor: one at a time, in the order in which things happened. Objects have the shapes of the Mesos v1 API.
 */
export abstract class Scheduler extends Subscriber {
  override readonly idPrefix: string = 'scheduler'
  readonly serves = [serve(SchedulerEvents, { event: (event, from) => this.#event(event, from) })]

  /** Where the master is, as it was given. */
  readonly master: string
  readonly #explicit: boolean
  #framework: FrameworkInfo
  readonly #suppressed = new SuppressedRoles(() => this.#framework.roles ?? [])
  readonly #launches = new UnansweredLaunches()
  #question: Timer | undefined
  #ended: 'teardown' | 'stop' | 'error' | undefined
  /** It is torn down as soon as there is a master to be told. */
  #leaving = false

  /** Throws a `UserError` if `master` says of no master where it is. */
  constructor(options: SchedulerOptions) {
    super()
    this.master = options.master
    const masters = options.master.startsWith('file://') ? undefined : parseMasters(options.master)
    if (masters && !('path' in masters)) this.lookFor(masters)
    this.#framework = describe(options.framework)
    this.#explicit = options.explicitAcknowledgements ?? false
  }

  // What may be asked.

  /** Absent before the first subscription, unless it was given to the constructor. */
  get frameworkId(): FrameworkID | undefined {
    return this.#framework.id
  }

  get framework(): FrameworkInfo {
    return this.#framework
  }

  /** How it ended; undefined while it runs, and if a callback threw. */
  get ended(): 'teardown' | 'stop' | 'error' | undefined {
    return this.#ended
  }

  // What happens: to be overridden.

  /** After every subscription, the first one and those after a lost connection. */
  protected subscribed(
    _frameworkId: FrameworkID,
    _master: MasterInfo | undefined,
  ): void | Promise<void> {}

  /** The master is out of reach: offers that were not answered are void, tasks go on. */
  protected disconnected(): void | Promise<void> {}

  /** Resources to use: answer each by `launch`, `accept` or `decline`. */
  protected offers(offers: readonly Offer[]): void | Promise<void> {
    for (const offer of offers) this.decline(offer)
  }

  /** An offer is void. */
  protected rescinded(_offerId: OfferID): void | Promise<void> {}

  /** Agents are to be maintained: answer by `answerInverseOffers`, or not. */
  protected inverseOffers(_offers: readonly InverseOffer[]): void | Promise<void> {}

  /**
   * A task's state. The same status may come again until its acknowledgement has arrived, so take it as "the state is",
   * not "the state changed".
   */
  protected update(_status: TaskStatus): void | Promise<void> {}

  /** Bytes from an executor, on a way that may lose them. */
  protected message(
    _agentId: AgentID,
    _executorId: ExecutorID,
    _data: Uint8Array,
  ): void | Promise<void> {}

  /** An agent or an executor is gone. Its tasks get statuses of their own. */
  protected failure(_event: FailureEvent): void | Promise<void> {}

  /** The master refuses or ends the subscription. The scheduler ends after this. */
  protected error(message: string): void | Promise<void> {
    this.log.error({ reason: message }, 'the master refuses this framework')
  }

  /** The user wants the process to end (Ctrl-C). Override it to tidy up first; call `teardown` or `stop` when done. */
  interrupted(): void {
    this.teardown()
  }

  // What a framework can do. Calls made while there is no master are lost, as they would be on a broken wire; only
  // launches are answered, because a task that nobody has would be waited for.

  /**
   * Uses offers of one agent for operations, in order. What is left is offered again, after `refuse_seconds`. Throws a
   * `UserError` if the operations take more than 32 MB.
   */
  accept(offers: Offers, operations: readonly OfferOperation[], filters?: Filters): void {
    if (!this.isSubscribed) return this.#dropLaunches(operations)
    this.#launches.launched(operations)
    const more = filters && { filters }
    const accept = { offer_ids: idsOf(offers), operations: [...operations], ...more }
    this.#call({ type: 'ACCEPT', accept })
  }

  /** Launches tasks with the resources of these offers, all of one agent; no tasks at all declines them. */
  launch(offers: Offers, tasks: readonly TaskInfo[], filters?: Filters): void {
    if (tasks.length === 0) return this.decline(offers, filters)
    this.accept(offers, [{ type: 'LAUNCH', launch: { task_infos: [...tasks] } }], filters)
  }

  /** Gives offers back. They are not made to this framework again for `refuse_seconds` (default 5). */
  decline(offers: Offers, filters?: Filters): void {
    this.#call({
      type: 'DECLINE',
      decline: { offer_ids: idsOf(offers), ...(filters && { filters }) },
    })
  }

  /** Whether these agents will be free of the framework in time. It is asked again after `refuse_seconds` (default 5). */
  answerInverseOffers(answer: 'ACCEPT' | 'DECLINE', offers: Offers, filters?: Filters): void {
    const answered = { inverse_offer_ids: idsOf(offers), ...(filters && { filters }) }
    const accepted = { type: 'ACCEPT_INVERSE_OFFERS', accept_inverse_offers: answered } as const
    const declined = { type: 'DECLINE_INVERSE_OFFERS', decline_inverse_offers: answered } as const
    this.#call(answer === 'ACCEPT' ? accepted : declined)
  }

  /**
   * Forgets all that was declined, and ends suppression, for these roles or all: "I have work again". Throws a `UserError`
   * for a role that is not the framework's.
   */
  revive(roles: readonly string[] = []): void {
    this.#suppressed.delete(roles)
    this.#call({ type: 'REVIVE', revive: { roles: [...roles] } })
  }

  /**
   * No more offers for these roles or all, until `revive`: "I have no work". Holds over reconnections. Throws a `UserError`
   * for a role that is not the framework's.
   */
  suppress(roles: readonly string[] = []): void {
    this.#suppressed.add(roles)
    this.#call({ type: 'SUPPRESS', suppress: { roles: [...roles] } })
  }

  /** Kills a task; its end comes as a status. Of a task that nobody knows, the status says so. */
  kill(taskId: TaskID, agentId?: AgentID, policy?: KillPolicy): void {
    this.#call({
      type: 'KILL',
      kill: {
        task_id: taskId,
        ...(agentId && { agent_id: agentId }),
        ...(policy && { kill_policy: policy }),
      },
    })
  }

  /** Asks for the latest status of these tasks, or of all that are not terminal. */
  reconcile(
    tasks: readonly { readonly task_id: TaskID; readonly agent_id?: AgentID }[] = [],
  ): void {
    this.#call({ type: 'RECONCILE', reconcile: { tasks: [...tasks] } })
  }

  /** The status is stored with us; it will not come again. For schedulers with `explicitAcknowledgements`. */
  acknowledge(status: TaskStatus): void {
    const { uuid, agent_id, task_id } = status
    // The master's own statuses have no uuid: they are sent once, and nobody waits.
    if (uuid === undefined || agent_id === undefined) return
    this.#call({ type: 'ACKNOWLEDGE', acknowledge: { agent_id, task_id, uuid } })
  }

  /** Sends bytes (of a string: its UTF-8) to an executor, on a way that may lose them. */
  sendMessage(agentId: AgentID, executorId: ExecutorID, data: Uint8Array | string): void {
    const message = { agent_id: agentId, executor_id: executorId, data: encodeData(data) }
    this.#call({ type: 'MESSAGE', message })
  }

  /** Ends an executor with all its tasks. */
  shutdownExecutor(executorId: ExecutorID, agentId: AgentID): void {
    this.#call({ type: 'SHUTDOWN', shutdown: { executor_id: executorId, agent_id: agentId } })
  }

  /**
   * Changes what the framework says of itself. What cannot change stays as it is: id, name, user, principal, checkpoint. A
   * role that is given up is not suppressed any more.
   */
  updateFramework(changes: Partial<FrameworkInfo>): void {
    const { id: _id, name: _name, user: _user, principal: _p, checkpoint: _c, ...rest } = changes
    this.#framework = { ...this.#framework, ...rest }
    this.#suppressed.refresh()
    this.#call({ type: 'UPDATE_FRAMEWORK', update_framework: this.#subscription() })
  }

  /**
   * Ends the framework: the master kills its tasks. The scheduler ends with it; while the master is away, when it is back
   * or after five seconds, and then its tasks live on for the framework's `failover_timeout`. Callbacks end at once.
   */
  teardown(): void {
    if (this.#ended || this.#leaving) return
    if (this.isSubscribed || !this.frameworkId) return this.#tearDown()
    this.#leaving = true
    this.log.warn(this.frameworkId, 'the master is away: waiting for it, to end the tasks')
    this.delay(LEAVING_MS, () => {
      this.log.error(this.frameworkId!, NOT_TOLD)
      this.#end('error')
    })
  }

  #tearDown(): void {
    this.#call({ type: 'TEARDOWN' })
    this.#end('teardown')
  }

  /** Ends this scheduler only: the tasks live on for the framework's `failover_timeout`. */
  stop(): void {
    if (!this.#ended) this.#end('stop')
  }

  /**
   * Fills in what only the process knows. Called by run.ts before the first subscription. `masters`: where `master` is, if
   * ZooKeeper or a file says it.
   */
  fillIn(own: { readonly user: string; readonly hostname: string; readonly masters?: Masters }) {
    this.#framework = withDefaults(this.#framework, own)
    if (own.masters) this.lookFor(own.masters)
  }

  // Subscribing

  protected override sendSubscribe(): void {
    const { id } = this.#framework
    this.ref(MasterScheduler, this.server).tell('call', {
      type: 'SUBSCRIBE',
      ...(id && { framework_id: id }),
      subscribe: this.#subscription(),
    })
  }

  #subscription() {
    return { framework_info: this.#framework, suppressed_roles: this.#suppressed.list }
  }

  protected override connectionLost(wasSubscribed: boolean): void | Promise<void> {
    if (wasSubscribed && !this.#leaving) return this.disconnected()
  }

  // Events

  #event(event: Event, from: Pid): void | Promise<void> {
    if (this.#ended || (this.#leaving && event.type !== 'SUBSCRIBED')) return
    if (event.type === 'SUBSCRIBED') return this.#subscribedBy(event.subscribed, from)
    // A refusal may be the first thing that is heard of a master.
    if (!this.believes(from) && (event.type !== 'ERROR' || this.isSubscribed)) return
    switch (event.type) {
      case 'OFFERS':
        return this.offers(event.offers.offers ?? [])
      case 'RESCIND':
        return this.rescinded(event.rescind.offer_id)
      case 'UPDATE':
        return this.#updated(event.update.status)
      case 'MESSAGE': {
        const { agent_id, executor_id, data } = event.message
        return this.message(agent_id, executor_id, fromBase64(data) ?? new Uint8Array())
      }
      case 'FAILURE':
        return this.failure(event.failure)
      case 'ERROR':
        return this.#refused(event.error.message)
      case 'INVERSE_OFFERS':
        return this.inverseOffers(event.inverse_offers.inverse_offers ?? [])
      case 'RESCIND_INVERSE_OFFER':
      case 'HEARTBEAT':
      case 'UPDATE_OPERATION_STATUS':
        return
    }
  }

  #subscribedBy(subscribed: Subscribed, from: Pid): void | Promise<void> {
    const { framework_id, heartbeat_interval_seconds, master_info } = subscribed
    if (!this.confirmSubscription(from, heartbeat_interval_seconds)) return
    this.#framework = { ...this.#framework, id: framework_id }
    if (this.#leaving) return this.#tearDown()
    this.log.info({ framework: framework_id, master: from }, 'subscribed')
    this.#askAbout(this.#launches.all(), FIRST_QUESTION_MS)
    return this.subscribed(framework_id, master_info)
  }

  /** Asks about launches that may be lost until each is answered; not while there is no subscription. */
  #askAbout(launched: readonly Launched[], waitMs: number): void {
    this.#question?.cancel()
    if (launched.length === 0) return
    this.#question = this.delay(waitMs, () => {
      const silent = this.#launches.still(launched)
      if (silent.length > 0) this.reconcile(silent)
      this.#askAbout(silent, Math.min(waitMs * 2, LONGEST_QUESTION_MS))
    })
  }

  async #refused(message: string): Promise<void> {
    this.#ended = 'error'
    const result = this.error(message)
    if (result) await this.resume(result)
    this.#end('error')
  }

  #updated(status: TaskStatus): void | Promise<void> {
    this.#launches.heard(status)
    const result = this.update(status)
    if (this.#explicit) return result
    if (!result) return this.acknowledge(status)
    return this.resume(result).then(() => this.acknowledge(status))
  }

  // Calls

  #call(call: WithoutId<Call>): void {
    const { id } = this.#framework
    if (!this.isSubscribed || this.#ended || !id) {
      if (!this.#ended) this.log.debug({ call: call.type }, 'no master: call dropped')
      return
    }
    this.ref(MasterScheduler, this.server).tell('call', { ...call, framework_id: id })
  }

  /** No master heard of these tasks, and none will: their framework hears it from us, as from Mesos' drivers. */
  #dropLaunches(operations: readonly OfferOperation[]): void {
    const aware = this.#framework.capabilities?.some(({ type }) => type === 'PARTITION_AWARE')
    for (const task of tasksOf(operations)) {
      const status = unsent(task, aware ?? false, this.clock.now())
      this.dispatch(() => this.update(status))
    }
  }

  #end(how: 'teardown' | 'stop' | 'error'): void {
    this.#ended = how
    this.terminate()
  }
}
