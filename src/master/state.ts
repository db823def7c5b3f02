// What the master knows, as plain records. Each conversation (agents, frameworks, offers, tasks) is a module of
// functions over this state; nothing else holds any.

import type { Timer } from '../actors/clock.ts'
import type { Pid } from '../actors/pid.ts'
import type { ReregisterPart } from '../messages/agent-registration.ts'
import type { AgentInfo } from '../messages/agent.ts'
import type { Capability, FrameworkInfo } from '../messages/framework.ts'
import type { Offer } from '../messages/offer.ts'
import type { TaskStatus } from '../messages/status.ts'
import type { ExecutorInfo, KillPolicy, Task } from '../messages/task.ts'
import type { Resources } from '../resources/resources.ts'
import type { BoundedRing } from '../base/bounded-ring.ts'

/** The master's own copy of a task's record: it alone changes it, so its fields are writable here. */
export interface TaskRecord {
  readonly task: Task
  readonly role: string
  readonly resources: Resources
  readonly statuses: TaskStatus[]
  /** Whether it still holds its resources; a terminal task does not, though it awaits its acknowledgement. */
  holding: boolean
  /** Its scheduler asked for its end; asked for again when the agent comes back, for the first kill may be lost. */
  kill: { readonly policy: KillPolicy | undefined } | undefined
}

/** A custom executor that the master knows to run on an agent, and what it holds beside its tasks. */
export interface ExecutorRecord {
  readonly info: ExecutorInfo
  readonly role: string
  readonly resources: Resources
  /** The task with which it was launched; undefined if it came back with its agent. */
  readonly launchedFor: string | undefined
}

export interface OfferRecord {
  readonly id: string
  readonly frameworkId: string
  readonly agentId: string
  readonly role: string
  readonly resources: Resources
  readonly offer: Offer
  timer: Timer | undefined
}

export interface FrameworkRecord {
  readonly id: string
  info: FrameworkInfo
  roles: ReadonlySet<string>
  capabilities: ReadonlySet<string>
  pid: Pid | undefined
  /** Its scheduler is there. */
  connected: boolean
  /** Its scheduler is there and may be offered resources. */
  active: boolean
  /** Known only from agents so far: its scheduler has not come back since this master was elected. */
  recovered: boolean
  registeredAtMs: number
  reregisteredAtMs: number | undefined
  unregisteredAtMs: number | undefined
  failoverTimer: Timer | undefined
  readonly tasks: Map<string, TaskRecord>
  readonly unreachableTasks: Map<string, Task>
  readonly completedTasks: BoundedRing<Task>
  readonly offers: Map<string, OfferRecord>
  /** Custom executors by agent, then by executor id. */
  readonly executors: Map<string, Map<string, ExecutorRecord>>
}

/** What a framework was asked about an agent whose machine is to be maintained, and what it answered last. */
export interface Asked {
  readonly status: 'ACCEPT' | 'DECLINE' | 'UNKNOWN'
  readonly atMs: number
  /** The inverse offer that waits for an answer. */
  readonly offer: string | undefined
  /** It is not asked again before. */
  readonly quietUntilMs: number
  readonly again: Timer | undefined
}

export interface AgentRecord {
  readonly id: string
  info: AgentInfo
  pid: Pid
  version: string
  capabilities: readonly Capability[]
  total: Resources
  connected: boolean
  readonly registeredAtMs: number
  reregisteredAtMs: number | undefined
  readonly offers: Map<string, OfferRecord>
  /** Tasks by framework, then by task id. */
  readonly tasks: Map<string, Map<string, TaskRecord>>
  /** The machine it is on, as a key of the registry's. */
  readonly machine: string
  /** By framework. */
  readonly asked: Map<string, Asked>
  /** Whether the last ping is unanswered. */
  pinged: boolean
  /** How many were not answered in time, one after the other. */
  missedPongs: number
  pingTimer: Timer | undefined
}

export class MasterState {
  readonly frameworks = new Map<string, FrameworkRecord>()
  readonly completedFrameworks: BoundedRing<FrameworkRecord>
  /** Ids of removed frameworks, oldest first, many more than `completedFrameworks` has; they cannot come back. */
  readonly removedFrameworks = new Set<string>()
  readonly frameworksByPid = new Map<Pid, FrameworkRecord>()
  readonly agents = new Map<string, AgentRecord>()
  readonly agentsByPid = new Map<Pid, AgentRecord>()
  /** Admitted according to the registry, but not back since this master was elected. */
  readonly recoveredAgents = new Map<string, AgentInfo>()
  readonly offers = new Map<string, OfferRecord>()
  /** Those without an answer. */
  readonly inverseOffers = new Map<
    string,
    { readonly frameworkId: string; readonly agentId: string }
  >()
  /** It will be looked soon who is to be asked for what. */
  asksSoon = false
  /** Agents that have been drained, which is being written. */
  readonly settling = new Set<string>()
  /** Agents whose registration waits for the registry: by pid (new ones) and by id (returning ones). */
  readonly registering = new Set<string>()
  /** Agents whose registration waits for the registry, by pid, and whether their connection broke meanwhile. */
  readonly asking = new Map<Pid, { lost: boolean }>()
  /** What agents that register again have said so far, of much. */
  readonly reregistering = new Map<Pid, ReregisterPart[]>()
  /**
   * The name of the last answer to each agent's registration. Who does not know it said what he runs before he had the
   * answer, and with it tasks.
   */
  readonly registrations = new Map<string, string>()
  nextRegistration = 0
  nextFramework = 0
  nextAgent = 0
  nextOffer = 0
  /** Counts changes that `/state` shows, for its ETag. */
  version = 0

  constructor(completed: BoundedRing<FrameworkRecord>) {
    this.completedFrameworks = completed
  }

  tasksOf(agent: AgentRecord): TaskRecord[] {
    return [...agent.tasks.values()].flatMap(tasks => [...tasks.values()])
  }
}
