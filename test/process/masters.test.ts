// Three masters as real processes: the leading one is killed, and one that only stands still does nothing more.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Batch } from '../cluster/batch.ts'
import { freePorts } from '../../bench/ports.ts'
import { type Command, RealCluster, type State, until } from './real-cluster.ts'

class Ensemble {
  readonly cluster = new RealCluster()
  readonly masters = new Map<string, Command>()
  addresses: string[] = []

  async start(): Promise<void> {
    const ports = await freePorts(3)
    this.addresses = ports.map(port => `127.0.0.1:${port}`)
    this.cluster.address = this.addresses.join()
    for (const address of this.addresses) this.startMaster(address)
  }

  startMaster(address: string): void {
    const directory = join(this.cluster.dir, address.replace(':', '-'))
    mkdirSync(directory, { recursive: true })
    const master = this.cluster.command('mesos-master', [
      '--ip=127.0.0.1',
      `--port=${address.split(':')[1]}`,
      `--work_dir=${directory}`,
      `--masters=${this.addresses.join()}`,
    ])
    this.masters.set(address, master)
  }

  /** The one that serves the state itself. */
  async leader(...not: string[]): Promise<string> {
    let leader: string | undefined
    await until(async () => {
      for (const address of this.addresses) {
        if (not.includes(address)) continue
        const limit = AbortSignal.timeout(1_000)
        const url = `http://${address}/state`
        const answer = await fetch(url, { redirect: 'manual', signal: limit }).catch(
          () => undefined,
        )
        if (answer?.status === 200) leader = address
      }
      return leader !== undefined
    }, 'a master leads')
    return leader!
  }
}

t.test('masters are added, removed and replaced while the cluster runs', async t => {
  const e = new Ensemble()
  const { cluster } = e
  try {
    await e.start()
    const leader = await e.leader()
    const members = async (...args: string[]) => {
      const command = cluster.command('mesos-log', [
        'members',
        `--master=${e.addresses.join()}`,
        ...args,
      ])
      await command.exited
      return command
    }
    const lines = (command: Command) => command.stdout.trim().split('\n')
    t.same(lines(await members()), e.addresses)
    const [port] = await freePorts(1)
    const fourth = `127.0.0.1:${port}`
    t.match((await members(`--add=${fourth}`)).stderr, /does not answer\. Start it with --masters=/)
    const old = e.addresses.find(address => address !== leader)!
    e.addresses = [...e.addresses, fourth]
    e.startMaster(fourth)
    await e.masters.get(fourth)!.says(/listening/)
    const added = await members(`--add=${fourth}`)
    t.same(lines(added), e.addresses, added.stderr)
    t.match(added.stderr, /quorum: 3 of 4/)
    // The one that it replaces need not live.
    e.masters.get(old)!.kill('SIGKILL')
    await e.masters.get(old)!.exited
    await e.masters.get(fourth)!.says(/new status .*VOTING/)
    t.match((await members(`--remove=${leader}`)).stderr, /leads\. Stop it first/)
    const removed = await members(`--remove=${old}`)
    e.addresses = e.addresses.filter(address => address !== old)
    t.same(lines(removed), e.addresses, removed.stderr)
    t.equal(await e.leader(), leader, 'all that costs no leader its election')

    // Two of the three that are members now are enough.
    await cluster.startAgent()
    e.masters.get(leader)!.kill('SIGKILL')
    await e.masters.get(leader)!.exited
    const next = await e.leader(leader)
    t.not(next, leader)
    await until(async () => {
      const state = (await (await fetch(`http://${next}/state`)).json()) as State
      return state.slaves.some(agent => agent.active)
    }, 'the agent has found it')
  } catch (error) {
    for (const [address, { output }] of e.masters) t.comment(`${address}:\n${output}`)
    throw error
  } finally {
    t.same(await cluster.stop(), [], 'no process is left behind')
  }
})

t.test('the leader is killed, then stands still: tasks and framework go on', async t => {
  const e = new Ensemble()
  const { cluster } = e
  try {
    await e.start()
    const first = await e.leader()
    await cluster.startAgent()
    const scheduler = new Batch(
      [...Array.from({ length: 2 }, () => 'sleep 12'), ...Array.from({ length: 8 }, () => 'true')],
      { failover_timeout: 60 },
      { again: true, master: cluster.address },
    )
    await cluster.run(scheduler)
    await until(() => scheduler.last('t0') === 'TASK_RUNNING', 'a long task runs')

    e.masters.get(first)!.kill('SIGKILL')
    await e.masters.get(first)!.exited
    const second = await e.leader(first)
    t.not(second, first)
    e.startMaster(first)
    await until(async () => {
      const state = (await (await fetch(`http://${second}/state`)).json()) as {
        slaves: { active: boolean }[]
        frameworks: { active: boolean }[]
      }
      return state.slaves.some(a => a.active) && state.frameworks.some(f => f.active)
    }, 'agent and framework have found it')
    await e.masters.get(first)!.says(/listening/)
    let to = await fetch(`http://${first}/redirect`, { redirect: 'manual' })
    // It hears who leads with the next renewal of the lease.
    await until(async () => {
      to = await fetch(`http://${first}/redirect`, { redirect: 'manual' })
      return to.status === 307
    }, 'it knows who leads')
    t.equal(to.headers.get('location'), `//${second}`)

    const paused = e.masters.get(second)!
    paused.kill('SIGSTOP')
    const third = await e.leader(second)
    t.not(third, second)
    paused.kill('SIGCONT')
    await paused.exited
    t.equal(paused.exit?.code, 1, 'it ends, for another one leads')

    await until(() => scheduler.count('TASK_FINISHED') === 10, 'all tasks finish', 60_000)
    t.equal(scheduler.ends('t0'), 1)
    t.strictSame(scheduler.errors, [])
  } catch (error) {
    for (const [address, { output }] of e.masters) t.comment(`${address}:\n${output}`)
    throw error
  } finally {
    t.same(await cluster.stop(), [], 'no process is left behind')
  }
})
