// Masters that a real ZooKeeper elects: the leader is killed, stands still, and loses its session; ZooKeeper is restarted; and
// the tasks go on through all of it.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openSession } from '../../src/zookeeper/library.ts'
import type { Session } from '../../src/zookeeper/session.ts'
import { Batch } from '../cluster/batch.ts'
import { freePorts } from '../../bench/ports.ts'
import { type Command, RealCluster, until } from './real-cluster.ts'
import { whyNoZooKeeper, ZooKeeperServer } from './zookeeper-server.ts'

const why = whyNoZooKeeper()
if (why !== undefined) {
  t.pass('skipped', { skip: why })
  process.exit()
}

const SESSION_MS = 2_000
const USER = 'zk://ada:engine@'

class Ensemble {
  readonly cluster = new RealCluster()
  readonly masters = new Map<string, Command>()
  server!: ZooKeeperServer
  addresses: string[] = []
  url = ''

  async start(): Promise<void> {
    const [port, ...ports] = await freePorts(4)
    this.server = new ZooKeeperServer(join(this.cluster.dir, 'zookeeper'), port!)
    await this.server.start()
    this.url = `${USER}${this.server.address}/test/mesos`
    this.addresses = ports.map(each => `127.0.0.1:${each}`)
    for (const address of this.addresses) this.startMaster(address)
    // As an operator hides the password.
    const file = join(this.cluster.dir, 'zk')
    writeFileSync(file, `${this.url}\n`, { mode: 0o600 })
    this.cluster.address = `file://${file}`
  }

  startMaster(address: string, url = this.url): Command {
    const directory = join(this.cluster.dir, address.replace(':', '-'))
    mkdirSync(directory, { recursive: true })
    const master = this.cluster.command('mesos-master', [
      '--ip=127.0.0.1',
      `--port=${address.split(':')[1]}`,
      `--work_dir=${directory}`,
      `--zk=${url}`,
      `--zk_session_timeout=${SESSION_MS}ms`,
      '--quorum=2',
    ])
    this.masters.set(address, master)
    return master
  }

  get(address: string, path: string): Promise<Response | undefined> {
    const options = { redirect: 'manual', signal: AbortSignal.timeout(1_000) } as const
    return fetch(`http://${address}${path}`, options).catch(() => undefined)
  }

  /** The one that serves the state itself. */
  async leader(...not: string[]): Promise<string> {
    let leader: string | undefined
    await until(async () => {
      for (const address of this.addresses) {
        if (not.includes(address)) continue
        if ((await this.get(address, '/state'))?.status === 200) leader = address
      }
      return leader !== undefined
    }, 'a master leads')
    return leader!
  }

  async allAreBackWith(leader: string): Promise<void> {
    await until(async () => {
      const state = (await (await this.get(leader, '/state'))?.json().catch(() => undefined)) as
        | { slaves: { active: boolean }[]; frameworks: { active: boolean }[] }
        | undefined
      return Boolean(state?.slaves.some(a => a.active) && state.frameworks.some(f => f.active))
    }, 'agent and framework have found it')
  }

  /** How many masters ZooKeeper lists. */
  async entered(): Promise<number> {
    const names = await look(this.server.address, session => session.children('/test/mesos'))
    return names.filter(name => name.startsWith('json.info_')).length
  }

  async stop(): Promise<string[]> {
    await this.server.kill()
    return this.cluster.stop()
  }
}

/** What anybody may look at. */
async function look<T>(server: string, question: (session: Session) => Promise<T>): Promise<T> {
  const events = { connected: () => {}, ended: () => {}, changed: () => {} }
  const session = openSession({ servers: [server], timeoutMs: 4_000 }, events)
  try {
    return await question(session)
  } finally {
    session.close()
  }
}

/** The three masters and an agent, with a scheduler that runs these commands; and what they said, if something fails. */
async function running(
  commands: readonly string[],
  use: (e: Ensemble, scheduler: Batch, leader: string) => Promise<void>,
): Promise<void> {
  const e = new Ensemble()
  try {
    await e.start()
    const leader = await e.leader()
    await e.cluster.startAgent()
    const scheduler = new Batch(commands, { failover_timeout: 60 }, { again: true, master: e.url })
    await e.cluster.run(scheduler)
    await until(() => scheduler.last('t0') === 'TASK_RUNNING', 'a long task runs')
    await use(e, scheduler, leader)
  } catch (error) {
    for (const [address, { output }] of e.masters) t.comment(`${address}:\n${output}`)
    throw error
  } finally {
    t.same(await e.stop(), [], 'no process is left behind')
  }
}

