// Three replicas of a log as real processes: initialized, measured, one of them killed, and compared.

import { join } from 'node:path'
import t from 'tap'
import { freePorts } from '../../bench/ports.ts'
import { type Command, RealCluster, until } from './real-cluster.ts'

t.test('mesos-log runs, initializes and measures replicas, which then are the same', async t => {
  const real = new RealCluster()
  const ended = async (name: string, args: readonly string[]): Promise<Command> => {
    const command = real.command('mesos-log', [name, ...args])
    await command.exited
    return command
  }
  try {
    const ports = await freePorts(3)
    const replicas = `--replicas=${ports.map(port => `127.0.0.1:${port}`).join()}`
    const paths = ports.map(port => join(real.dir, `log-${port}`))
    const initialized = await Promise.all(
      paths.map(path => ended('initialize', [`--path=${path}`])),
    )
    for (const { exit } of initialized) t.equal(exit?.code, 0)
    const member = (i: number): readonly string[] => [
      ...[`--path=${paths[i]}`, '--ip=127.0.0.1', `--port=${ports[i]}`, replicas],
      '--no-initialize',
    ]
    const [killed, stopped] = [1, 2].map(i => real.command('mesos-log', ['replica', ...member(i)]))
    await Promise.all([killed!.says(/listening/), stopped!.says(/listening/)])
    const measure = (count: number): Promise<Command> =>
      ended('benchmark', [...member(0), `--count=${count}`, '--size=100B', '--outstanding=8'])
    t.match((await measure(40)).stdout, /Total number of appends: 40 \(4000 bytes\)[^]*p99 \d/)
    killed!.kill('SIGKILL')
    await killed!.exited
    t.match((await measure(10)).stdout, /Total number of appends: 10/, 'two of three are enough')
    const compare = (i: number): Promise<Command> => ended('diff', [paths[0]!, paths[i]!])
    // What was chosen a moment ago is learned a moment later.
    await until(async () => (await compare(2)).exit?.code === 0, 'two replicas are the same')
    stopped!.kill('SIGTERM')
    await stopped!.exited
    t.equal(stopped!.exit?.code, 0)
    const behind = await compare(1)
    t.match(behind.stdout, /first differ at position \d+ .*breaks no agreement/)
    t.equal(behind.exit?.code, 1)
  } finally {
    t.same(await real.stop(), [], 'no process is left behind')
  }
})
