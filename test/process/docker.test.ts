// A real Docker below a real cluster: what becomes of tasks in its containers, and of the containers when an agent dies.

import { createServer } from 'node:net'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { freePorts } from '../../bench/ports.ts'
import type { ContainerInfo } from '../../src/messages/container.ts'
import type { TaskInfo } from '../../src/messages/task.ts'
import { Batch } from '../cluster/batch.ts'
import { DockerDaemon, IMAGE, whyNoDocker } from './docker-daemon.ts'
import { RealCluster, until } from './real-cluster.ts'

const why = whyNoDocker()

t.setTimeout(180_000)

interface Wanted extends Pick<TaskInfo, 'kill_policy' | 'check'> {
  readonly command?: NonNullable<TaskInfo['command']>
  readonly docker?: Partial<NonNullable<ContainerInfo['docker']>>
  readonly volumes?: ContainerInfo['volumes']
}

const CHECK = (value: string): NonNullable<TaskInfo['check']> => ({
  type: 'COMMAND',
  command: { command: { value } },
  delay_seconds: 0,
  interval_seconds: 1,
  timeout_seconds: 1,
})

/** Checks that hang. */
const sleepers = (): string[] =>
  readdirSync('/proc').filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('sleep\x001234')
    } catch {
      return false
    }
  })

/** One task after the other is `t0`, `t1` …, each a command in a container of Docker's. */
function batch(
  cluster: RealCluster,
  commands: readonly [string, Wanted?][],
  checkpoint = false,
): Batch {
  const made = new Batch(
    commands.map(([value]) => value),
    { checkpoint },
    { master: cluster.address, cpus: 0.5 },
  )
  made.waiting = made.waiting.map((task, i) => {
    const { docker, volumes, ...more } = commands[i]![1] ?? {}
    const container: ContainerInfo = {
      type: 'DOCKER',
      docker: { image: IMAGE, ...docker },
      ...(volumes && { volumes }),
    }
    return { ...task, container, ...more }
  })
  return made
}

