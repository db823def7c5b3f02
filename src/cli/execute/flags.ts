// The flags of mesos-execute, and the task and framework they describe. Pure.

import * as v from 'valibot'
import { trustFlags } from '../../actors/trust-flags.ts'
import { whyNoPathSegment } from '../../agent/paths.ts'
import { UserError } from '../../base/errors.ts'
import { defineFlags, flag, type FlagValues } from '../../base/flags.ts'
import { masterFlag } from '../../detector/flags.ts'
import type { FrameworkDescription } from '../../framework/description.ts'
import { Environment } from '../../messages/command.ts'
import { type ExecutorInfo, TaskInfo } from '../../messages/task.ts'
import { parseResources } from '../../resources/parse.ts'
import { Resources } from '../../resources/resources.ts'
import { containerErrors, containerFlags, containerOf, wordsOf } from './container.ts'

export const executeFlags = defineFlags({
  master: masterFlag(),
  ...trustFlags,
  name: flag.string({
    help: 'Name of the task, which is its id too.',
    example: 'hello',
    validate: text => {
      const why = whyNoPathSegment(text)
      return why && `a task's id cannot be '${text}': it ${why}`
    },
  }),
  command: flag.string({ help: 'The command to run.', example: 'echo hello' }),
  shell: flag.boolean({
    help: 'Run the command by /bin/sh -c. Otherwise its first word is a program, the others are its arguments.',
    default: true,
  }),
  env: flag.json(readEnvironment, {
    help: 'Environment of the command: an object of names and values.',
    example: '{"GREETING":"hello"}',
  }),
  resources: flag.string({
    help: 'What the task needs; mem and disk in MB.',
    default: 'cpus:1;mem:128',
    validate: problemWithResources,
  }),
  task: flag.json(readTask, {
    help: 'The whole task as a TaskInfo of the v1 API, instead of --name, --command, --env and --resources.',
    example: '/path/to/task.json',
  }),
  task_group: flag.json(readTaskGroup, {
    help: 'A task group as a TaskGroupInfo of the v1 API: its tasks run together, and if one of them fails the others are killed.',
    example: '/path/to/task_group.json',
  }),
  ...containerFlags,
  role: flag.string({ help: 'Role to get offers for.', default: '*' }),
  principal: flag.string({ help: 'Principal of the framework.', example: 'ops' }),
  checkpoint: flag.boolean({
    help: 'Give the agent, after a broken connection, the time of its pings to come back before the task counts as lost.',
  }),
  framework_capabilities: flag.list({
    help: 'Capabilities of the framework, such as GPU_RESOURCES.',
    example: 'GPU_RESOURCES',
  }),
  partition_aware: flag.boolean({
    help: 'Go on waiting for a task whose agent is unreachable; otherwise it counts as lost.',
    default: true,
  }),
  kill_after: flag.duration({ help: 'Kill the task when it has run for so long.' }),
  follow: flag.boolean({
    help: "Print the task's standard output and error here, while it runs.",
    default: true,
  }),
})

export type ExecuteFlags = FlagValues<typeof executeFlags>

/** What the flags lack together, or contradict. */
export function checkExecuteFlags(flags: ExecuteFlags): string[] {
  const { task, task_group: group, name, command, docker_image: image, shell, networks } = flags
  if (task !== undefined && group !== undefined) {
    return ["Flags '--task' and '--task_group' are two ways to say what to run: leave out one."]
  }
  const whole = task !== undefined ? 'task' : group !== undefined ? 'task_group' : undefined
  if (whole !== undefined) {
    if (task !== undefined && networks !== undefined) {
      return ["Flag '--networks' is for a task of flags, or a group: '--task' says its own."]
    }
    if (flags.tty) return ["Flag '--tty' is for a task of flags: others say their own (tty_info)."]
    return name === undefined && command === undefined && image === undefined
      ? []
      : [
          `Flag '--${whole}' describes the whole ${whole === 'task' ? 'task' : 'group'}: leave out '--name', '--command' and '--docker_image'.`,
        ]
  }
  const errors: string[] = []
  if (name === undefined) errors.push("Flag '--name' is required, for example '--name=hello'.")
  const imageSays = image !== undefined && (!shell || flags.containerizer === 'docker')
  if (command === undefined && !imageSays) {
    errors.push(
      "Flag '--command' is required, for example '--command=echo hello' (or give '--task').",
    )
  }
  return [...errors, ...containerErrors(flags)]
}

