// What commands refuse: each by real processes, since only those have ports, directories and exit statuses.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { RealCluster } from './real-cluster.ts'

function cluster(t: Test): RealCluster {
  const made = new RealCluster()
  // A test that has ended takes no more assertions, but an error.
  t.teardown(async () => {
    const left = await made.stop()
    if (left.length > 0) throw new Error(`left behind:\n${left.join('\n')}`)
  })
  return made
}

/** Runs a command that is expected to end by itself. */
async function outcome(on: RealCluster, name: string, args: readonly string[]) {
  const command = on.command(name, args)
  await command.exited
  return { status: command.exit?.code, said: command.stderr, printed: command.stdout }
}

t.test('all that is wrong with flags is said at once', async t => {
  const real = cluster(t)
  const { status, said } = await outcome(real, 'mesos-master', [
    '--prot=5050',
    '--agent_ping_timeout=soon',
    '--weights=a=-1',
  ])
  t.equal(status, 1)
  t.match(said, /Unknown flag '--prot'; did you mean '--port'\?/)
  t.match(said, /'--agent_ping_timeout': 'soon' is not a duration/)
  t.match(said, /'--weights'.*above 0/)
  const agent = await outcome(real, 'mesos-agent', ['--resources=cpus:lots', '--master=a:b:c'])
  t.equal(agent.status, 1)
  t.match(agent.said, /'--resources': .*cpus:lots/)
  t.match(agent.said, /'--master': .*host:port/)
})

t.test('a master needs a directory that it can write to', async t => {
  const real = cluster(t)
  const file = join(real.dir, 'file')
  writeFileSync(file, '')
  for (const [flags, words] of [
    [[], /'--work_dir' is required/],
    [[`--work_dir=${real.dir}/none`], /none does not exist\.\nCreate it: mkdir -p /],
    [[`--work_dir=${file}`], /file is not a directory/],
    [['--work_dir=/proc/self'], /\/proc\/self/],
  ] as const) {
    const { status, said } = await outcome(real, 'mesos-master', [
      '--ip=127.0.0.1',
      '--port=0',
      ...flags,
    ])
    t.equal(status, 1)
    t.match(said, words)
  }
  for (const [flag, words] of [
    [`--work_dir=${file}`, /file is not a directory/],
    ['--work_dir=/proc', /\/proc (cannot hold files|may not be written)/],
    ['--runtime_dir=/proc', /\/proc (cannot hold files|may not be written)/],
    ['--runtime_dir=/proc/none', /\/proc\/none does not exist/],
  ] as const) {
    const agent = await outcome(
      real,
      'mesos-agent',
      [
        '--master=127.0.0.1:1',
        '--ip=127.0.0.1',
        '--port=0',
        `--work_dir=${real.dir}`,
        `--runtime_dir=${real.dir}/run`,
      ]
        .filter(other => other.split('=')[0] !== flag.split('=')[0])
        .concat(flag),
    )
    t.equal(agent.status, 1, flag)
    t.match(agent.said, words)
  }
})

t.test('a port and a directory belong to one process', async t => {
  const real = cluster(t)
  await real.startMaster()
  const port = real.address.split(':')[1]
  mkdirSync(join(real.dir, 'other'))
  const taken = await outcome(real, 'mesos-master', [
    '--ip=127.0.0.1',
    `--port=${port}`,
    `--work_dir=${real.dir}/other`,
  ])
  t.equal(taken.status, 1)
  t.match(taken.said, new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is in use`))
  t.match(taken.said, /--port/)
  const locked = await outcome(real, 'mesos-master', [
    '--ip=127.0.0.1',
    '--port=0',
    `--work_dir=${real.dir}`,
  ])
  t.equal(locked.status, 1)
  t.match(locked.said, new RegExp(`in use by the process with pid ${real.master.child.pid}`))
  const agent = await real.startAgent()
  const second = await outcome(real, 'mesos-agent', [
    `--master=${real.address}`,
    '--ip=127.0.0.1',
    '--port=0',
    `--work_dir=${real.dir}/agent-1`,
    `--runtime_dir=${real.dir}/run`,
  ])
  t.equal(second.status, 1)
  t.match(second.said, new RegExp(`agent-1 is in use by the process with pid ${agent.child.pid}`))
  t.match(second.said, /another --work_dir/)
  agent.kill('SIGKILL')
  await agent.exited
  const next = real.command('mesos-agent', [
    `--master=${real.address}`,
    '--ip=127.0.0.1',
    '--port=0',
    `--work_dir=${real.dir}/agent-1`,
    `--runtime_dir=${real.dir}/run`,
  ])
  await next.says(/back with the master/)
  const local = await outcome(real, 'mesos-local', [`--port=${port}`])
  t.equal(local.status, 1)
  t.match(local.said, /is in use.*\n.*--port/)
  t.equal(real.master.exit, undefined, 'the first one does not notice')
})

t.test(
  'frameworks refuse what is no master, and agents wait for one that is away, saying so',
  async t => {
    const real = cluster(t)
    for (const [program, args] of [
      ['examples/test-framework/main', ['nowhere']],
      ['examples/test-framework/main', []],
      ['mesos-execute', ['--master=nowhere:none', '--name=x', '--command=true']],
      ['mesos-execute', ['--master=127.0.0.1:5050']],
    ] as const) {
      const { status, said } = await outcome(real, program, args)
      t.equal(status, 1)
      t.match(said, /master|--name/)
    }
    const agent = real.command('mesos-agent', [
      '--master=127.0.0.1:1',
      '--ip=127.0.0.1',
      '--port=0',
      `--work_dir=${real.dir}`,
      `--runtime_dir=${real.dir}/run`,
    ])
    await agent.says(/does not answer; still trying/)
    agent.kill('SIGTERM')
    await agent.exited
    t.equal(agent.exit?.code, 0)
  },
)

t.test('mesos-log reads what is a log, of a running master too, and changes nothing', async t => {
  const real = cluster(t)
  await real.startMaster()
  const workDir = real.dir
  const replay = await outcome(real, 'mesos-log', ['replay', `--work_dir=${workDir}`, '--json'])
  t.equal(replay.status, 0)
  t.match(JSON.parse(replay.printed), {
    position: 1,
    operation: { type: 'recover' },
    cause: { by: `master@${real.address}`, why: 'elected' },
    counts: { agents: 0 },
  })
  const read = await outcome(real, 'mesos-log', ['read', `--path=${workDir}/replicated_log`])
  t.match(read.printed, /APPEND .*recover: master/)
  mkdirSync(join(real.dir, 'empty'))
  for (const [args, words] of [
    [['read', `--work_dir=${real.dir}/empty`], /No log can be read|There is no log/],
    [['replay'], /'--work_dir' and '--path'/],
    [['reply'], /Did you mean 'replay'\?/],
    [[], /Usage: mesos-log/],
  ] as const) {
    const { status, said } = await outcome(real, 'mesos-log', args)
    t.equal(status, 1)
    t.match(said, words)
  }
  const help = await outcome(real, 'mesos-log', ['help', 'replay'])
  t.equal(help.status, 0)
  t.match(help.printed, /--to=N/)
})
