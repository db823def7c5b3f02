// A log that is started where it must not vote says so, and does nothing.

import t from 'tap'
import { collectingLogger } from '../../src/base/log.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { checkHome, type Home } from '../../src/log/home.ts'
import { Log, LogService, Members, Reader, Writer } from '../../src/log/log.ts'
import { VirtualDisk } from '../../src/sim/virtual-disk.ts'
import { World } from '../../src/sim/world.ts'

const alone = (self: string): Home => ({ self, kind: 'alone', members: [], quorum: 1 })
const list = (self: string, ...members: string[]): Home => ({
  ...{ self, kind: 'list', members },
  quorum: Math.floor(members.length / 2) + 1,
})
const live = (self: string, quorum: number): Home => ({ self, kind: 'live', members: [], quorum })

const refusal = (home: Home, now: Home, version = 0): string | undefined => {
  try {
    checkHome(home, now, { status: 'VOTING', version })
    return undefined
  } catch (error) {
    const { message, hint } = error as { message: string; hint: string }
    return `${message} ${hint}`
  }
}

t.test('where a replica may vote', async t => {
  const three = ['a:1', 'b:1', 'c:1']
  const may: [Home, Home, number?][] = [
    [alone('a:1'), alone('a:2')],
    [alone('a:1'), list('a:1', 'a:1')],
    [list('a:1', 'a:1'), alone('b:1')],
    [list('a:1', 'a:1'), list('b:1', 'b:1')],
    [alone('a:1'), live('a:1', 1)],
    [list('a:1', ...three), list('a:1', 'c:1', 'a:1', 'b:1')],
    [list('a:1', ...three), live('a:1', 2)],
    [live('a:1', 2), live('b:1', 2)],
    [live('a:1', 2), list('b:1', ...three)],
    [list('a:1', ...three), list('a:1', 'a:1', 'd:1', 'e:1'), 4],
  ]
  for (const [home, now, version] of may)
    t.equal(refusal(home, now, version), undefined, JSON.stringify([home, now]))
  const mayNot: [Home, Home, RegExp, number?][] = [
    [alone('a:1'), list('a:1', ...three), /written by a master alone.*--masters=a:1.*--add/],
    [list('a:1', 'a:1'), list('a:1', ...three), /by the masters a:1, .*--add/],
    [alone('a:1'), live('a:1', 2), /a quorum of 2/],
    [list('a:1', ...three), alone('a:1'), /Alone it would write another log/],
    [list('a:1', ...three), list('a:1', 'a:1', 'b:1', 'd:1'), /mesos-log members/],
    [list('a:1', ...three), live('a:1', 3), /a quorum of 3/],
    [live('a:1', 2), alone('a:1'), /Alone/],
    [live('a:1', 2), live('a:1', 3), /a quorum of 3/],
    [list('b:1', ...three), list('c:1', ...three), /belongs to the process at b:1.*relocate/],
    [list('b:1', ...three), list('d:1', ...three), /belongs to the process at b:1.*--add=d:1/, 2],
  ]
  for (const [home, now, expected, version] of mayNot)
    t.match(refusal(home, now, version), expected, JSON.stringify([home, now]))
  const now = list('a:1', ...three)
  const grown = list('a:1', ...three, 'd:1')
  t.doesNotThrow(() => checkHome(now, grown, { status: 'RECOVERING', version: 0 }))
  const others = list('a:1', 'a:1', 'e:1', 'f:1')
  t.throws(() => checkHome(now, others, { status: 'RECOVERING', version: 0 }), { code: 'conflict' })
  t.doesNotThrow(() => checkHome(alone('a:1'), now, { status: 'EMPTY', version: 0 }))
  t.doesNotThrow(() => checkHome(undefined, now, { status: 'VOTING', version: 0 }))
})

class Process {
  readonly disk = new VirtualDisk(new SeededRandom(1))
  readonly world: World
  readonly address: string

  constructor(world: World, address: string) {
    this.world = world
    this.address = address
  }

  async start(replicas: Members) {
    const runtime = this.world.start(this.address)
    const storage = this.disk.storage(runtime.clock, 2_000)
    const opening = Log.open({ storage, replicas, self: this.address })
    const log = await run(this.world, opening)
    return runtime.ref(LogService, runtime.spawn(log, 'log(1)'))
  }

  crash(): void {
    this.world.crash(this.address)
    this.disk.crash('lost')
  }
}

async function run<T>(world: World, promise: Promise<T>): Promise<T> {
  let settled = false
  const done = (): unknown => (settled = true)
  promise.then(done, done)
  await world.until(() => settled, 'settled')
  return promise
}

t.test('two logs that were written apart do not become one', async t => {
  const world = new World({ seed: 1, log: collectingLogger() })
  const addresses = [1, 2, 3].map(n => `10.0.0.${n}:5050`)
  const processes = addresses.map(address => new Process(world, address))
  const [one] = processes as [Process]
  const writer = new Writer(await one.start(Members.fixed([])))
  t.not(await run(world, writer.start()), undefined)
  t.not(await run(world, writer.append(Buffer.from('of one'))), undefined)
  one.crash()
  for (const process of processes) {
    const started = process.start(Members.fixed(addresses))
    if (process === one)
      await t.rejects(started, { code: 'conflict', hint: /--masters=10\.0\.0\.1:5050/ })
    else await started
  }
  world.crash(one.address)
  // As before it has all it had.
  const service = await one.start(Members.fixed([one.address]))
  const again = new Writer(service)
  const end = await run(world, again.start())
  const reader = new Reader(service)
  const entries = await run(world, reader.read(0, end!))
  t.same(
    entries.map(({ bytes }) => Buffer.from(bytes).toString()),
    ['of one'],
  )
})

t.test('a copy of another directory is found out, though nobody has a list', async t => {
  const logger = collectingLogger()
  const world = new World({ seed: 2, log: logger })
  const addresses = [1, 2, 3].map(n => `10.0.0.${n}:5050`)
  const processes = addresses.map(address => new Process(world, address))
  const members = (): Members => {
    const live = Members.live(2)
    live.change(addresses)
    return live
  }
  const services = []
  for (const process of processes) services.push(await process.start(members()))
  const writer = new Writer(services[0]!)
  t.not(await run(world, writer.start()), undefined)
  t.not(await run(world, writer.append(Buffer.from('a'))), undefined)
  await world.advance(1_000)
  const [, two, three] = processes as [Process, Process, Process]
  three.crash()
  two.crash()
  await two.start(members())
  const copy = new Process(world, three.address)
  Object.assign(copy, { disk: two.disk })
  two.disk.release()
  await copy.start(members())
  await world.advance(3_000)
  t.ok(logger.messages('error').some(message => /one directory is a copy/.test(message)))
})
