// Tasks as the leading master shows them, and where they run.

import * as v from 'valibot'
import { addressOf, parsePid } from '../../actors/pid.ts'
import { UserError } from '../../base/errors.ts'
import { ContainerID } from '../../messages/ids.ts'
import { leaderAddress } from '../leader.ts'

const LIMIT_MS = 5_000
const PAGE = 1_000

export const ShownTask = v.looseObject({
  id: v.string(),
  state: v.string(),
  framework_id: v.string(),
  executor_id: v.string(),
  slave_id: v.string(),
  statuses: v.optional(
    v.array(
      v.looseObject({
        state: v.string(),
        container_status: v.optional(v.looseObject({ container_id: v.optional(ContainerID) })),
      }),
    ),
    [],
  ),
})
export type ShownTask = v.InferOutput<typeof ShownTask>

const Tasks = v.object({ tasks: v.array(ShownTask) })
const Agents = v.object({ slaves: v.array(v.looseObject({ id: v.string(), pid: v.string() })) })

/** All tasks, the newest first. */
export async function allTasks(master: string): Promise<ShownTask[]> {
  const address = await leaderAddress(master)
  const tasks: ShownTask[] = []
  for (;;) {
    const query = new URLSearchParams({ limit: String(PAGE), offset: String(tasks.length) })
    const page = await ask(address, `/tasks?${query.toString()}`, Tasks)
    tasks.push(...page.tasks)
    if (page.tasks.length < PAGE) return tasks
  }
}

/** Those of this id: frameworks choose ids, and two may choose the same. The newest first. */
export async function tasksOf(master: string, id: string): Promise<ShownTask[]> {
  const query = new URLSearchParams({ task_id: id })
  const address = await leaderAddress(master)
  const { tasks } = await ask(address, `/tasks?${query.toString()}`, Tasks)
  return tasks.filter(task => task.id === id)
}

export interface RunningTask {
  readonly task: ShownTask
  readonly containerId: ContainerID
  /** Of its agent. */
  readonly address: string
}

/** Rejects with a `UserError` if there is no such task, or it does not run. */
export async function runningTask(master: string, id: string): Promise<RunningTask> {
  const tasks = await tasksOf(master, id)
  if (tasks.length === 0) throw noTask(id)
  const running = tasks.filter(task => task.state === 'TASK_RUNNING')
  const [task, another] = running
  if (!task)
    throw new UserError('not_found', `Task '${id}' does not run: it is ${tasks[0]!.state}.`)
  if (another) {
    throw new UserError('invalid_value', `More than one running task has the id '${id}'.`, {
      hint: 'Their frameworks chose the same id; this command cannot tell them apart.',
    })
  }
  const containerId = task.statuses.findLast(status => status.container_status?.container_id)
    ?.container_status?.container_id
  const query = new URLSearchParams({ slave_id: task.slave_id })
  const { slaves } = await ask(await leaderAddress(master), `/slaves?${query.toString()}`, Agents)
  const pid = parsePid(slaves.find(agent => agent.id === task.slave_id)?.pid ?? '')
  if (!containerId || !pid) {
    throw new UserError('unavailable', `The master does not know yet where task '${id}' runs.`)
  }
  return { task, containerId, address: addressOf(pid) }
}

export const noTask = (id: string): UserError =>
  new UserError('not_found', `There is no task '${id}' in the cluster.`, {
    hint: "List them with 'mesos task list --all'.",
  })

async function ask<T>(
  address: string,
  path: string,
  schema: v.GenericSchema<unknown, T>,
): Promise<T> {
  let response: Response
  let body: string
  try {
    response = await fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(LIMIT_MS) })
    body = await response.text()
  } catch (error) {
    const { cause, message } = error as Error
    const why = cause instanceof Error ? cause.message || 'no connection' : message
    throw new UserError('unreachable', `No answer from the master at ${address}: ${why}.`)
  }
  if (response.status !== 200) {
    throw new UserError('unavailable', `${address} answered ${response.status}: ${body.trim()}`)
  }
  const parsed = v.safeParse(schema, parseJson(body))
  if (parsed.success) return parsed.output
  throw new UserError('invalid_value', `What ${address} answers is not what a master does.`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
