// What a newcomer does, by real processes: the walk-through in three terminals, and npm start.

import { readdirSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Command, RealCluster, until } from './real-cluster.ts'

function cluster(t: Test): RealCluster {
  const made = new RealCluster()
  // A test that has ended takes no more assertions, but an error.
  t.teardown(async () => {
    const left = await made.stop()
    if (left.length > 0) throw new Error(`left behind:\n${left.join('\n')}`)
  })
  return made
}

async function ended(command: Command): Promise<number | null | undefined> {
  await command.exited
  return command.exit?.code
}

t.test('a master, an agent, a framework with its own executor, a command', async t => {
  const real = cluster(t)
  await real.startMaster()
  await real.startAgent()

  const framework = real.command('examples/test-framework/main', [real.address], {
    TOTAL_TASKS: '3',
    TASK_DURATION: '0.1',
  })
  t.equal(await ended(framework), 0)
  for (const state of ['STAGING', 'STARTING', 'RUNNING', 'FINISHED']) {
    t.equal(framework.stdout.match(new RegExp(`Task \\d TASK_${state}`, 'g'))?.length, 3, state)
  }
  t.match(framework.stdout, /3 of 3 tasks finished/)

  const hello = real.command('examples/hello/main', [real.address])
  t.equal(await ended(hello), 0)
  t.equal(hello.stdout.match(/TASK_FINISHED/g)?.length, 5)

  const master = `--master=${real.address}`
  const needs = '--resources=cpus:0.1;mem:32'
  const says = real.command('mesos-execute', [
    master,
    needs,
    '--name=says',
    '--env={"WORD":"hällo"}',
    '--command=echo $WORD; echo oops >&2; sleep 0.3; printf end',
  ])
  t.equal(await ended(says), 0)
  t.match(
    says.stdout,
    /Subscribed with ID .*-\d{4}\nSubmitted task 'says' to agent '.*-S0'\n[^]*TASK_RUNNING[^]*\nhällo\nend\nReceived status update TASK_FINISHED for task 'says'\n {2}message: 'Command exited with status 0'\n {2}source: SOURCE_EXECUTOR\n$/,
  )
  t.equal(says.stderr, 'oops\n')

  const fails = real.command('mesos-execute', [master, needs, '--name=fails', '--command=exit 7'])
  t.equal(await ended(fails), 1)
  t.match(fails.stdout, /TASK_FAILED[^]*'Command exited with status 7'/)

  const killed = real.command('mesos-execute', [master, needs, '--name=k', '--command=sleep 99'])
  await killed.says(/TASK_RUNNING/)
  // Twice, as a Ctrl-C arrives under npx.
  killed.kill('SIGINT')
  killed.kill('SIGINT')
  t.equal(await ended(killed), 130)
  t.match(killed.stdout, /TASK_KILLED/)

  const timed = real.command('mesos-execute', [
    master,
    needs,
    '--name=timed',
    '--command=sleep 99',
    '--kill_after=100ms',
  ])
  t.equal(await ended(timed), 1)

  await until(async () => (await real.state()).frameworks.length === 0, 'all are torn down')
  t.equal((await real.state()).slaves[0]?.used_resources.cpus, 0)
  const page = await fetch(`http://${real.address}/`)
  t.match(page.headers.get('content-type'), /^text\/html/)
  t.match(await page.text(), /page\.js/)

  const replay = real.command('mesos-log', ['replay', `--work_dir=${real.dir}`])
  t.equal(await ended(replay), 0)
  t.match(replay.stdout, /recover: master[^]*admit_agent .*-S0[^]*registry: 1 agent,/)
})

t.test('npm start: a cluster, the example on it, and Ctrl-C ends all of it', async t => {
  const real = cluster(t)
  const start = real.command('start', ['--port=0', '--total_tasks=6', '--task_duration=100ms'])
  const [, url] = await start.says(/Dashboard: (http:\S+)/)
  await start.says(/6 of 6 finished[^]*All tasks have finished[^]*Ctrl-C ends it/)
  const state = (await (await fetch(`${url}/state`)).json()) as { slaves: unknown[] }
  t.equal(state.slaves.length, 3)
  // Twice: a terminal signals npm and us, and npm passes on what it got.
  start.kill('SIGINT')
  start.kill('SIGINT')
  t.equal(await ended(start), 0)
  t.same(real.leftovers(), [])
  t.same(readdirSync(real.dir), [], 'nor files')
})

t.test('npm start killed in the middle of it takes all processes with it', async t => {
  const real = cluster(t)
  const start = real.command('start', ['--port=0', '--total_tasks=6', '--task_duration=10mins'])
  await start.says(/6 running/)
  start.kill('SIGKILL')
  await start.exited
  await until(() => real.leftovers().length === 0, 'nothing is left')
  t.pass('nothing is left')
})

t.test('mesos-local ends with its master, and says so', async t => {
  const real = cluster(t)
  const local = real.command('mesos-local', ['--port=0', '--num_agents=2'])
  const [, address] = await local.says(/Dashboard: http:\/\/(\S+)/)
  await local.says(/Ctrl-C ends it/)
  const pid = real
    .leftovers()
    .find(
      line => line.includes('mesos-master.js') && line.includes(`--port=${address?.split(':')[1]}`),
    )
  process.kill(Number(pid?.split(':')[0]), 'SIGKILL')
  t.equal(await ended(local), 1)
  t.match(local.stdout, /The master has ended \(SIGKILL\)/)
  t.same(real.leftovers(), [])
})
