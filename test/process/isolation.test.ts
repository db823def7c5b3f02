// Containers of a real cluster: an agent with control groups and namespaces, and what a scheduler hears of its tasks.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { whyNoCgroups } from '../../src/agent/containerizer/cgroup-tree.ts'
import { Batch } from '../cluster/batch.ts'
import { RealCluster, until } from './real-cluster.ts'

const V1 = '/sys/fs/cgroup'
const why = whyNoCgroups(V1)
const skip = { skip: why === undefined ? false : `containers need control groups: ${why}` }

const ROOT = `mesos_test_${process.pid}_cluster`
const ISOLATION = 'cgroups/cpu,cgroups/mem,cgroups/pids,namespaces/pid,namespaces/ipc'

/** Takes 256 MB of memory, where 64 are to be had. */
const HOG = `x=$(head -c 268435456 /dev/zero | tr '\\0' x)`

t.test(
  'a scheduler hears the truth about contained tasks, and nothing is left of them',
  skip,
  async t => {
    const cluster = new RealCluster()
    try {
      await cluster.startMaster()
      const agent = await cluster.startAgent(
        'cpus:8;mem:2048;disk:10000',
        '--launcher=linux',
        `--isolation=${ISOLATION}`,
        `--cgroups_root=${ROOT}`,
        '--cgroups_limit_swap',
      )
      const commands = [
        HOG,
        'exit 3',
        'kill -SEGV $$',
        'test $(ls -d /proc/[0-9]* | wc -l) -lt 8',
        'sleep 1000',
      ]
      const scheduler = new Batch(
        [...commands, ...Array.from({ length: 40 }, () => 'true')],
        {},
        {
          master: cluster.address,
          cpus: 0.5,
        },
      )
      await cluster.run(scheduler)
      await until(
        () => scheduler.count('TASK_FINISHED') === 41,
        'the good ones have finished',
        60_000,
      )
      await until(() => scheduler.count('TASK_FAILED') === 3, 'the others have failed')
      const end = (id: string) => scheduler.statuses.get(id)!.at(-1)!
      t.match(end('t0'), {
        reason: 'REASON_CONTAINER_LIMITATION_MEMORY',
        message: /^Memory limit exceeded: Requested: 64MB Maximum Used: 6\dMB/,
        limitation: { resources: [{ name: 'mem', scalar: { value: 64 } }] },
      })
      t.equal(end('t1').message, 'Command exited with status 3')
      t.equal(end('t2').message, 'Command terminated with signal Segmentation fault')
      t.equal(scheduler.last('t4'), 'TASK_RUNNING', 'its neighbours have nothing to do with it')
      await until(() => containers('memory').length === 1, 'the others are gone')
      const statistics = await fetch(`http://${agentAddress(agent.output)}/monitor/statistics`)
      t.match(await statistics.json(), [
        {
          executor_id: 't4',
          source: 't4',
          statistics: { cpus_limit: 0.5, mem_limit_bytes: 64 * 2 ** 20, mem_total_bytes: Number },
        },
      ])
      agent.kill('SIGKILL')
      await until(() => !existsSync(`${V1}/memory/${ROOT}`), 'its guard has removed all groups')
      await until(() => readdirSync(V1).every(name => !existsSync(`${V1}/${name}/${ROOT}`)), 'all')
    } finally {
      t.same(await cluster.stop(), [], 'no process is left behind')
    }
  },
)

function containers(controller: string): string[] {
  return readdirSync(`${V1}/${controller}/${ROOT}`, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(({ name }) => readFileSync(`${V1}/${controller}/${ROOT}/${name}/cgroup.procs`, 'utf8'))
}

function agentAddress(output: string): string {
  return /listening .*address=(\S+)/.exec(output)![1]!
}
