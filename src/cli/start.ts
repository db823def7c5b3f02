// npm start: a cluster of three agents on this machine, with the example framework at work on it.

import { defineFlags, flag } from '../base/flags.ts'
import type { Cluster } from './cluster.ts'
import { clusterFlags, clusterOptions, say, withCluster } from './local.ts'
import { main } from './main.ts'
import { Progress } from './progress.ts'

const flags = defineFlags({
  ...clusterFlags,
  num_agents: flag.integer({ help: 'How many agents to start.', default: 3, min: 1, max: 64 }),
  total_tasks: flag.integer({ help: 'Tasks of the example framework.', default: 40, min: 1 }),
  task_duration: flag.duration({ help: 'How long each of them takes.', default: 2_000 }),
})

/** Without a terminal, how often a line may say how far the tasks are. */
const LINE_INTERVAL_MS = 500
const FIRST_LINE_MS = 20

await main({
  name: 'npm start --',
  summary: 'Runs a cluster on this machine, and the example framework on it, until Ctrl-C.',
  flags,
  run: (options, { warnings }) => {
    for (const warning of warnings) say(warning)
    const { num_agents, total_tasks, task_duration } = options
    return withCluster(clusterOptions(options), async (cluster, interrupted) => {
      say(`One master and ${num_agents} agents are running; logs: ${cluster.workDir}/*.log`)
      say(`Dashboard: http://${cluster.master}`)
      say('')
      say(`The example framework runs ${total_tasks} tasks (examples/test-framework):`)
      const args = [`--total_tasks=${total_tasks}`, `--task_duration=${task_duration}ms`]
      const status = await runExample(cluster, total_tasks, args, interrupted)
      if (status === undefined) return 0
      say('')
      say(status === 0 ? 'All tasks have finished.' : 'Not all tasks have finished.')
      say(`The cluster goes on: http://${cluster.master}   Try in another terminal:`)
      say(
        `  npx mesos-execute --master=${cluster.master} --name=hello --command='echo hi; sleep 1'`,
      )
      say(`  npx test-framework ${cluster.master}`)
      say('Ctrl-C ends it.')
      return status
    })
  },
})

/** Resolves to the framework's exit status, or to undefined if there was an interruption before its end. */
async function runExample(
  cluster: Cluster,
  total: number,
  args: readonly string[],
  interrupted: Promise<void>,
): Promise<number | undefined> {
  const progress = new Progress(total)
  const show = process.stdout.isTTY ? showBar(progress) : showLines(progress)
  const child = cluster.run(
    'example',
    'examples/test-framework/main.js',
    [cluster.master, ...args],
    line => {
      if (progress.take(line)) show()
    },
  )
  const ended = await Promise.race([child.ended, interrupted.then(() => undefined)])
  if (process.stdout.isTTY) say('')
  if (ended === undefined) return undefined
  if (ended !== 0) say(child.lastWords())
  return ended === 0 ? 0 : 1
}

function showBar(progress: Progress): () => void {
  return () => process.stdout.write(`\r${progress.bar()}`)
}

function showLines(progress: Progress): () => void {
  let timer: NodeJS.Timeout | undefined
  let shown = ''
  const show = (): void => {
    timer = undefined
    if (progress.text() !== shown) say(progress.text())
    shown = progress.text()
  }
  return () => {
    // The first line comes soon, to show how tasks start; and the last one, before others are said.
    timer ??= setTimeout(show, shown === '' ? FIRST_LINE_MS : LINE_INTERVAL_MS)
    if (!progress.done) return
    clearTimeout(timer)
    show()
  }
}
