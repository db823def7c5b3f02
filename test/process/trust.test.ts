// A cluster whose processes share a secret, as real processes: who has it works as ever, who has not is refused, and both
// sides' logs say which flag to set.

import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Command, RealCluster, until } from './real-cluster.ts'

const SECRET = '4f1c0e9b7d5a3826e0c1b2a394857667'

function secured(t: Test) {
  const real = new RealCluster()
  t.teardown(async () => {
    const left = await real.stop()
    if (left.length > 0) throw new Error(`left behind:\n${left.join('\n')}`)
  })
  const file = join(real.dir, 'secret')
  writeFileSync(file, `${SECRET}\n`, { mode: 0o600 })
  const flag = `--cluster_secret=file://${file}`
  const agent = (name: string, more: readonly string[]): Command => {
    mkdirSync(join(real.dir, name))
    return real.command('mesos-agent', [
      `--master=${real.address}`,
      '--ip=127.0.0.1',
      '--port=0',
      `--work_dir=${join(real.dir, name)}`,
      `--runtime_dir=${join(real.dir, `${name}-run`)}`,
      '--resources=cpus:4;mem:2048;disk:1000',
      ...more,
    ])
  }
  return { real, file, flag, agent }
}

/** All text that tasks and executors wrote. */
function outputs(directory: string): string {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && /^std(out|err)$/.test(entry.name))
    .map(entry => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n')
}

t.test('a cluster with a secret works, and its tasks do not learn it', async t => {
  const { real, file, flag, agent } = secured(t)
  await real.startMaster([flag])
  const good = agent('agent', [flag])
  await good.says(/registered with the master/)
  const framework = real.command(
    'examples/test-framework/main',
    [real.address, '--total_tasks=3', '--task_duration=0.05'],
    { MESOS_CLUSTER_SECRET: `file://${file}` },
  )
  await framework.exited
  t.match(framework.stdout, /3 of 3 tasks finished/, 'by a custom executor, which has a token')
  t.equal(framework.exit?.code, 0)
  const execute = real.command('mesos-execute', [
    `--master=${real.address}`,
    '--name=env',
    '--command=env; echo done',
    flag,
  ])
  await execute.exited
  t.equal(execute.exit?.code, 0)
  t.match(execute.stdout, /^done$/m)
  for (const said of [execute.output, framework.output, outputs(join(real.dir, 'agent'))]) {
    t.notMatch(said, /CLUSTER_SECRET|AUTHENTICATION_TOKEN/)
    t.notMatch(said, SECRET)
  }
  const flags = await (await fetch(`http://${real.address}/flags`)).text()
  t.match(flags, '"cluster_secret":"<secret>"')
  t.notMatch([flags, real.master.output, good.output].join(), SECRET)
})

t.test('an agent and a framework without the secret, or with another', async t => {
  const { real, flag, agent } = secured(t)
  await real.startMaster([flag])
  const lines = {
    none: /connection given up .*start both with the same --cluster_secret \(MESOS_CLUSTER_SECRET\)/,
    wrong: /connection given up .*--cluster_secret \(MESOS_CLUSTER_SECRET\) differs between/,
  }
  const without = agent('without', [])
  await without.says(lines.none)
  await real.master.says(lines.none)
  const wrong = agent('wrong', ['--cluster_secret=a-secret-of-some-other-cluster-altogether'])
  await wrong.says(lines.wrong)
  const framework = real.command('examples/test-framework/main', [real.address], {
    MESOS_CLUSTER_SECRET: 'a-secret-of-some-other-cluster-altogether',
  })
  await framework.says(lines.wrong)
  const { slaves, frameworks } = await real.state()
  t.strictSame([slaves, frameworks], [[], []])
  const metrics = async () => (await fetch(`http://${real.address}/metrics`)).text()
  t.match(await metrics(), /^actors_peers_cut_off_unproved [1-9]/m)
})

t.test('a secured agent does not take an open master for its own', async t => {
  const { real, flag, agent } = secured(t)
  await real.startMaster()
  const careful = agent('careful', [flag])
  const line = /connection given up .*start both with the same --cluster_secret/
  await careful.says(line)
  await real.master.says(line)
  t.strictSame((await real.state()).slaves, [])
})

t.test('a secret that is too short, missing, or open to all eyes', async t => {
  const { real, file, flag } = secured(t)
  const short = real.command('mesos-agent', ['--master=a:1', '--cluster_secret=hunter2'])
  await short.exited
  t.equal(short.exit?.code, 1)
  t.match(short.stderr, /'--cluster_secret': .*at least 32 characters.*openssl rand -hex 32/)
  t.notMatch(short.output, 'hunter2')
  const missing = real.command('mesos-agent', ['--master=a:1', `${flag}-not-there`])
  await missing.exited
  t.match(missing.stderr, /'--cluster_secret': cannot read the file '.*secret-not-there'/)
  chmodSync(file, 0o644)
  await real.startMaster([flag])
  t.match(real.master.output, /'--cluster_secret': everybody can read that file; chmod go= it/)
  const local = real.command('mesos-local', ['--port=0', flag, '--resources=cpus:1;mem:512'])
  await local.says(/everybody can read/)
  await local.says(/A cluster of one agent is running/)
  local.kill('SIGINT')
  await until(() => local.exit !== undefined, 'it has ended')
})
