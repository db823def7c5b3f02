// mesos task: what runs in the cluster, and a way into it.

import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { operatorToken } from '../../actors/shared-secret.ts'
import { trustFlags } from '../../actors/trust-flags.ts'
import { exitCodeOf } from '../../agent/wait-status.ts'
import { UserError } from '../../base/errors.ts'
import { defineFlags, flag } from '../../base/flags.ts'
import { whyNoMasters } from '../../detector/location.ts'
import type { Command } from '../main.ts'
import { AgentCalls } from './agent-calls.ts'
import { passInput, passOutput, requireTerminal, windowSize } from './conversation.ts'
import { allTasks, noTask, runningTask, type ShownTask, tasksOf } from './find-task.ts'

const masterFlags = {
  master: flag.string({
    help: 'The leading master: host:port; of several masters all of them, with commas between; or zk://host:port/path.',
    default: '127.0.0.1:5050',
    validate: whyNoMasters,
  }),
}
const TASK = { name: 'TASK', required: true, help: "The task's id." }

const listFlags = defineFlags({
  ...masterFlags,
  all: flag.boolean({ help: 'Those that do not run, too.' }),
})

export const listCommand: Command<typeof listFlags> = {
  name: 'mesos task list',
  summary: 'Lists the tasks that run.',
  flags: listFlags,
  examples: ['mesos task list --all'],
  run: async ({ master, all }) => {
    const tasks = await allTasks(master)
    const shown = all ? tasks : tasks.filter(({ state }) => state === 'TASK_RUNNING')
    process.stdout.write(shown.length === 0 ? NO_TASKS : tableOf(shown))
    return 0
  },
}

const NO_TASKS = 'There are no tasks running in the cluster.\n'
const HEAD = ['ID', 'State', 'Framework ID', 'Executor ID']

function tableOf(tasks: readonly ShownTask[]): string {
  const rows = tasks.map(({ id, state, framework_id, executor_id }) => [
    id,
    state,
    framework_id,
    // A command's executor has the task's own name, and the master shows it without.
    executor_id === '' ? id : executor_id,
  ])
  const widths = HEAD.map((head, column) =>
    Math.max(head.length, ...rows.map(row => row[column]!.length)),
  )
  return [HEAD, ...rows]
    .map(
      row =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

const inspectFlags = defineFlags(masterFlags)

export const inspectCommand: Command<typeof inspectFlags> = {
  name: 'mesos task inspect',
  summary: 'What the master knows of a task, as JSON.',
  flags: inspectFlags,
  positionals: [TASK],
  examples: ['mesos task inspect web.1'],
  run: async ({ master }, { positional: [id = ''] }) => {
    const [newest] = await tasksOf(master, id)
    if (!newest) throw noTask(id)
    process.stdout.write(`${JSON.stringify(newest, undefined, 4)}\n`)
    return 0
  },
}

const execFlags = defineFlags({
  ...masterFlags,
  ...trustFlags,
  interactive: flag.boolean({ help: 'Pass on our standard input. Also -i.' }),
  tty: flag.boolean({ help: 'Give the command a terminal, of the size of this one. Also -t.' }),
})

export const execCommand: Command<typeof execFlags> = {
  name: 'mesos task exec',
  summary:
    "Runs a command inside of a running task's container, as the task's user, and exits with its status (128 and its number for a signal).",
  flags: execFlags,
  positionals: [
    TASK,
    {
      name: 'COMMAND',
      required: true,
      rest: true,
      isCommand: true,
      help: 'A program that is found there, and its arguments.',
    },
  ],
  examples: ['mesos task exec web.1 ps aux', 'mesos task exec -it web.1 sh'],
  run: async (flags, { positional: [id = '', program = '', ...args] }) => {
    if (flags.tty) requireTerminal()
    const { containerId: parent, address } = await runningTask(flags.master, id)
    const calls = new AgentCalls({ address, token: tokenOf(flags) })
    const containerId = { value: randomUUID(), parent }
    const output = await calls.output({
      type: 'LAUNCH_NESTED_CONTAINER_SESSION',
      launch_nested_container_session: {
        container_id: containerId,
        command: { shell: false, value: program, arguments: [program, ...args] },
        ...(flags.tty && {
          container: { type: 'MESOS', tty_info: { window_size: windowSize() } },
        }),
      },
    })
    const ended = new AbortController()
    const input = calls.input(containerId, why => {
      if (why !== undefined && !ended.signal.aborted) process.stderr.write(`mesos: ${why}\n`)
    })
    let release = (): void => input.close()
    if (flags.interactive) {
      release = passInput(input, { isTerminal: flags.tty, canDetach: false }, () => {})
    } else if (!flags.tty) input.endOfInput()
    try {
      await passOutput(output, new Promise(() => {}))
      const wait = { container_id: containerId }
      return statusOf(
        await calls.call({ type: 'WAIT_NESTED_CONTAINER', wait_nested_container: wait }),
      )
    } finally {
      ended.abort()
      release()
    }
  },
}

const attachFlags = defineFlags({
  ...masterFlags,
  ...trustFlags,
  stdin: flag.boolean({
    default: true,
    help: 'Pass on what is typed here; Ctrl-p Ctrl-q leaves the task alone. It has to have a terminal for that.',
  }),
})

export const attachCommand: Command<typeof attachFlags> = {
  name: 'mesos task attach',
  summary:
    "Shows what a running task says from now on, and passes on what is typed to the task's terminal.",
  flags: attachFlags,
  positionals: [TASK],
  examples: ['mesos task attach shell.1', 'mesos task attach --no-stdin web.1'],
  run: async (flags, { positional: [id = ''] }) => {
    const { containerId, address } = await runningTask(flags.master, id)
    const calls = new AgentCalls({ address, token: tokenOf(flags) })
    const output = await calls.output({
      type: 'ATTACH_CONTAINER_OUTPUT',
      attach_container_output: { container_id: containerId },
    })
    let leave = (): void => {}
    let refused: string | undefined
    const left = new Promise<void>(resolve => {
      leave = resolve
    })
    let release = (): void => {}
    if (flags.stdin) {
      const input = calls.input(containerId, why => {
        refused = why
        if (why !== undefined) leave()
      })
      release = passInput(input, { isTerminal: true, canDetach: true }, leave)
    }
    try {
      await passOutput(output, left)
    } finally {
      release()
    }
    if (refused === undefined) return 0
    throw new UserError('unavailable', refused, { hint: 'To look on only, use --no-stdin.' })
  },
}

function tokenOf({ cluster_secret: secret }: { cluster_secret?: string | undefined }) {
  return secret === undefined ? undefined : operatorToken(secret)
}

const Waited = v.object({
  wait_nested_container: v.object({ exit_status: v.optional(v.number()) }),
})
const SIGNAL_BITS = 0x7f
const SIGNAL_BASE = 128

function statusOf(answer: string): number {
  const { exit_status: status } = v.parse(Waited, JSON.parse(answer)).wait_nested_container
  if (status === undefined) return 1
  return exitCodeOf(status) ?? SIGNAL_BASE + (status & SIGNAL_BITS)
}
