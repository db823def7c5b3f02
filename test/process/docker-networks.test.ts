// Containers of a real Docker that have networks of their own, and executors in containers: what is told of them, and that they
// outlive an agent that is killed.

import { dirname, join, resolve } from 'node:path'
import t from 'tap'
import { freePorts } from '../../bench/ports.ts'
import { base64ToText, textToBase64 } from '../../src/base/base64.ts'
import type { ContainerInfo } from '../../src/messages/container.ts'
import type { Volume } from '../../src/messages/volume.ts'
import { Batch } from '../cluster/batch.ts'
import { DockerDaemon, IMAGE, whyNoDocker } from './docker-daemon.ts'
import { RealCluster, until } from './real-cluster.ts'

const why = whyNoDocker()
const skip = why ?? false

t.setTimeout(120_000)

/** The first that the agent offers. It is taken in the network of the test's own. */
const PUBLISHED = 31_000

interface Asked extends Partial<ContainerInfo> {
  /** How many. */
  readonly ports?: number
}

/** A task for each, in a container of Docker's that serves a file with its number. */
function servers(cluster: RealCluster, asked: readonly Asked[]): Batch {
  const made = new Batch(
    asked.map((_, i) => `echo ${i} >index.html; exec httpd -f -p 80`),
    { checkpoint: true },
    { master: cluster.address, cpus: 0.1 },
  )
  made.waiting = made.waiting.map((task, i) => {
    const { ports, ...more } = asked[i]!
    return {
      ...task,
      needs: { ...task.needs, ...(ports !== undefined && { ports }) },
      command: { value: `cd $MESOS_SANDBOX; ${task.name}` },
      container: { type: 'DOCKER' as const, ...more },
    }
  })
  return made
}

t.test('networks of their own', { skip }, async t => {
  const cluster = new RealCluster()
  const daemon = new DockerDaemon(join(cluster.dir, 'docker'), { hasNetworks: true })
  try {
    const whyNot = await daemon.start()
    if (whyNot !== undefined) {
      t.pass('Docker does not run here', { skip: whyNot })
      return
    }
    daemon.docker('network', 'create', '--subnet=10.77.0.0/24', 'web')
    const [port = 0] = await freePorts(1)
    await cluster.startMaster()
    const flags = [
      '--containerizers=docker,mesos',
      `--docker=${daemon.command}`,
      `--docker_socket=${daemon.socket}`,
      '--docker_remove_delay=0secs',
      '--docker_stop_timeout=500ms',
    ]
    let agent = await cluster.restartAgent('agent', port, ...flags)
    await agent.says(/registered with the master/)
    const scheduler = servers(cluster, [
      {
        docker: {
          image: IMAGE,
          network: 'BRIDGE',
          port_mappings: [{ host_port: PUBLISHED, container_port: 80, protocol: 'tcp' }],
        },
        ports: 1,
      },
      { docker: { image: IMAGE, network: 'USER' }, network_infos: [{ name: 'web' }] },
      { docker: { image: IMAGE, network: 'NONE' } },
      { docker: { image: IMAGE, network: 'USER' }, network_infos: [{ name: 'nosuch' }] },
      { docker: { image: IMAGE, network: 'HOST' } },
    ])
    await cluster.run(scheduler)
    await until(
      () => scheduler.count('TASK_RUNNING') === 4 && scheduler.count('TASK_FAILED') === 1,
      'they run',
      30_000,
    )
    const status = (id: string) => scheduler.statuses.get(id)!.at(-1)!
    const addressOf = (id: string): string =>
      status(id).container_status?.network_infos?.[0]?.ip_addresses?.[0]?.ip_address ?? ''
    await until(() => daemon.get(`http://${addressOf('t0')}/`) === '0\n', 'a bridge is served')
    t.equal(daemon.get(`http://127.0.0.1:${PUBLISHED}/`), '0\n', 'its port is published')
    t.match(addressOf('t1'), /^10\.77\.0\.\d+$/)
    t.match(status('t1').container_status?.network_infos, [{ name: 'web' }])
    await until(() => daemon.get(`http://${addressOf('t1')}/`) === '1\n', 'its network is served')
    t.strictSame(status('t2').container_status?.network_infos, [], 'nobody reaches it')
    t.match(status('t3'), { reason: 'REASON_CONTAINER_LAUNCH_FAILED', message: /nosuch not found/ })
    t.equal(addressOf('t4'), '127.0.0.1', "that of the agent's machine")
    t.match(status('t0').labels?.labels, [
      { key: 'Docker.NetworkSettings.IPAddress', value: addressOf('t0') },
    ])
    const inspected: unknown = JSON.parse(base64ToText(status('t0').data ?? '') ?? '')
    t.match(inspected, [{ State: { Running: true }, NetworkSettings: { IPAddress: String } }])

    // One ends while there is no agent, and without its command: nobody was there to see it.
    agent.kill('SIGKILL')
    await agent.exited
    const [name = ''] = daemon.names('--filter=network=web')
    daemon.docker('kill', name)
    agent = await cluster.restartAgent('agent', port, ...flags)
    await agent.says(/recovered .*tasks=4/)
    await until(() => scheduler.last('t1') === 'TASK_FAILED', 'it has ended')
    t.equal(status('t1').message, 'Command exited with status 137')
    scheduler.kill({ value: 't0' })
    const before = addressOf('t0')
    await until(() => scheduler.last('t0') === 'TASK_KILLED', 'one is killed', 30_000)
    t.equal(addressOf('t0'), before, 'its end names its address')
    for (const value of ['t2', 't4']) scheduler.kill({ value })
    await until(() => daemon.names('--all').length === 0, 'all are removed', 30_000)
  } finally {
    await daemon.stop()
    t.strictSame(await cluster.stop(), [], 'no process is left')
  }
})