t.test(
  "a scheduler hears the truth about Docker's containers, and nothing is left of them",
  { skip: why ?? false },
  async t => {
    const cluster = new RealCluster()
    const daemon = new DockerDaemon(join(cluster.dir, 'docker'))
    // A registry that takes connections and never answers.
    const silent = createServer(() => {})
    try {
      const whyNot = await daemon.start()
      if (whyNot !== undefined) {
        t.pass('Docker does not run here', { skip: whyNot })
        return
      }
      const [registry = 0, port = 0] = await freePorts(2)
      await new Promise<void>(done => silent.listen(registry, '127.0.0.1', done))
      await cluster.startMaster()
      const flags = [
        '--containerizers=docker,mesos',
        `--docker=${daemon.command}`,
        `--docker_socket=${daemon.socket}`,
        '--docker_remove_delay=1secs',
        '--executor_environment_variables={"HOST_ONLY":"1"}',
      ]
      let agent = await cluster.restartAgent('agent', port, ...flags)
      await agent.says(/registered with the master/)

      const execute = cluster.command('mesos-execute', [
        `--master=${cluster.address}`,
        '--name=hello',
        '--containerizer=docker',
        `--docker_image=${IMAGE}`,
        '--networks=none',
        '--resources=cpus:0.1;mem:32',
        '--env={"GREETING":"a b"}',
        '--command=echo "$GREETING"; echo oops >&2; echo $HOST_ONLY.; cat /proc/1/comm; echo x >$MESOS_SANDBOX/f',
      ])
      await execute.exited
      t.equal(execute.exit?.code, 0, execute.output)
      t.match(execute.stdout, /a b\n\.\nsh\n/, 'it is process 1, with an environment of its own')
      t.match(execute.output, /oops/)

      const scheduler = batch(cluster, [
        ['exit 3'],
        ['dd if=/dev/zero of=/dev/null bs=200M count=1'],
        ['x', { docker: { image: `127.0.0.1:${registry}/never:1` } }],
        ['x', { docker: { image: '127.0.0.1:1/none:1' } }],
        ['', { command: { shell: false, value: 'nosuchprogram' } }],
        ['trap "echo asked; exit 0" TERM; while :; do sleep 0.1; done', { check: CHECK('exit 7') }],
        [
          'trap "" TERM; echo deaf; while :; do sleep 0.1; done',
          { kill_policy: { grace_period: { nanoseconds: 5e8 } }, check: CHECK('sleep 1234') },
        ],
        [
          'cat /in/one',
          { volumes: [{ mode: 'RO', container_path: '/in', host_path: '/proc/self' }] },
        ],
        ['x', { docker: { port_mappings: [{ host_port: 1, container_port: 1 }] } }],
        ['x', { docker: { parameters: [{ key: 'nosuchoption', value: '1' }] } }],
        [
          'echo > /in/x',
          { volumes: [{ mode: 'RO', container_path: '/in', host_path: cluster.dir }] },
        ],
      ])
      await cluster.run(scheduler)
      const end = (id: string) => scheduler.statuses.get(id)!.at(-1)!
      await until(
        () => scheduler.count('TASK_FAILED') === 8 && scheduler.count('TASK_RUNNING') === 2,
        'all have ended but those that go on',
        60_000,
      ).catch(() => {
        t.fail([...scheduler.statuses.keys()].map(id => `${id} ${scheduler.told(id)}`).join('\n'))
      })
      const launchFailed = 'REASON_CONTAINER_LAUNCH_FAILED'
      t.equal(end('t0').message, 'Command exited with status 3')
      t.match(end('t1'), {
        reason: 'REASON_CONTAINER_LIMITATION_MEMORY',
        message: /^Memory limit exceeded: Requested: 64MB/,
      })
      t.match(end('t3'), {
        reason: launchFailed,
        message: /Failed to pull the image '127.*refused/,
      })
      t.match(end('t4'), { reason: launchFailed, message: /nosuchprogram.*not found/ })
      t.equal(scheduler.statuses.get('t4')!.length, 1, 'it was never said to run')
      t.match(end('t8'), { reason: launchFailed, message: /only supported for bridge/ })
      t.match(end('t9'), { reason: launchFailed, message: /unknown flag: --nosuchoption/ })
      t.match(end('t10'), { message: 'Command exited with status 1' })

      const statistics = await fetch(`http://127.0.0.1:${port}/monitor/statistics`)
      const byTask = (await statistics.json()) as { executor_id: string; statistics: object }[]
      t.match(byTask.find(({ executor_id }) => executor_id === 't5')?.statistics, {
        cpus_user_time_secs: Number,
        mem_limit_bytes: 64 * 2 ** 20,
        mem_rss_bytes: Number,
      })

      await until(
        () =>
          scheduler.statuses
            .get('t5')!
            .some(({ check_status }) => check_status?.command?.exit_code === 7),
        'a check has run in the container',
      )
      let first: string | undefined
      const isSeen = (): boolean => {
        ;[first] = sleepers()
        return first !== undefined
      }
      await until(isSeen, 'a check takes too long')
      // The next one may have begun.
      await until(() => !sleepers().includes(first!), 'it is ended in the container')

      for (const id of ['t2', 't5', 't6']) scheduler.kill({ value: id })
      await until(() => scheduler.count('TASK_KILLED') === 3, 'the rest is killed', 30_000)
      t.equal(end('t5').message, 'Command exited with status 0', 'it was asked')
      t.equal(end('t6').message, 'Command exited with status 137', 'it was made to')
      t.match(end('t2').message, /Killed during its launch/, 'a pull is not waited for')
      await until(() => daemon.names('--all').length === 0, 'they are removed', 30_000)

      const survivor = batch(
        cluster,
        [['echo a; sleep 3; echo b; exit 5'], ['exec sleep 1000']],
        true,
      )
      const mortal = batch(cluster, [['exec sleep 1000']])
      await cluster.run(survivor)
      await cluster.run(mortal)
      await until(
        () => survivor.count('TASK_RUNNING') === 2 && mortal.count('TASK_RUNNING') === 1,
        'they run',
        30_000,
      )
      agent.kill('SIGKILL')
      await agent.exited
      await until(() => daemon.names().length <= 2, 'what does not survive has ended', 30_000)
      agent = await cluster.restartAgent('agent', port, ...flags)
      await agent.says(/recovered .*tasks=2/)
      await until(() => survivor.last('t0') === 'TASK_FAILED', 'it ends as it would have', 30_000)
      t.equal(survivor.statuses.get('t0')!.at(-1)!.message, 'Command exited with status 5')
      t.equal(survivor.ends('t0'), 1)
      t.equal(survivor.last('t1'), 'TASK_RUNNING')
      t.match(readFileSync(stdoutOf(cluster, agent.output), 'utf8'), /^a\nb\n$/)

      // What nobody asks for any more ends with a clean-up.
      agent.kill('SIGTERM')
      await agent.exited
      t.equal(daemon.names().length, 1, 'it survives an agent that is stopped')
      const cleanup = await cluster.restartAgent('agent', port, ...flags, '--recover=cleanup')
      await cleanup.exited
      await until(() => daemon.names().length === 0, 'all has ended', 30_000)
    } finally {
      silent.close()
      await daemon.stop()
      t.strictSame(await cluster.stop(), [], 'no process is left')
    }
  },
)

/** Of the task that ended after the restart. */
function stdoutOf(cluster: RealCluster, output: string): string {
  const [, framework = ''] = /TASK_FAILED framework=(\S+) task=t0/.exec(output) ?? []
  const agents = join(cluster.dir, 'agent/slaves/latest')
  return join(agents, 'frameworks', framework, 'executors/t0/runs/latest/stdout')
}
