// mesos-execute: runs one command on the cluster as if it ran here: its output, and its success as exit status.

import {
  checkExecuteFlags,
  executeFlags,
  frameworkOf,
  outputsOf,
  wantedOf,
} from './execute/flags.ts'
import { addressOf } from '../actors/pid.ts'
import type { Command } from './main.ts'

export const executeCommand: Command<typeof executeFlags> = {
  name: 'mesos-execute',
  summary:
    'Runs a command on the cluster, prints its output, and exits with 0 if it finished well, otherwise with 1. Ctrl-C kills it.',
  flags: executeFlags,
  examples: [
    "mesos-execute --master=127.0.0.1:5050 --name=hello --command='echo hi; sleep 1'",
    "mesos-execute --master=127.0.0.1:5050 --name=hello --command=date --resources='cpus:0.1;mem:32'",
  ],
  check: checkExecuteFlags,
  run: async (flags, { warnings }) => {
    for (const warning of warnings) process.stderr.write(`${warning}\n`)
    const wanted = wantedOf(flags)
    const [{ runScheduler }, { ExecuteScheduler }, { Terminal }] = await Promise.all([
      import('../framework/run.ts'),
      import('./execute/scheduler.ts'),
      import('./execute/terminal.ts'),
    ])
    const watcher = new Terminal(flags, outputsOf(wanted), () => addressOf(scheduler.server))
    const options = { master: flags.master, framework: frameworkOf(flags) }
    const scheduler: InstanceType<typeof ExecuteScheduler> = new ExecuteScheduler(
      options,
      wanted,
      watcher,
      flags.kill_after,
    )
    const secret = flags.cluster_secret
    const status = await runScheduler(scheduler, secret ? { clusterSecret: secret } : {})
    if (status !== 0) return status
    return scheduler.succeeded ? 0 : 1
  },
}
