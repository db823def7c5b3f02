// Three masters as real processes: the leading one is killed, and one that only stands still does nothing more.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Batch } from '../cluster/batch.ts'
import { freePorts } from './free-ports.ts'
import { type Command, RealCluster, until } from './real-cluster.ts'

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
