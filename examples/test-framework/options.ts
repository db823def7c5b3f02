// The command line of the test framework.

import { readFileSync, statSync } from 'node:fs'
import { parseAddress } from '../../src/actors/pid.ts'
import { trustFlags } from '../../src/actors/trust-flags.ts'
import { parseDuration } from '../../src/base/duration.ts'
import { defineFlags, flag, parseFlags, type Positional } from '../../src/base/flags.ts'
import { helpText } from '../../src/base/flags-help.ts'
import type { FrameworkDescription } from '../../src/framework/framework.ts'

export interface Options {
  readonly master: string
  readonly framework: FrameworkDescription
  readonly totalTasks: number
  readonly taskDurationMs: number
  readonly clusterSecret: string | undefined
}

const flags = defineFlags({
  total_tasks: flag.integer({
    help: 'How many tasks to run. Also TOTAL_TASKS.',
    default: 5,
    min: 1,
  }),
  task_duration: flag.string({
    help: 'How long each task takes: a duration, or a number of seconds. Also TASK_DURATION.',
    default: '1secs',
    validate: text => (toMs(text) > 0 ? undefined : 'it is zero'),
  }),
  name: flag.string({ help: 'Name of the framework.', default: 'Test Framework' }),
  ...trustFlags,
  role: flag.string({ help: 'Role to get offers for.', default: '*' }),
  checkpoint: flag.boolean({ help: 'Let tasks survive a restart of their agent.' }),
  failover_timeout: flag.duration({ help: 'How long tasks outlive the scheduler.', default: 0 }),
})

const positionals: readonly Positional[] = [
  { name: 'master', help: 'Address of the master, host:port.', required: true },
]

/** A bare number means seconds. */
function toMs(text: string): number {
  return parseDuration(/^[\d.]+$/.test(text) ? `${text}secs` : text)
}

/** Undefined if there is nothing to run; what there was to say is printed then, and the exit status set. */
export function readOptions(): Options | undefined {
  const { TOTAL_TASKS, TASK_DURATION } = process.env
  const parsed = parseFlags(flags, {
    argv: process.argv.slice(2),
    env: { MESOS_TOTAL_TASKS: TOTAL_TASKS, MESOS_TASK_DURATION: TASK_DURATION, ...process.env },
    readFile: path => readFileSync(path, 'utf8'),
    isPublic: path => (statSync(path).mode & 0o004) !== 0,
    positionals,
  })
  if (!parsed.ok && parsed.wants) {
    const summary = 'Runs tasks on an executor of its own, and succeeds if all of them finish.'
    console.log(helpText({ name: 'test-framework', summary, flags, positionals }))
    return undefined
  }
  const master = parsed.ok ? parsed.positional[0]! : ''
  const errors = parsed.ok ? [] : [...parsed.errors]
  if (parsed.ok && !parseAddress(master)) {
    errors.push(`'${master}' is no address of a master; write host:port, such as 127.0.0.1:5050.`)
  }
  if (!parsed.ok || errors.length > 0) {
    console.error(errors.join('\n'))
    process.exitCode = 1
    return undefined
  }
  const { values, warnings } = parsed
  if (warnings.length > 0) console.error(warnings.join('\n'))
  const { total_tasks, task_duration, name, role, checkpoint, failover_timeout } = values
  return {
    master,
    framework: {
      name,
      roles: [role],
      checkpoint,
      failover_timeout: failover_timeout / 1_000,
    },
    totalTasks: total_tasks,
    taskDurationMs: toMs(task_duration),
    clusterSecret: values.cluster_secret,
  }
}
