// Draining with real processes: tasks run, the agent and the master are killed with -9 in the midst of it, and the agent is
// empty in the end; a machine that is taken down loses its agent.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { freePorts } from '../../bench/ports.ts'
import { Batch } from '../cluster/batch.ts'
import { RealCluster, until } from './real-cluster.ts'

t.setTimeout(180_000)

const FRAMEWORK = {
  checkpoint: true,
  failover_timeout: 600,
  capabilities: [{ type: 'PARTITION_AWARE' }],
}
/** What is left of a test that fails ends by itself. */
const PATIENCE = '--recovery_timeout=1mins'
/** Does not end when it is asked to. */
const STUBBORN = "trap '' TERM; echo trapped; while :; do sleep 0.1; done"

async function post(cluster: RealCluster, path: string, body: unknown): Promise<number> {
  const response = await fetch(`http://${cluster.address}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  await response.arrayBuffer()
  return response.status
}

const drainState = async (cluster: RealCluster): Promise<string | undefined> => {
  const [agent] = (await cluster.state().catch(() => undefined))?.slaves ?? []
  return (agent as { drain_info?: { state: string } } | undefined)?.drain_info?.state
}

t.test('an agent is drained through the deaths of itself and of the master', async t => {
  const cluster = new RealCluster()
  try {
    const [port = 0] = await freePorts(1)
    const [masterPort = 0] = await freePorts(1)
    cluster.address = `127.0.0.1:${masterPort}`
    await cluster.startMaster()
    let agent = await cluster.restartAgent('agent', port, PATIENCE)
    await agent.says(/registered with the master/)
    const scripts = [STUBBORN, 'exec sleep 1000', 'exec sleep 1000']
    const scheduler = new Batch(scripts, FRAMEWORK, { master: cluster.address, cpus: 1 })
    await cluster.run(scheduler)
    const running = async (): Promise<number> =>
      (await cluster.state()).frameworks
        .flatMap(({ tasks }) => tasks)
        .filter(({ state }) => state === 'TASK_RUNNING').length
    await until(async () => (await running()) === 3, 'all run')
    const { slaves } = await cluster.state()
    const id = slaves[0]!.id
    const config = join(cluster.dir, 'agent/meta/slaves', id, 'drain.config')
    // Longer than the test may take: only the second word ends the stubborn one.
    const drain = (...more: string[]) =>
      cluster.command('mesos', ['drain', id, `--master=${cluster.address}`, ...more])
    const first = drain('--max_grace_period=1hrs', '--wait=false')
    await first.exited
    t.equal(first.exit?.code, 0, first.output)
    await until(() => existsSync(config), 'it is written down')
    await until(
      () => scheduler.ends('t0') + scheduler.ends('t1') + scheduler.ends('t2') > 0,
      'some end',
    )
    agent.kill('SIGKILL')
    cluster.master.kill('SIGKILL')
    await Promise.all([agent.exited, cluster.master.exited])
    await cluster.startMaster()
    agent = await cluster.restartAgent('agent', port, PATIENCE)
    await agent.says(/back with the master/, 30_000)
    t.equal(await drainState(cluster), 'DRAINING', 'the next master goes on with it')
    const second = drain('--max_grace_period=1secs')
    await second.exited
    t.equal(second.exit?.code, 0, second.output)
    t.match(second.stderr, /DRAINED/)
    t.equal(await drainState(cluster), 'DRAINED')
    const ends = [...scheduler.statuses.values()].flat().filter(s => s.state === 'TASK_KILLED')
    t.equal(new Set(ends.map(s => s.task_id.value)).size, 3)
    t.ok(
      ends.every(({ reason }) => reason === 'REASON_AGENT_DRAINING'),
      'and why is said',
    )
    const back = cluster.command('mesos', ['reactivate', id, `--master=${cluster.address}`])
    await back.exited
    t.equal(back.exit?.code, 0, back.output)
    await until(() => !existsSync(config), 'it is forgotten')
    t.equal((await cluster.state()).slaves[0]!.active, true)
  } finally {
    t.same(await cluster.stop(), [], 'no process is left')
  }
})

t.test('a machine that goes down has its agent end, and what it ran', async t => {
  const cluster = new RealCluster()
  try {
    await cluster.startMaster()
    const agent = await cluster.startAgent(undefined, '--hostname=node-1')
    const scheduler = new Batch(['exec sleep 1000'], {}, { master: cluster.address, cpus: 1 })
    await cluster.run(scheduler)
    await until(() => scheduler.last('t0') === 'TASK_RUNNING', 'it runs')
    const machines = [{ hostname: 'NODE-1', ip: '127.0.0.1' }]
    const windows = [{ machine_ids: machines, unavailability: { start: { nanoseconds: 1 } } }]
    t.equal(await post(cluster, '/maintenance/schedule', { windows }), 200)
    t.equal(await post(cluster, '/machine/down', machines), 200)
    await agent.exited
    t.match(agent.output, /Operator initiated 'Machine DOWN'/)
    t.same((await cluster.state()).slaves, [])
    await until(() => scheduler.ends('t0') > 0, 'its scheduler is told')
    t.equal(await post(cluster, '/machine/up', machines), 200)
  } finally {
    t.same(await cluster.stop(), [], 'no process is left')
  }
})
