// What an agent that starts does with what the one before it left: goes on with it, or ends it.

import { UserError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import type { AgentInfo } from '../messages/agent.ts'
import type { CheckpointDisk } from './checkpoint/checkpoint-disk.ts'
import { type Policy, whyIncompatible } from './checkpoint/compatible.ts'
import { metaLatestLink } from './checkpoint/meta-paths.ts'
import { type RecoveredAgent, type RecoveredExecutor, recover } from './checkpoint/recover.ts'
import { amountsOf } from './containerizer/demands.ts'
import type { Resource } from '../messages/resource.ts'
import type { AgentOptions } from './options.ts'
import type { CommandInfo } from '../messages/command.ts'
import type { FrameworkInfo } from '../messages/framework.ts'
import { nestedContainer } from './nested.ts'
import { sandboxDir } from './paths.ts'
import { otherUser } from './run-as.ts'
import type { KnownContainer } from './processes.ts'
import type { Recovered } from './recovered.ts'

export interface RecoverAgentOptions {
  readonly disk: CheckpointDisk
  readonly strict: boolean
  readonly policy: Policy
  /** End what is left, and forget who the agent was. */
  readonly cleanup: boolean
  readonly log: Logger
}

/**
 * To be called once, before the agent starts; undefined if it is a new one. Rejects with a `UserError`, and nothing is changed,
 * if a checkpoint cannot be read or the agent was started so that it cannot go on as the one it was.
 */
export async function recoverAgent(
  options: AgentOptions,
  { disk, strict, policy, cleanup, log }: RecoverAgentOptions,
): Promise<Recovered | undefined> {
  const { processes, workDir } = options
  const found = cleanup ? undefined : await recover({ disk, workDir, strict })
  for (const error of found?.errors ?? []) log.error({ error }, 'a checkpoint is left out')
  if (!found) {
    await processes.recover?.([])
    if (!cleanup) return undefined
    await disk.remove(metaLatestLink(workDir))
    log.info('what the agent before this one left has been ended')
    return undefined
  }
  const resources = asBefore(found.info, options)
  checkCompatible(found.info, { ...options, resources }, policy)
  const containers = (await processes.recover?.(knownContainers(found, options))) ?? new Map()
  for (const directory of found.abandoned) await disk.remove(directory)
  return {
    agentId: found.info.id!.value,
    resources,
    frameworks: found.frameworks,
    drain: found.drain,
    containers,
    errors: found.errors.length,
  }
}

/** What the machine was asked for, such as what is free on its disk, it need not have twice: that is what it was. */
function asBefore(before: AgentInfo, { resources, detected = [] }: AgentOptions): Resource[] {
  const had = before.resources ?? []
  const isKept = (name: string): boolean =>
    detected.includes(name) && had.some(resource => resource.name === name)
  return [
    ...resources.filter(({ name }) => !isKept(name)),
    ...had.filter(({ name }) => isKept(name)),
  ]
}

function checkCompatible(before: AgentInfo, options: AgentOptions, policy: Policy): void {
  const { hostname, port, resources, attributes, workDir } = options
  const now = { hostname, port, resources: [...resources], attributes: [...attributes] }
  const changes = whyIncompatible(before, now, policy)
  if (changes.length === 0) return
  throw new UserError(
    'conflict',
    `Agent ${before.id!.value} was started otherwise before: ${changes.join('; ')}.`,
    {
      hint:
        'Start it as it was; or with --reconfiguration_policy=additive, if there is only more than before; or end its tasks with ' +
        `--recover=cleanup, after which a new agent can start here (so it can when the link ${metaLatestLink(workDir)} is removed).`,
    },
  )
}

function knownContainers(found: RecoveredAgent, options: AgentOptions): KnownContainer[] {
  return found.frameworks.flatMap(({ info, executors }) =>
    executors.flatMap(executor => knownContainersOf(executor, info, found.info, options)),
  )
}

function knownContainersOf(
  { kind, containerId, info, tasks }: RecoveredExecutor,
  framework: FrameworkInfo,
  agent: AgentInfo,
  options: AgentOptions,
): KnownContainer[] {
  const place = {
    agentId: agent.id!.value,
    frameworkId: framework.id!.value,
    executorId: info.executor_id.value,
  }
  const cwd = sandboxDir(options.workDir, place, containerId)
  const as = (command: CommandInfo | undefined): { readonly user?: string } => {
    const user = otherUser(command, framework, options)
    return user === undefined ? {} : { user }
  }
  if (kind === 'default') {
    return tasks.map(({ info: task }) => {
      const nested = nestedContainer(containerId, cwd, task.task_id.value)
      return {
        containerId: nested.containerId,
        cwd: nested.sandbox,
        ...as(task.command),
        ...amountsOf([task]),
        container: task.container,
        command: task.command,
      }
    })
  }
  const infos = tasks.map(task => task.info)
  const command = kind === 'custom' ? info.command : infos[0]?.command
  return [
    {
      containerId,
      cwd,
      ...as(command),
      ...amountsOf(infos, info.resources),
      container: info.container ?? infos[0]?.container,
      command,
    },
  ]
}
