// Containers of a default executor's tasks: their names, and where their sandboxes are.
//
//   <the executor's sandbox>/
//   ├── containers/<nested container id>/    the task's sandbox, with stdout and stderr
//   └── tasks/<task id> → ../containers/…

import { createHash } from 'node:crypto'
import type { ContainerID } from '../messages/ids.ts'
import type { AgentExecutor } from './agent-state.ts'

/** A nested container, under the name that the launchers know it by, and as messages name it. */
export interface NestedContainer {
  readonly containerId: string
  readonly named: ContainerID
  readonly sandbox: string
  readonly link: string
  /** What the link says. */
  readonly target: string
}

/**
 * Made of its executor's and its task's name, so that an agent that starts need not be told: no two tasks of an executor have
 * one name at a time.
 */
export function nestedContainer(
  executorContainerId: string,
  directory: string,
  taskId: string,
): NestedContainer {
  const value = childOf(executorContainerId, taskId)
  return {
    containerId: nestedId(executorContainerId, taskId),
    named: { value, parent: { value: executorContainerId } },
    sandbox: `${directory}/containers/${value}`,
    link: `${directory}/tasks/${taskId}`,
    target: `../containers/${value}`,
  }
}

/** As messages name the container that launchers know by this id. */
export function namedOf(containerId: string): ContainerID {
  const [parent, child] = containerId.split('.')
  return child === undefined ? { value: containerId } : { value: child, parent: { value: parent! } }
}

export function nestedId(executorContainerId: string, taskId: string): string {
  return `${executorContainerId}.${childOf(executorContainerId, taskId)}`
}

/** Of all containers that an executor has or had, as far as the agent knows their tasks. */
export function containersOf({
  kind,
  containerId,
  tasks,
  terminated,
}: Pick<AgentExecutor, 'kind' | 'containerId' | 'tasks' | 'terminated'>): string[] {
  if (kind !== 'default') return [containerId]
  return [...tasks.keys(), ...terminated.keys()].map(taskId => nestedId(containerId, taskId))
}

const UUID_PARTS = /^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/

function childOf(executorContainerId: string, taskId: string): string {
  const hash = createHash('sha256').update(`${executorContainerId}\n${taskId}`).digest('hex')
  return hash.replace(UUID_PARTS, '$1-$2-$3-$4-$5')
}
