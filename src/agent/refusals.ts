// What this agent cannot do for a task. It says so and runs nothing, for a task that runs without the isolation, files
// or checks it asked for is worse than none.

import { whyMalformedNetworks, whyNoNetworks } from './cni/demands.ts'
import { whyNoLimits, whyNotContained } from './containerizer/demands.ts'
import type { Isolation } from './containerizer/isolation.ts'
import { whyNotInDocker } from './docker/demands.ts'
import type { ContainerizerName } from './docker/flags.ts'
import type { CommandInfo } from '../messages/command.ts'
import type { ContainerInfo } from '../messages/container.ts'
import type { FrameworkInfo } from '../messages/framework.ts'
import type { Resource } from '../messages/resource.ts'
import type { TaskState, TaskStatusReason } from '../messages/status.ts'
import type { ExecutorInfo, TaskInfo } from '../messages/task.ts'
import { whyNoPathSegment } from './paths.ts'
import { otherUser, type Switching, whyNotSwitched } from './run-as.ts'

export interface Refusal {
  /** TASK_DROPPED stands for TASK_LOST as well, where the framework is not partition-aware. */
  readonly state: TaskState
  readonly reason: TaskStatusReason
  readonly message: string
}

export interface RefusalContext {
  readonly framework: FrameworkInfo
  readonly switching: Switching
  readonly isolation: Isolation
  /** Of a group: what its executor has to do already. */
  readonly others?: readonly Pick<TaskInfo, 'resources'>[]
  /** Default: mesos alone. */
  readonly containerizers?: ReadonlySet<ContainerizerName>
}

const invalid = (message: string): Refusal => ({
  state: 'TASK_ERROR',
  reason: 'REASON_TASK_INVALID',
  message,
})

const launchFailed = (message: string): Refusal => ({
  state: 'TASK_FAILED',
  reason: 'REASON_CONTAINER_LAUNCH_FAILED',
  message,
})

/** Why this task is not run; undefined if it can be. The first reason found is given. */
export function whyRefused(task: TaskInfo, context: RefusalContext): Refusal | undefined {
  return (
    malformed(task, context.framework) ??
    unsupportedTask(task, context.isolation) ??
    unsupportedContainer(task, context) ??
    unsupportedCommand(task.executor?.command ?? task.command, context)
  )
}

/** The same of a task group, whose tasks name their executor: none of them runs if one cannot. */
export function whyGroupRefused(
  executor: ExecutorInfo,
  tasks: readonly TaskInfo[],
  context: RefusalContext,
): Refusal | undefined {
  if (executor.type === 'DEFAULT' && executor.container) {
    // What is mapped are ports of any of its tasks.
    const all = [executor, ...tasks, ...(context.others ?? [])].flatMap(
      ({ resources = [] }) => resources,
    )
    const why = unsupportedNetworks(executor.container, all, context.isolation)
    if (why) return why
  }
  for (const task of tasks) {
    const { executor: _, ...alone } = task
    if ((executor.container ?? task.container)?.type === 'DOCKER') {
      return invalid('Docker containers are not for the tasks of a group')
    }
    // Each task is a command to its executor, and what the executor is, counts as its own.
    const why =
      whyRefused(executor.type === 'DEFAULT' ? alone : { ...task, command: undefined }, context) ??
      malformedId('executor', executor.executor_id.value)
    if (why) return why
  }
  return undefined
}

function malformed(task: TaskInfo, framework: FrameworkInfo): Refusal | undefined {
  const ids: [string, string | undefined][] = [
    ['task', task.task_id.value],
    ['executor', task.executor?.executor_id.value],
    ['framework', framework.id?.value],
  ]
  for (const [what, id] of ids) {
    const why = malformedId(what, id)
    if (why) return why
  }
  if ((task.executor === undefined) === (task.command === undefined)) {
    return invalid('Task should have at least one (but not both) of CommandInfo or ExecutorInfo')
  }
  const { executor } = task
  if (executor?.type === 'DEFAULT') {
    return invalid('The default executor is for task groups')
  }
  if (executor && !executor.command) {
    return invalid("'ExecutorInfo.command' must be set for 'CUSTOM' executor")
  }
  const command = executor?.command ?? task.command
  // An image may say what to run.
  const { type, mesos } = containerOf(task) ?? {}
  const hasImage = type === 'DOCKER' || (mesos?.image && command?.shell === false)
  if ((command?.value ?? '') === '' && !hasImage) {
    return invalid("'CommandInfo.value' must be set: there is nothing to run")
  }
  return undefined
}

function malformedId(what: string, id: string | undefined): Refusal | undefined {
  const why = id === undefined ? undefined : whyNoPathSegment(id)
  return why === undefined ? undefined : invalid(`The ${what} id '${id}' ${why}`)
}

