// Containers as messages name them (a chain of ids), and as the agent knows them.

import type { ContainerID } from '../../messages/ids.ts'
import type { AgentExecutor, AgentState } from '../agent-state.ts'
import { nestedContainer } from '../nested.ts'

/** Mesos: as deep as that, and no ids that are longer. */
const MAX_DEPTH = 32
const ID = /^[\w-]{1,242}$/

/** Why a name for a new container in another one is none; undefined if it is one. */
export function whyNoName({ value, parent }: ContainerID): string | undefined {
  if (!parent) return 'it has no parent: containers beside those of executors are not supported'
  if (!ID.test(value)) return `its id has to be 1 to 242 letters, digits, '-' or '_'`
  return undefined
}

/** Unique among all that are named on an agent. Undefined for a chain without end, or with an id that nothing can have. */
export function chainOf(id: ContainerID): string | undefined {
  const ids: string[] = []
  for (let at: ContainerID | undefined = id; at; at = at.parent) {
    if (!ID.test(at.value) || ids.length === MAX_DEPTH) return undefined
    ids.unshift(at.value)
  }
  return ids.join('.')
}

/** A container that the agent launched for an executor or a task. */
export interface FoundContainer {
  /** Under which the launchers know it. */
  readonly containerId: string
  readonly executor: AgentExecutor
  readonly sandbox: string
  readonly hasTerminal: boolean
}

/** The one of that name, unless it has ended. */
export function findContainer(state: AgentState, id: ContainerID): FoundContainer | undefined {
  const { value, parent } = id
  if (parent?.parent) return undefined
  for (const executor of state.executors()) {
    const { kind, containerId, directory: sandbox, info, tasks } = executor
    if (executor.state === 'TERMINATED') continue
    if (!parent && kind !== 'default' && containerId === value) {
      const [task] = tasks.values()
      const container = kind === 'command' ? task?.container : info.container
      return { containerId, executor, sandbox, hasTerminal: container?.tty_info !== undefined }
    }
    if (kind !== 'default' || parent?.value !== containerId) continue
    for (const [taskId, { container }] of tasks) {
      const nested = nestedContainer(containerId, sandbox, taskId)
      if (nested.named.value !== value) continue
      const hasTerminal = container?.tty_info !== undefined
      return { containerId: nested.containerId, executor, sandbox: nested.sandbox, hasTerminal }
    }
  }
  return undefined
}
