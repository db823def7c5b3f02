import t from 'tap'
import { collectingLogger } from '../../src/base/log.ts'
import { parseFlags } from '../../src/base/flags.ts'
import {
  checkExecuteFlags,
  executeFlags,
  frameworkOf,
  taskOf,
  wantedOf,
} from '../../src/cli/execute/flags.ts'
import { Follower, outputPath } from '../../src/cli/execute/follow.ts'
import { ExecuteScheduler } from '../../src/cli/execute/scheduler.ts'
import { World } from '../../src/sim/world.ts'
import { offerOf, ScriptedMaster } from '../framework/scripted-master.ts'
import type { TaskStatus } from '../../src/messages/status.ts'

const MASTER = '10.0.0.1:5050'

function parse(...argv: string[]) {
  const parsed = parseFlags(executeFlags, { argv, env: {}, readFile: () => '' })
  if (!parsed.ok) throw new Error(parsed.errors.join('\n'))
  return parsed.values
}
const hello = ['--master=10.0.0.1:5050', '--name=hello', '--command=echo hi']

t.test('flags become a container', async t => {
  const docker = ['--containerizer=docker', '--docker_image=busybox']
  const of = (...argv: string[]) => taskOf(parse('--master=10.0.0.1:5050', '--name=a', ...argv))
  t.strictSame(of(...docker, '--command=x').container, {
    type: 'DOCKER',
    docker: { image: 'busybox', network: 'HOST' },
  })
  t.match(of(...docker, '--networks=none').container, { docker: { network: 'NONE' } })
  t.match(of(...docker, '--networks=mine').container, {
    docker: { network: 'USER' },
    network_infos: [{ name: 'mine' }],
  })
  t.strictSame(of(...docker).command, { shell: false }, 'the image says what runs')
  t.strictSame(of(...docker, '--no-shell', '--command=a b').command, {
    shell: false,
    value: 'a',
    arguments: ['b'],
  })
  t.match(of('--command=x', '--docker_image=busybox', '--networks=n').container, {
    type: 'MESOS',
    mesos: { image: { type: 'DOCKER', docker: { name: 'busybox' } } },
    network_infos: [{ name: 'n' }],
  })
  t.notOk('container' in of('--command=x'))
  const errors = (...argv: string[]) =>
    checkExecuteFlags(parse('--master=10.0.0.1:5050', '--name=a', ...argv))
  t.match(errors('--containerizer=docker', '--command=x'), [/needs '--docker_image'/])
  t.match(errors(...docker, '--networks=a,b'), [/one network/])
  t.strictSame(errors(...docker), [])
})

t.test('flags become a task and a framework', async t => {
  const flags = parse(
    ...hello,
    '--env={"A":"b"}',
    '--role=ads',
    '--framework_capabilities=GPU_RESOURCES',
  )
  t.match(taskOf(flags), {
    name: 'hello',
    task_id: { value: 'hello' },
    command: {
      shell: true,
      value: 'echo hi',
      environment: { variables: [{ name: 'A', value: 'b' }] },
    },
    resources: [
      { name: 'cpus', scalar: { value: 1 } },
      { name: 'mem', scalar: { value: 128 } },
    ],
  })
  t.match(frameworkOf(flags), {
    name: 'mesos-execute instance',
    roles: ['ads'],
    capabilities: [{ type: 'GPU_RESOURCES' }, { type: 'PARTITION_AWARE' }],
  })
  t.same(frameworkOf(parse(...hello, '--no-partition_aware')).capabilities, [])
  t.match(taskOf(parse(...hello, '--no-shell')).command, {
    shell: false,
    value: 'echo',
    arguments: ['echo', 'hi'],
  })
})

t.test('a whole task replaces the flags that describe one', async t => {
  const json = JSON.stringify({
    name: 'given',
    task_id: { value: 'id' },
    command: { value: 'true' },
    resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } }],
  })
  const flags = parse('--master=10.0.0.1:5050', `--task=${json}`)
  t.same(checkExecuteFlags(flags), [])
  t.match(taskOf(flags), { name: 'given', task_id: { value: 'id' } })
  t.notOk('agent_id' in taskOf(flags))
  t.equal(checkExecuteFlags(parse(...hello, `--task=${json}`)).length, 1)
})

