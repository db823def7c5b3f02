// mesos-local: a whole cluster on this machine, until Ctrl-C.

import { trustFlags } from '../actors/trust-flags.ts'
import { whyNoResources } from '../agent/flags.ts'
import { defineFlags, flag, type FlagValues } from '../base/flags.ts'
import { whyNoIp } from '../base/server-flags.ts'
import { onStopSignal } from '../framework/stop-signals.ts'
import { type Cluster, type ClusterOptions, startCluster } from './cluster.ts'
import type { Command } from './main.ts'

/** Flags of a cluster on this machine. */
export const clusterFlags = defineFlags({
  ...trustFlags,
  num_agents: flag.integer({
    help: 'How many agents to start.',
    default: 1,
    min: 1,
    max: 64,
    aliases: ['num_slaves'],
  }),
  ip: flag.string({ help: 'Address to listen on.', default: '127.0.0.1', validate: whyNoIp }),
  port: flag.integer({
    help: 'Port of the master; agents take the next free ones. 0: any.',
    default: 5050,
    min: 0,
    max: 65_000,
  }),
  work_dir: flag.path({
    help: 'Where master and agents keep their files, and their logs.',
    defaultText: 'a temporary directory, removed at the end',
    example: '/tmp/cluster',
  }),
  resources: flag.string({
    help: 'What each agent offers.',
    defaultText: 'its share of the machine',
    example: 'cpus:2;mem:1024',
    validate: whyNoResources,
  }),
})

export const localCommand: Command<typeof clusterFlags> = {
  name: 'mesos-local',
  summary: 'Runs a master and some agents on this machine, each its own process, until Ctrl-C.',
  flags: clusterFlags,
  examples: ['mesos-local --num_agents=3'],
  run: (flags, { warnings }) => {
    for (const warning of warnings) say(warning)
    const { num_agents } = flags
    return withCluster(clusterOptions(flags), async cluster => {
      say(`A cluster of ${num_agents === 1 ? 'one agent' : `${num_agents} agents`} is running.`)
      say(`Dashboard: http://${cluster.master}`)
      say(`Logs: ${cluster.workDir}/*.log`)
      say('Ctrl-C ends it.')
      return 0
    })
  },
}

/** What these flags say of a cluster. */
export function clusterOptions(flags: FlagValues<typeof clusterFlags>): ClusterOptions {
  const { num_agents, ip, port, work_dir, resources, cluster_secret } = flags
  return { agents: num_agents, ip, port, workDir: work_dir, resources, secret: cluster_secret }
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/**
 * Starts a cluster, calls `use`, and serves until a signal comes; then ends every process. Resolves to the exit status:
 * what `use` resolved to, or 1 if the master was lost.
 */
export async function withCluster(
  options: ClusterOptions,
  use: (cluster: Cluster, interrupted: Promise<void>) => Promise<number>,
): Promise<number> {
  const abort = new AbortController()
  const interrupted = new Promise<void>(resolve => {
    abort.signal.addEventListener('abort', () => resolve())
  })
  onStopSignal(
    ['SIGINT', 'SIGTERM', 'SIGHUP'],
    () => abort.abort(),
    // Children end by themselves when this process is gone.
    () => process.exit(1),
  )
  let cluster: Cluster
  try {
    cluster = await startCluster(options, say, abort.signal)
  } catch (error) {
    if (abort.signal.aborted) return 0
    throw error
  }
  try {
    const end = await Promise.race([
      Promise.all([use(cluster, interrupted), interrupted]),
      cluster.lost,
    ])
    if (typeof end !== 'string') return end[0]
    say(end)
    return 1
  } finally {
    await cluster.stop()
  }
}
