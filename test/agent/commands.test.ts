import t from 'tap'
import { AWARE, command, custom, framework, scene } from './world.ts'

t.test('a command runs: its updates, sandbox, environment and record', async t => {
  const s = await scene()
  s.master.run(AWARE, command('t1', 'echo hi; sleep 2'))
  await s.reaches('t1', 'TASK_RUNNING')
  const { containerId, env, cwd } = s.processes.launched[0]!.spec
  const sandbox = `/work/slaves/S0/frameworks/F1/executors/t1/runs/${containerId}`
  t.equal(cwd, sandbox)
  t.strictSame(env, {
    PATH: '/usr/bin:/bin',
    LIBPROCESS_IP: '10.0.0.2',
    LIBPROCESS_PORT: '0',
    MESOS_FRAMEWORK_ID: 'F1',
    MESOS_EXECUTOR_ID: 't1',
    MESOS_DIRECTORY: sandbox,
    MESOS_SANDBOX: sandbox,
    MESOS_SLAVE_ID: 'S0',
    MESOS_SLAVE_PID: 'slave(1)@10.0.0.2:5051',
    MESOS_AGENT_ENDPOINT: '10.0.0.2:5051',
    MESOS_CHECKPOINT: '0',
    MESOS_HTTP_COMMAND_EXECUTOR: '0',
    MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD: '5secs',
    MESOS_ALLOCATION_ROLE: 'conf',
  })
  await s.reaches('t1', 'TASK_FINISHED')
  t.strictSame(s.master.states('t1'), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED'])
  const [starting, , finished] = s.master.of('t1')
  t.match(finished, {
    framework_id: { value: 'F1' },
    executor_id: { value: 't1' },
    agent_id: { value: 'S0' },
    latest_state: 'TASK_FINISHED',
    status: {
      state: 'TASK_FINISHED',
      message: 'Command exited with status 0',
      source: 'SOURCE_EXECUTOR',
      agent_id: { value: 'S0' },
      executor_id: { value: 't1' },
      container_status: {
        container_id: { value: containerId },
        network_infos: [{ ip_addresses: [{ protocol: 'IPv4', ip_address: '10.0.0.2' }] }],
      },
    },
  })
  t.equal(finished!.status.uuid, finished!.uuid)
  t.equal(Buffer.from(finished!.uuid!, 'base64').length, 16)
  t.equal(starting!.status.container_status!.executor_pid, s.processes.launched[0]!.pid)
  t.equal(s.files.text(`/work/slaves/latest/frameworks/F1/executors/t1/runs/latest/stdout`), 'hi\n')
  await s.world.settle()
  const state = JSON.parse((await s.get('/state')).body)
  t.equal(state.frameworks.length, 0)
  const [done] = state.completed_frameworks[0].completed_executors
  t.match(done, {
    id: 't1',
    name: "Command Executor (Task: t1) (Command: sh -c 'echo hi; sle...')",
    source: 't1',
    container: containerId,
    directory: sandbox,
    resources: { cpus: 0.1, mem: 32, disk: 0, gpus: 0 },
    role: 'conf',
    tasks: [],
    completed_tasks: [
      { id: 't1', executor_id: '', state: 'TASK_FINISHED', statuses: { length: 3 } },
    ],
  })
  t.notOk('type' in done)
})

t.test('how a command ends is in the state and message of its last update', async t => {
  const s = await scene({
    program: ({ argv }) =>
      argv[2] === 'crash' ? { onStart: process => process.end(11) } : undefined,
  })
  s.master.run(AWARE, command('bad', 'exit 3'), command('segv', 'crash'), command('no', 'nothing'))
  await s.reaches('bad', 'TASK_FAILED')
  t.equal(s.master.last('bad')!.message, 'Command exited with status 3')
  await s.reaches('segv', 'TASK_FAILED')
  t.equal(s.master.last('segv')!.message, 'Command terminated with signal Segmentation fault')
  await s.reaches('no', 'TASK_FAILED')
  t.equal(s.master.last('no')!.message, 'Command exited with status 127')
  s.master.run(
    AWARE,
    command('argv', '', {
      command: {
        shell: false,
        value: '/bin/echo',
        arguments: ['echo', 'a b'],
        environment: {
          variables: [
            { name: 'X', value: '1' },
            { name: 'MESOS_SANDBOX', value: '/' },
          ],
        },
      },
    }),
  )
  await s.reaches('argv', 'TASK_FAILED')
  const { spec } = s.processes.launched.at(-1)!
  t.strictSame([...spec.argv], ['/bin/echo', 'a b'])
  t.equal(spec.argv0, 'echo')
  t.match(spec.env, { X: '1', MESOS_SANDBOX: '/' })
})

t.test('a kill asks, waits its grace, and insists', async t => {
  const s = await scene({ program: ({ argv }) => ({ ignoresSigterm: argv[2] === 'stubborn' }) })
  const killing = framework('F2', 'PARTITION_AWARE', 'TASK_KILLING_STATE')
  s.master.run(AWARE, command('gentle', 'gentle'))
  await s.reaches('gentle', 'TASK_RUNNING')
  s.master.kill(AWARE, 'gentle')
  await s.reaches('gentle', 'TASK_KILLED')
  t.strictSame(s.master.states('gentle'), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLED'])
  t.equal(s.master.last('gentle')!.message, 'Command terminated with signal Terminated')

  const grace = { kill_policy: { grace_period: { nanoseconds: 20e9 } } }
  s.master.run(
    killing,
    command('a', 'stubborn'),
    command('b', 'stubborn', grace),
    command('c', 'stubborn', grace),
  )
  for (const id of ['a', 'b', 'c']) await s.reaches(id, 'TASK_RUNNING')
  const start = s.world.clock.now()
  s.master.kill(killing, 'a')
  s.master.kill(killing, 'b', 10_000)
  s.master.kill(killing, 'c')
  await s.reaches('a', 'TASK_KILLED')
  const took = (): number => Math.round((s.world.clock.now() - start) / 1000)
  t.equal(took(), 3, 'the default')
  t.strictSame(s.master.states('a'), [
    'TASK_STARTING',
    'TASK_RUNNING',
    'TASK_KILLING',
    'TASK_KILLED',
  ])
  t.equal(s.master.last('a')!.message, 'Command terminated with signal Killed')
  s.master.kill(killing, 'c', 30_000)
  s.master.kill(killing, 'c', 5_000)
  await s.reaches('c', 'TASK_KILLED')
  t.equal(took(), 5, 'a second kill shortens the time and never lengthens it')
  await s.reaches('b', 'TASK_KILLED')
  t.equal(took(), 10, "the kill's own policy wins over the task's")
})

t.test('a command that takes longer than it may fails', async t => {
  const s = await scene({ program: () => ({}) })
  s.master.run(AWARE, command('slow', 'x', { max_completion_time: { nanoseconds: 2e9 } }))
  await s.reaches('slow', 'TASK_FAILED')
  t.match(s.master.last('slow'), {
    reason: 'REASON_MAX_COMPLETION_TIME_REACHED',
    message: 'Command terminated with signal Terminated',
  })
})

t.test('a task killed before it ran never runs', async t => {
  const s = await scene({ launchMs: 50 })
  s.master.run(AWARE, command('t1', 'sleep 100'))
  s.master.kill(AWARE, 't1')
  await s.reaches('t1', 'TASK_KILLED')
  t.match(s.master.last('t1'), {
    reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
    source: 'SOURCE_AGENT',
    message: 'Killed before delivery to the executor',
  })
  await s.world.advance(1_000)
  t.equal(s.processes.launched.length, 0)
  t.equal((await s.get('/state')).body.includes('"frameworks":[]'), true)

  s.master.run(AWARE, command('t2', 'sleep 100'))
  await s.world.advance(20)
  s.master.kill(AWARE, 't2')
  await s.reaches('t2', 'TASK_KILLED')
  t.equal(s.master.last('t2')!.message, 'Command terminated with signal Terminated')
})

t.test('what cannot be launched fails with the reason', async t => {
  const s = await scene()
  s.processes.failure = new Error('no more processes')
  s.master.run(AWARE, command('t1', 'true'))
  await s.reaches('t1', 'TASK_FAILED')
  t.match(s.master.last('t1'), {
    reason: 'REASON_CONTAINER_LAUNCH_FAILED',
    message: 'Failed to launch container: no more processes',
  })
  s.processes.failure = undefined
  s.files.failure = new Error('no space left on device')
  s.master.run(AWARE, command('t2', 'true'))
  await s.reaches('t2', 'TASK_FAILED')
  t.match(s.master.last('t2'), {
    reason: 'REASON_CONTAINER_LAUNCH_FAILED',
    message: /no space left/,
  })
  s.files.failure = undefined
  s.master.run(AWARE, command('t3', 'true'))
  await s.reaches('t3', 'TASK_FINISHED')
})

t.test('what the agent cannot do is refused, and said', async t => {
  const s = await scene()
  const old = framework('F3')
  const refused = (id: string, more: object) => command(id, 'true', more)
  s.master.run(
    AWARE,
    refused('docker', { container: { type: 'DOCKER', docker: { image: 'x' } } }),
    refused('image', {
      container: { type: 'MESOS', mesos: { image: { type: 'DOCKER', docker: { name: 'x' } } } },
    }),
    refused('volume', {
      container: { type: 'MESOS', volumes: [{ mode: 'RW', container_path: 'v' }] },
    }),
    refused('limits', { limits: { cpus: { value: 1 } } }),
    refused('secret', {
      command: { value: 'true', environment: { variables: [{ name: 'S', type: 'SECRET' }] } },
    }),
    refused('empty', { command: {} }),
    refused('../../x', {}),
  )
  s.master.run(old, refused('old', { limits: { cpus: { value: 1 } } }))
  await s.reaches('old', 'TASK_ERROR')
  const invalid = ['TASK_ERROR', 'REASON_TASK_INVALID'] as const
  const failed = ['TASK_FAILED', 'REASON_CONTAINER_LAUNCH_FAILED'] as const
  const expected: Record<string, readonly [string, string, RegExp]> = {
    docker: ['TASK_FAILED', 'REASON_EXECUTOR_TERMINATED', /unknown container; .* no Docker/],
    image: [...failed, /does not support container images without the isolator 'docker\/runtime'$/],
    volume: [...failed, /does not support volumes without a source$/],
    limits: [...invalid, /needs the isolator/],
    secret: [...failed, /'S' is a reference to a secret/],
    empty: [...invalid, /nothing to run/],
    '../../x': [...invalid, /^The task id '..\/..\/x' contains a slash$/],
    old: [...invalid, /needs the isolator/],
  }
  t.equal(s.master.updates.length, Object.keys(expected).length)
  for (const [id, [state, reason, message]] of Object.entries(expected)) {
    t.match(s.master.last(id), { state, reason, message, source: 'SOURCE_AGENT' }, id)
  }
  t.equal(s.processes.launched.length, 0)
  await s.world.settle()
  t.equal(
    JSON.parse((await s.get('/state')).body).frameworks.length,
    0,
    'and forgotten when acknowledged',
  )
  s.master.run(AWARE, command('fine', 'true', { container: { type: 'MESOS' } }))
  await s.reaches('fine', 'TASK_FINISHED')
})

t.test('a task id comes again', async t => {
  const s = await scene()
  s.master.run(AWARE, command('t1', 'sleep 5'), command('t1', 'sleep 5'))
  await s.reaches('t1', 'TASK_RUNNING')
  t.equal(s.processes.launched.length, 1, 'a message that came twice counts once')
  s.master.acknowledges = false
  await s.reaches('t1', 'TASK_FINISHED')
  s.master.run(AWARE, command('t1', 'sleep 5'))
  await s.world.advance(100)
  t.equal(s.processes.launched.length, 1, 'while its end is not acknowledged it cannot')
  t.equal(
    s.log.messages('warn').some(m => /Cannot reuse an already existing executor/.test(m)),
    true,
  )
  s.master.acknowledge(s.master.of('t1').at(-1))
  await s.world.advance(100)
  s.master.acknowledges = true
  s.master.run(AWARE, command('t1', 'true'))
  await s.world.until(() => s.master.states('t1').length === 6, 'the second t1 has ended')
  t.equal(s.processes.launched.length, 2)
})

const LIMITATION = {
  reason: 'REASON_CONTAINER_LIMITATION_MEMORY' as const,
  message: 'Memory limit exceeded',
  resources: [{ name: 'mem', type: 'SCALAR' as const, scalar: { value: 64 } }],
}

t.test('a task that took too much has failed for that, and what it may take is told', async t => {
  const isolation = new Set(['cgroups/cpu', 'cgroups/mem', 'namespaces/pid'] as const)
  const s = await scene({
    options: { isolation },
    program: ({ argv }) =>
      argv[2] === 'hog' ? { durationMs: 10, exitCode: 1, limitation: LIMITATION } : undefined,
  })
  const linux_info = { share_pid_namespace: false }
  const container = { type: 'MESOS' as const, linux_info }
  s.master.run(AWARE, command('t1', 'hog', { limits: { mem: { value: 64 } }, container }))
  await s.reaches('t1', 'TASK_FAILED')
  const { resources, limits, container: asked } = s.processes.launched[0]!.spec
  t.strictSame(
    { resources, limits },
    { resources: { cpus: 0.1, memMb: 32, diskMb: 0, ports: [] }, limits: { memMb: 64 } },
  )
  t.strictSame(asked, container)
  t.match(s.master.last('t1'), {
    reason: LIMITATION.reason,
    message: LIMITATION.message,
    limitation: { resources: LIMITATION.resources },
  })
  const { capabilities } = JSON.parse((await s.get('/state')).body)
  t.ok(capabilities.includes('TASK_RESOURCE_LIMITS'))
  s.master.run(
    AWARE,
    command('t2', 'true', {
      container: { ...container, rlimit_info: { rlimits: [{ type: 'RLMT_CORE' }] } },
    }),
  )
  await s.reaches('t2', 'TASK_FAILED')
  t.match(
    s.master.last('t2')!.message,
    /does not support resource limits \(rlimit_info\) without the isolator 'posix\/rlimits'/,
  )
})

t.test('an executor that took too much takes its tasks with it, with the reason', async t => {
  const s = await scene({
    program: ({ argv }) =>
      argv[2] === 'my-executor' ? { durationMs: 10, limitation: LIMITATION } : undefined,
  })
  s.master.run(AWARE, custom('t1'))
  await s.reaches('t1', 'TASK_FAILED')
  t.match(s.master.last('t1'), {
    reason: LIMITATION.reason,
    source: 'SOURCE_AGENT',
    limitation: { resources: LIMITATION.resources },
  })
  const { resources } = s.processes.launched[0]!.spec
  t.match(resources, { cpus: 0.2, memMb: 64 }, 'its own and its task’s')
})