/** What a program of this machine needs to run in an image that has nothing. */
const MACHINE: readonly Volume[] = [
  '/usr',
  '/lib',
  '/lib64',
  resolve('.'),
  dirname(process.execPath),
]
  .filter((path, i, all) => all.indexOf(path) === i)
  .map(path => ({ mode: 'RO', container_path: path, host_path: path }))

t.test('executors in containers', { skip }, async t => {
  const cluster = new RealCluster()
  const daemon = new DockerDaemon(join(cluster.dir, 'docker'))
  try {
    const whyNot = await daemon.start()
    if (whyNot !== undefined) {
      t.pass('Docker does not run here', { skip: whyNot })
      return
    }
    const [port = 0] = await freePorts(1)
    await cluster.startMaster()
    const flags = [
      '--containerizers=docker',
      `--docker=${daemon.command}`,
      `--docker_socket=${daemon.socket}`,
      '--docker_remove_delay=0secs',
    ]
    let agent = await cluster.restartAgent('agent', port, ...flags)
    await agent.says(/registered with the master/)
    const executor = (value: string, program: string) => ({
      type: 'CUSTOM' as const,
      executor_id: { value },
      command: { value: program },
      needs: { mem: 96 },
      container: {
        type: 'DOCKER' as const,
        docker: { image: IMAGE, parameters: [{ key: 'label', value: `of=${value}` }] },
        volumes: [...MACHINE],
      },
    })
    const real = executor(
      'real',
      `exec ${process.execPath} ${resolve('dist/examples/test-framework/executor.js')}`,
    )
    const short = executor('short', 'echo $MESOS_EXECUTOR_ID $MESOS_SANDBOX; exit 3')
    const scheduler = new Batch(
      ['a', 'b', 'c'],
      { checkpoint: true },
      { master: cluster.address, cpus: 0.1 },
    )
    scheduler.waiting = scheduler.waiting.map(({ name, task_id, needs }, i) => ({
      name,
      task_id,
      needs,
      executor: i === 2 ? short : real,
      data: textToBase64(i === 0 ? '1' : '1000000'),
    }))
    await cluster.run(scheduler)
    await until(
      () =>
        scheduler.last('t0') === 'TASK_FINISHED' &&
        scheduler.last('t1') === 'TASK_RUNNING' &&
        scheduler.last('t2') === 'TASK_FAILED',
      'one executor serves, one ends',
      30_000,
    ).catch(() => t.fail(['t0', 't1', 't2'].map(id => scheduler.told(id)).join('\n')))
    t.match(scheduler.statuses.get('t2')!.at(-1), { reason: 'REASON_EXECUTOR_TERMINATED' })
    await until(() => daemon.names('--all').length === 1, 'nothing is left of the other')
    t.equal(daemon.names('--filter=label=of=real').length, 1)

    agent.kill('SIGKILL')
    await agent.exited
    agent = await cluster.restartAgent('agent', port, ...flags)
    await agent.says(/recovered .*tasks=1/)
    scheduler.kill({ value: 't1' })
    await until(() => scheduler.last('t1') === 'TASK_KILLED', 'its executor hears of it', 30_000)
    agent.kill('SIGTERM')
    await agent.exited
    const cleanup = await cluster.restartAgent('agent', port, ...flags, '--recover=cleanup')
    await cleanup.exited
    await until(() => daemon.names().length === 0, 'all has ended', 30_000)
  } finally {
    await daemon.stop()
    t.strictSame(await cluster.stop(), [], 'no process is left')
  }
})