t.test('three masters, an agent and frameworks; the leader is killed', async t => {
  await running(['sleep 60'], async (e, scheduler, first) => {
    const { cluster, server } = e
    const names = await look(server.address, session => session.children('/test/mesos'))
    const [oldest] = names.filter(name => /^json\.info_\d{10}$/.test(name)).toSorted()
    t.ok(names.includes('log_replicas'))
    const node = await look(server.address, session => session.read(`/test/mesos/${oldest}`))
    const info = JSON.parse(Buffer.from(node.data).toString('utf8'))
    t.match(info, { pid: `master@${first}`, address: { ip: '127.0.0.1' }, ip: 16777343 })
    await t.rejects(
      look(server.address, session =>
        session.create('/test/mesos/json.info_', new Uint8Array(), 'ephemeral sequential'),
      ),
      { code: 'NO_AUTH' },
      'others may read, and no more',
    )
    const [address] = e.addresses.filter(each => each !== first)
    t.equal((await e.get(address!, '/slaves'))?.headers.get('location'), `//${first}/slaves`)

    const stranger = e.startMaster('127.0.0.1:0', e.url.replace('engine', 'wrong'))
    const resolved = cluster.command('mesos', ['resolve', e.url.replace('ada:engine@', '')])
    const args = ['--name=hello', '--command=echo hello', '--resources=cpus:0.1;mem:32']
    const executed = cluster.command('mesos-execute', [`--master=${e.cluster.address}`, ...args])
    await Promise.all([stranger.exited, resolved.exited, executed.exited])
    t.equal(stranger.exit?.code, 1)
    t.match(stranger.output, /refuses these credentials for \/test\/mesos/)
    t.equal(resolved.output, `${first}\n`)
    t.match(executed.stdout, /^hello$/m)
    t.equal(executed.exit?.code, 0)

    e.masters.get(first)!.kill('SIGKILL')
    await e.masters.get(first)!.exited
    const second = await e.leader(first)
    t.not(second, first)
    await e.allAreBackWith(second)
    t.equal(scheduler.last('t0'), 'TASK_RUNNING')

    const before = await e.entered()
    e.masters.get(second)!.kill('SIGTERM')
    await e.masters.get(second)!.exited
    t.equal(await e.entered(), before - 1, 'an orderly end is told at once')
  })
})

t.test('replicas of a log that ZooKeeper lists, without a master', async t => {
  const cluster = new RealCluster()
  const [port] = await freePorts(1)
  const server = new ZooKeeperServer(join(cluster.dir, 'zookeeper'), port!)
  await server.start()
  try {
    const log = (name: string, path: string, ...args: string[]): Command =>
      cluster.command('mesos-log', [
        name,
        `--path=${join(cluster.dir, path)}`,
        '--ip=127.0.0.1',
        '--port=0',
        `--servers=${server.address}`,
        '--znode=/of/a/log',
        '--quorum=2',
        ...args,
      ])
    log('replica', 'one')
    log('replica', 'two')
    const benchmark = log('benchmark', 'three', '--count=20', '--json', '--logging_level=error')
    await benchmark.exited
    t.match(JSON.parse(benchmark.stdout), { appends: 20 })
  } finally {
    await server.kill()
    t.same(await cluster.stop(), [], 'no process is left behind')
  }
})

const ALL = process.env['MESOS_TEST_ZOOKEEPER'] === 'all'
const skip = ALL ? false : 'takes a minute: MESOS_TEST_ZOOKEEPER=all npm test -- process/zookeeper'

t.test('a leader stands still; ZooKeeper stands still, and is restarted', { skip }, async t => {
  const commands = [...Array.from({ length: 2 }, () => 'sleep 40'), 'true', 'true']
  await running(commands, async (e, scheduler, first) => {
    const paused = e.masters.get(first)!
    paused.kill('SIGSTOP')
    const second = await e.leader(first)
    t.not(second, first)
    paused.kill('SIGCONT')
    await paused.exited
    t.equal(paused.exit?.code, 1, 'it ends, for another one leads')
    t.match(paused.output, /ZooKeeper may have let another master lead/)
    e.startMaster(first)
    await e.allAreBackWith(second)

    // It takes connections, and answers nothing.
    e.server.pause()
    await e.masters.get(second)!.exited
    t.match(e.masters.get(second)!.output, /ZooKeeper has not answered/)
    e.server.resume()
    const third = await e.leader(second)
    await e.allAreBackWith(third)
    e.startMaster(second)

    await e.server.kill()
    await e.server.start()
    await e.allAreBackWith(await e.leader())

    await until(() => scheduler.count('TASK_FINISHED') === commands.length, 'all finish', 60_000)
    t.equal(scheduler.ends('t0'), 1)
    t.strictSame(scheduler.errors, [])
  })
})