t.test('what is missing or wrong is said', async t => {
  t.equal(checkExecuteFlags(parse('--master=10.0.0.1:5050')).length, 2)
  for (const [argument, said] of [
    ['--master=nowhere:none', /host:port/],
    ['--name=', /'--name': a task's id cannot be '': it is empty/],
    ['--name=a/b', /'a\/b': it contains a slash/],
    ['--resources=cpus:many', /cpus:many/],
    ['--resources=', /nothing/],
    ['--task={"name":"x"}', /task_id/],
    ['--task={"name":"x","task_id":{"value":"x"}}', /resources/],
    ['--env=[1]', /object/],
  ] as const) {
    const argv = [
      ...hello.filter(given => given.split('=')[0] !== argument.split('=')[0]),
      argument,
    ]
    const parsed = parseFlags(executeFlags, { argv, env: {}, readFile: () => '' })
    t.match(parsed.ok ? '' : parsed.errors.join(), said, argument)
  }
})

t.test('output is followed by bytes', async t => {
  let file: Buffer | undefined
  const asked: number[] = []
  let printed = Buffer.alloc(0)
  const follower = new Follower(
    outputPath('F', 'E', 'stdout'),
    async (path, offset, lengthBytes) => {
      t.equal(path, '/frameworks/F/executors/E/runs/latest/stdout')
      if (!file) return undefined
      if (offset < 0) return { offset: file.length, data: '' }
      asked.push(lengthBytes)
      return { offset, data: file.subarray(offset, offset + lengthBytes).toString('base64') }
    },
    bytes => (printed = Buffer.concat([printed, bytes])),
  )
  await follower.catchUp()
  t.equal(printed.length, 0, 'no file yet')
  file = Buffer.from([0x61, 0x00, 0xff, 0xfe])
  await follower.catchUp()
  t.strictSame(printed, file, 'whatever bytes they are')
  file = Buffer.concat([file, Buffer.from('b'.repeat(100_000))])
  await Promise.all([follower.catchUp(), follower.catchUp()])
  t.ok(printed.equals(file))
  t.ok(Math.max(...asked) <= 64 * 1024, 'never more at once than an agent gives')
  await follower.catchUp()
  t.equal(printed.length, file.length)
})

async function running(...argv: string[]) {
  const flags = parse(...(argv.length > 0 ? argv : hello))
  const world = new World({ log: collectingLogger() })
  const master = new ScriptedMaster()
  world.start(MASTER).spawn(master, 'master')
  const heard: string[] = []
  const scheduler = new ExecuteScheduler(
    { master: MASTER, framework: { user: 'u', ...frameworkOf(flags) } },
    wantedOf(flags),
    {
      line: text => heard.push(text),
      notice: text => heard.push(`! ${text}`),
      launched: (framework, agent) => heard.push(`launched ${framework} ${agent}`),
      ended: async () => {
        heard.push('last read')
      },
    },
    flags.kill_after,
  )
  const runtime = world.start('nat-1:0')
  const ended = runtime.wait(runtime.spawn(scheduler))
  await world.until(() => scheduler.isSubscribed, 'subscribed')
  const say = async (state: TaskStatus['state'], more: Partial<TaskStatus> = {}): Promise<void> => {
    master.status({
      task_id: { value: 'hello' },
      agent_id: { value: 'S1' },
      state,
      // One of each state: what comes twice is the same update.
      uuid: Buffer.alloc(16, state).toString('base64'),
      ...more,
    })
    await world.advance(10)
  }
  return { world, master, scheduler, heard, ended, say }
}

t.test(
  'a command from offer to end: the lines of Mesos, the output before the last of them',
  async t => {
    const { master, scheduler, world, heard, ended, say } = await running()
    master.offer(
      offerOf('O1', 'S0', 0.5, 1_000),
      offerOf('O2', 'S1', 2, 256),
      offerOf('O3', 'S2', 2, 256),
    )
    await world.advance(10)
    t.match(master.of('ACCEPT'), [
      {
        accept: {
          offer_ids: [{ value: 'O2' }],
          operations: [
            {
              launch: { task_infos: [{ agent_id: { value: 'S1' }, task_id: { value: 'hello' } }] },
            },
          ],
        },
      },
    ])
    t.equal(master.of('DECLINE').length, 2)
    t.equal(master.of('SUPPRESS').length, 1)
    await say('TASK_RUNNING', { source: 'SOURCE_EXECUTOR' })
    await say('TASK_RUNNING', { source: 'SOURCE_EXECUTOR' })
    await say('TASK_FINISHED', {
      message: 'Command exited with status 0',
      source: 'SOURCE_EXECUTOR',
    })
    t.ok(await ended)
    t.same(heard, [
      'Subscribed with ID F1',
      "Submitted task 'hello' to agent 'S1'",
      'launched F1 S1',
      "Received status update TASK_RUNNING for task 'hello'",
      '  source: SOURCE_EXECUTOR',
      'last read',
      "Received status update TASK_FINISHED for task 'hello'",
      "  message: 'Command exited with status 0'",
      '  source: SOURCE_EXECUTOR',
    ])
    t.ok(scheduler.succeeded)
    t.equal(master.of('ACKNOWLEDGE').length, 3)
    t.equal(master.calls.at(-1)?.type, 'TEARDOWN')
    await world.stop()
  },
)

t.test('any other end is no success', async t => {
  for (const state of ['TASK_FAILED', 'TASK_KILLED', 'TASK_LOST', 'TASK_ERROR'] as const) {
    const { master, scheduler, world, ended, say } = await running()
    master.offer(offerOf('O1', 'S1', 2, 256))
    await world.advance(10)
    await say(state, { reason: 'REASON_TASK_INVALID' })
    t.ok(await ended)
    t.notOk(scheduler.succeeded, state)
    await world.stop()
  }
})

t.test('a task that fits nowhere is explained, and an unreachable agent is waited for', async t => {
  const { master, world, heard, scheduler, say } = await running()
  master.offer(offerOf('O1', 'S1', 0.5, 256))
  await world.advance(6_000)
  t.same(heard.slice(1), [
    '! Waiting for an offer with cpus:1;mem:128. The largest offer so far: cpus:0.5;mem:256;ports:[31000-31004].',
  ])
  master.offer(offerOf('O2', 'S1', 1, 256))
  await world.advance(10)
  await say('TASK_UNREACHABLE')
  t.ok(scheduler.isSubscribed)
  await world.stop()
})

t.test('it is killed after its time, or by the user, and ends when that is done', async t => {
  const timed = await running(...hello, '--kill_after=2secs')
  timed.master.offer(offerOf('O1', 'S1', 2, 256))
  await timed.world.advance(5_000)
  t.equal(timed.master.of('KILL').length, 0, 'its time begins when it runs')
  await timed.say('TASK_RUNNING')
  await timed.world.advance(2_100)
  t.equal(timed.master.of('KILL').length, 1)
  await timed.world.stop()

  const user = await running()
  user.master.offer(offerOf('O1', 'S1', 2, 256))
  await user.world.advance(10)
  user.scheduler.interrupted()
  await user.world.advance(10)
  t.match(user.master.of('KILL'), [
    { kill: { task_id: { value: 'hello' }, agent_id: { value: 'S1' } } },
  ])
  t.equal(user.master.of('TEARDOWN').length, 0)
  await user.say('TASK_KILLED')
  t.ok(await user.ended)
  t.equal(user.master.of('TEARDOWN').length, 1)
  await user.world.stop()

  const early = await running()
  early.scheduler.interrupted()
  await early.world.advance(10)
  t.ok(await early.ended, 'nothing to kill')
  await early.world.stop()
})

t.test('a master that comes back is asked what became of the task', async t => {
  const { master, scheduler, world, heard } = await running()
  master.offer(offerOf('O1', 'S1', 2, 256))
  await world.advance(10)
  world.crash(MASTER)
  await world.advance(100)
  t.match(heard.at(-1), /connection to the master is lost/)
  const successor = new ScriptedMaster()
  world.start(MASTER).spawn(successor, 'master')
  await world.until(() => scheduler.isSubscribed, 'subscribed again')
  await world.advance(10)
  t.match(successor.of('RECONCILE'), [
    { reconcile: { tasks: [{ task_id: { value: 'hello' }, agent_id: { value: 'S1' } }] } },
  ])
  await world.stop()
})
