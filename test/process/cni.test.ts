// Networks of containers on a real cluster, as mesos-execute asks for them, and an agent that is killed meanwhile.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { whyNoCgroups } from '../../src/agent/containerizer/cgroup-tree.ts'
import { freePorts } from '../../bench/ports.ts'
import { TestNetworks, whyNoNetworks } from '../agent/cni-networks.ts'
import { RealCluster, until } from './real-cluster.ts'

const noGroups = whyNoCgroups('/sys/fs/cgroup')
const why = noGroups === undefined ? whyNoNetworks() : `containers need control groups: ${noGroups}`

/** Serves on its loopback only. */
const SERVE = `exec ${process.execPath} -e "require('http').createServer((_, a) => a.end('hello')).listen(8080, '127.0.0.1')"`
const ASK = `until ${process.execPath} -e "fetch('http://127.0.0.1:8080').then(a => a.text()).then(console.log)" 2>/dev/null; do sleep 0.1; done`

const task = (id: string, value: string, more: object = {}) => ({
  name: id,
  task_id: { value: id },
  command: { value },
  resources: [
    { name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } },
    { name: 'mem', type: 'SCALAR', scalar: { value: 64 } },
  ],
  ...more,
})

t.test('networks by mesos-execute', { skip: why ?? false }, async t => {
  const cluster = new RealCluster()
  const networks = new TestNetworks(cluster.dir, 'agent-run')
  try {
    networks.bridge('mine')
    await cluster.startMaster()
    const [port = 0] = await freePorts(1)
    const startAgent = async () => {
      const agent = await cluster.restartAgent(
        'agent',
        port,
        '--launcher=linux',
        '--isolation=network/cni,namespaces/pid',
        `--cgroups_root=mesos_test_${process.pid}_cni`,
        ...networks.flags,
      )
      await agent.says(/(registered|back) with the master/)
      return agent
    }
    const agent = await startAgent()
    const execute = (...more: string[]) =>
      cluster.command('mesos-execute', [
        `--master=${cluster.address}`,
        '--resources=cpus:0.1;mem:64',
        ...more,
      ])
    const plain = execute('--name=plain', '--networks=mine', `--command=cat /etc/hosts`)
    await plain.exited
    t.equal(plain.exit?.code, 0, plain.output)
    t.match(plain.stdout, /^10\.213\.\d+\.\d+ [0-9a-f-]{36}$/m, 'its address and its name')
    const unknown = execute('--name=unknown', '--networks=none-such', '--command=true')
    await unknown.exited
    t.match(unknown.output, /TASK_FAILED[\s\S]*Unknown CNI network 'none-such'/)

    const file = join(cluster.dir, 'group.json')
    const health_check = {
      type: 'HTTP',
      http: { port: 8080, scheme: 'http' },
      delay_seconds: 0,
      interval_seconds: 0.2,
    }
    const tasks = [task('serves', SERVE, { health_check }), task('asks', ASK)]
    writeFileSync(file, JSON.stringify({ tasks }))
    const group = cluster.command('mesos-execute', [
      `--master=${cluster.address}`,
      `--task_group=${file}`,
      '--networks=mine',
    ])
    await group.says(/TASK_RUNNING for task 'serves'[\s\S]{0,160}healthy\?: true/)
    await group.says(/^hello$/m)
    await group.says(/TASK_FINISHED for task 'asks'/)
    group.kill('SIGINT')
    await group.exited

    const long = execute('--name=long', '--networks=mine', '--checkpoint', '--command=sleep 1000')
    await long.says(/TASK_RUNNING/)
    const address = async (): Promise<string> => {
      const all = (await cluster.state()).frameworks.flatMap(framework => framework.tasks)
      const { statuses = [] } = (all.find(({ id }) => id === 'long') ?? {}) as {
        statuses?: { container_status: { network_infos: { ip_addresses: object[] }[] } }[]
      }
      return JSON.stringify(statuses.at(-1)?.container_status.network_infos)
    }
    t.match(await address(), /"name":"mine"/)
    t.match(await address(), /"ip_address":"10\.213\./)
    agent.kill('SIGKILL')
    await agent.exited
    await startAgent()
    t.not(networks.left().length, 0, 'it has its network still')
    long.kill('SIGINT')
    await long.exited
    await until(
      () => networks.left().length === 0,
      `nothing is left: ${networks.left().join('\n')}`,
    )
  } finally {
    networks.remove()
    t.same(await cluster.stop(), [], 'no process is left behind')
  }
})