function unsupportedTask(task: TaskInfo, isolation: Isolation): Refusal | undefined {
  const resources = [...(task.resources ?? []), ...(task.executor?.resources ?? [])]
  if (resources.some(({ disk }) => disk?.persistence || disk?.source)) {
    return {
      state: 'TASK_DROPPED',
      reason: 'REASON_RESOURCES_UNKNOWN',
      message:
        'The checkpointed resources being used by the task or task group are unknown to the agent: it has no volumes',
    }
  }
  if (containerOf(task)?.type === 'DOCKER') return undefined
  const noLimits = whyNoLimits(task.limits, isolation)
  return noLimits === undefined ? undefined : invalid(noLimits)
}

const containerOf = (task: TaskInfo): ContainerInfo | undefined =>
  task.executor?.container ?? task.container

const noContainerizer = (what: string): Refusal => ({
  state: 'TASK_FAILED',
  reason: 'REASON_EXECUTOR_TERMINATED',
  message: `Abnormal executor termination: unknown container; this agent runs no ${what} containers`,
})

function unsupportedContainer(
  task: TaskInfo,
  { isolation, containerizers = new Set(['mesos']) }: RefusalContext,
): Refusal | undefined {
  const container = containerOf(task)
  if (container?.type === 'DOCKER') {
    if (!containerizers.has('docker')) return noContainerizer('Docker')
    const command = task.executor?.command ?? task.command
    const resources = [...(task.resources ?? []), ...(task.executor?.resources ?? [])]
    const why = whyNotInDocker(container, command, resources)
    if (why !== undefined) return launchFailed(`Failed to launch container: ${why}`)
    const { network = 'HOST' } = container.docker!
    const isReached = [task.check?.type, task.health_check?.type].every(
      type => type === undefined || type === 'COMMAND',
    )
    if (network === 'HOST' || isReached) return undefined
    return invalid('Checks by HTTP and TCP reach only Docker containers on the network of the host')
  }
  if (!containerizers.has('mesos')) return noContainerizer('other than Docker')
  if (!container) return undefined
  const asked: [boolean, string][] = [
    [
      container.mesos?.image !== undefined && !isolation.has('docker/runtime'),
      "container images without the isolator 'docker/runtime'",
    ],
    [container.mesos?.image?.type === 'APPC', 'images of type APPC'],
  ]
  const what = asked.find(([is]) => is)?.[1] ?? whyNotContained(container, isolation)
  if (what !== undefined) return unsupported(what)
  const resources = [...(task.resources ?? []), ...(task.executor?.resources ?? [])]
  return unsupportedNetworks(container, resources, isolation)
}

const unsupported = (what: string): Refusal =>
  launchFailed(`Failed to launch container: this agent does not support ${what}`)

/** `resources`: of all that is to be in it. */
function unsupportedNetworks(
  container: ContainerInfo,
  resources: readonly Resource[],
  isolation: Isolation,
): Refusal | undefined {
  const what = whyNoNetworks(container, isolation)
  if (what !== undefined) return unsupported(what)
  const why = whyMalformedNetworks(container, resources)
  return why === undefined ? undefined : launchFailed(`Failed to launch container: ${why}`)
}

function unsupportedCommand(
  command: CommandInfo | undefined,
  { framework, switching }: RefusalContext,
): Refusal | undefined {
  for (const { name, type, secret } of command?.environment?.variables ?? []) {
    if (type === 'SECRET' && secret?.value === undefined) {
      return launchFailed(
        `Failed to launch container: the environment variable '${name}' is a reference to a secret, and this agent resolves none; it takes those that come with their value`,
      )
    }
    if (type === 'SECRET' && Buffer.from(secret?.value?.data ?? '', 'base64').includes(0)) {
      return launchFailed(
        `Failed to launch container: the secret of the environment variable '${name}' contains a NUL character`,
      )
    }
    if (name === '' || name.includes('=') || name.includes('\0')) {
      return invalid(`'${name}' is no name of an environment variable`)
    }
  }
  const texts = [command?.value, ...(command?.arguments ?? [])]
  if (texts.some(text => text?.includes('\0'))) {
    return invalid('The command contains a NUL character')
  }
  const why = whyNotSwitched(otherUser(command, framework, switching), switching)
  if (why !== undefined) return launchFailed(`Failed to launch container: ${why}`)
  return undefined
}

/** TASK_DROPPED or TASK_GONE, in the words that the framework understands. */
export function stateFor(state: TaskState, framework: FrameworkInfo | undefined): TaskState {
  if (
    (state !== 'TASK_DROPPED' && state !== 'TASK_GONE') ||
    hasCapability(framework, 'PARTITION_AWARE')
  )
    return state
  return 'TASK_LOST'
}

export function hasCapability(framework: FrameworkInfo | undefined, name: string): boolean {
  return framework?.capabilities?.some(({ type }) => type === name) ?? false
}
