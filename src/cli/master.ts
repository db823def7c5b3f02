// mesos-master: the process of a master.

import { join } from 'node:path'
import type { Runtime } from '../actors/runtime.ts'
import { majorityOf } from '../log/quorum.ts'
import type { ZooKeeperMasters } from '../detector/location.ts'
import { masterConfig, type MasterFlags, masterFlags } from '../master/flags.ts'
import { masterAddresses } from '../messages/master-address.ts'
import { parseZooKeeperUrl } from '../zookeeper/url.ts'
import type { Command } from './main.ts'
import { serve } from './server.ts'
import { checkDirectory } from './work-dir.ts'

export const masterCommand: Command<typeof masterFlags> = {
  name: 'mesos-master',
  summary: 'The master of a cluster: knows its agents, and offers what they have to frameworks.',
  flags: masterFlags,
  examples: [
    'mesos-master --ip=127.0.0.1 --work_dir=/var/lib/mesos',
    'mesos-master --ip=10.0.0.1 --work_dir=/var/lib/mesos --zk=zk://10.0.0.7:2181/mesos --quorum=2',
  ],
  check: ({ registry, work_dir, masters, quorum, zk }) => {
    const problems: string[] = []
    if (registry === 'replicated_log' && work_dir === undefined) {
      problems.push(
        "Flag '--work_dir' is required: the directory where the registry is kept; write for example " +
          "'--work_dir=/var/lib/mesos' or set MESOS_WORK_DIR.",
      )
    }
    if (registry === 'in_memory' && masters !== undefined) {
      problems.push(
        "Flag '--masters' needs '--registry=replicated_log': several masters share what is on their disks.",
      )
    }
    if (zk !== undefined) return [...problems, ...problemsWithZk(registry, masters, quorum)]
    const size = masterAddresses(masters ?? '')?.length ?? 1
    const majority = majorityOf(size)
    if (quorum !== undefined && (quorum < majority || quorum > size)) {
      problems.push(
        `Flag '--quorum': ${quorum} of ${size} masters cannot be; it must be from ${majority} to ${size}, and ${majority} is what is used without it.`,
      )
    }
    return problems
  },
  run: async (flags, { warnings }) => {
    const workDir = flags.registry === 'replicated_log' ? flags.work_dir : undefined
    if (workDir !== undefined) checkDirectory('work_dir', workDir)
    return serve('master', flags, warnings, async ({ runtime, log, hostname }) => {
      const [{ FileStorage, Log, Members }, { startMaster }, { dashboard, dashboardDirectory }] =
        await Promise.all([
          import('../log/log.ts'),
          import('../master/start.ts'),
          import('./dashboard.ts'),
        ])
      const storage =
        workDir &&
        new FileStorage({
          directory: join(workDir, 'replicated_log'),
          retainBytes: flags.log_retention,
        })
      const masters = masterAddresses(flags.masters ?? '')
      const quorum = flags.quorum ?? majorityOf(masters?.length ?? 1)
      const zookeeper = await zookeeperOf(flags)
      const members = zookeeper ? Members.live(quorum) : Members.fixed(masters ?? [], quorum)
      const registryLog = storage
        ? await Log.open({ storage, replicas: members, self: runtime.address })
        : undefined
      startMaster(runtime, {
        config: masterConfig(flags),
        hostname,
        log: registryLog,
        ...(masters && { masters: members }),
        ...(zookeeper && { zookeeper }),
        ...(zookeeper && registryLog && { replicas: { members, quorum } }),
      })
      for (const [path, asset] of dashboard(dashboardDirectory)) runtime.provide(path, asset)
      const port = runtime.address.split(':').at(-1)
      void leading(runtime).then(() => log.info(`dashboard: http://${hostname}:${port}`))
    })
  },
}

async function zookeeperOf(flags: MasterFlags): Promise<ZooKeeperMasters | undefined> {
  if (flags.zk === undefined) return undefined
  const { openSession } = await import('../zookeeper/library.ts')
  return {
    url: parseZooKeeperUrl(flags.zk),
    sessionTimeoutMs: flags.zk_session_timeout,
    open: openSession,
  }
}

function problemsWithZk(
  registry: 'replicated_log' | 'in_memory',
  masters: string | undefined,
  quorum: number | undefined,
): string[] {
  const problems: string[] = []
  if (masters !== undefined) {
    problems.push("Flags '--zk' and '--masters' are two ways to the same: leave out one of them.")
  }
  if (registry === 'replicated_log' && quorum === undefined) {
    problems.push(
      "Flag '--quorum' is required with '--zk': more than half of all masters, for example '--quorum=2' for three.",
    )
  }
  return problems
}

const POLL_MS = 5

/** Resolves when the master has read its registry: until then it does not answer. */
async function leading(runtime: Runtime): Promise<void> {
  const query = new URLSearchParams()
  const request = { method: 'GET', path: '/flags', query, headers: {}, body: new Uint8Array() }
  for (;;) {
    const { status } = await runtime.http(request)
    // 403: the firewall's answer, which comes before the master's. 307: another one leads.
    if (status !== 503) return
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
}