/** A task that does not know yet on which agent, and with which part of an offer, it will run. */
export type WantedTask = Omit<TaskInfo, 'agent_id'>

/** One task, or a group with the executor that it runs on. */
export interface Wanted {
  readonly tasks: readonly WantedTask[]
  readonly executor?: ExecutorInfo
}

/** What its own executor takes at least; beside the tasks, as in Mesos' mesos-execute. */
const GROUP_EXECUTOR_RESOURCES = 'cpus:0.1;mem:32;disk:32'

export function wantedOf(flags: ExecuteFlags): Wanted {
  if (!flags.task_group) return { tasks: [taskOf(flags)] }
  // Its tasks share the networks that their executor is in.
  const container = containerOf(flags)
  const executor: ExecutorInfo = {
    type: 'DEFAULT',
    executor_id: { value: 'default-executor' },
    resources: parseResources(GROUP_EXECUTOR_RESOURCES).list(),
    ...(container && { container }),
  }
  return { tasks: flags.task_group, executor }
}

/** Below the directory by which an agent shows the output of what runs: see outputPath. */
export function outputsOf({ tasks, executor }: Wanted): { executorId: string; below: string }[] {
  return tasks.map(task => {
    const taskId = task.task_id.value
    if (executor) return { executorId: executor.executor_id.value, below: `tasks/${taskId}/` }
    return { executorId: task.executor?.executor_id.value ?? taskId, below: '' }
  })
}

export function taskOf(flags: ExecuteFlags): WantedTask {
  if (flags.task) return flags.task
  const { name = '', command, shell, env, resources } = flags
  const container = containerOf(flags)
  return {
    name,
    task_id: { value: name },
    resources: parseResources(resources).list(),
    command: {
      ...(shell && command !== undefined ? { shell, value: command } : wordsOf(command, flags)),
      ...(env && { environment: env }),
    },
    ...(container && { container }),
  }
}

export function frameworkOf(flags: ExecuteFlags): FrameworkDescription {
  const { role, principal, checkpoint, framework_capabilities = [], partition_aware } = flags
  const names = [...framework_capabilities, ...(partition_aware ? ['PARTITION_AWARE'] : [])]
  return {
    name: 'mesos-execute instance',
    roles: [role],
    checkpoint,
    capabilities: [...new Set(names)].map(type => ({ type })),
    ...(principal !== undefined && { principal }),
  }
}

function problemWithResources(text: string): string | undefined {
  try {
    return parseResources(text).isEmpty ? 'there is nothing in it' : undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** `{"A":"b"}`, or an Environment of the v1 API. */
function readEnvironment(json: unknown): Environment {
  const plain = v.safeParse(v.record(v.string(), v.string()), json)
  if (plain.success) {
    return { variables: Object.entries(plain.output).map(([name, value]) => ({ name, value })) }
  }
  return read(Environment, Array.isArray(json) ? undefined : json, 'an object of names and texts')
}

function readTask(json: unknown): WantedTask {
  const shape = typeof json === 'object' && json !== null ? json : {}
  // The agent is not known before there is an offer, so a task that is written down has none.
  const { agent_id: _, ...task } = read(
    TaskInfo,
    { agent_id: { value: '' }, ...shape },
    'a TaskInfo',
  )
  if (Resources.of(task.resources).isEmpty) {
    throw new UserError('invalid_value', "the task has no 'resources'")
  }
  return task
}

function readTaskGroup(json: unknown): readonly WantedTask[] {
  const tasks = (json as { tasks?: unknown } | null)?.tasks
  if (!Array.isArray(tasks) || tasks.length === 0) {
    throw new UserError('invalid_value', "it is not a TaskGroupInfo: it has no list 'tasks'")
  }
  return tasks.map(readTask)
}

function read<T>(schema: v.GenericSchema<unknown, T>, json: unknown, what: string): T {
  const result = v.safeParse(schema, json)
  if (result.success) return result.output
  const [issue] = result.issues
  const at = v.getDotPath(issue)
  throw new UserError('invalid_value', `it is not ${what}: ${at ? `${at}: ` : ''}${issue.message}`)
}
