// A disk that forgets what it was told: bits flip in files that were whole. Alone, a replica stops and says so; with others it
// gets what it has lost, and meanwhile does not pretend to know what it has promised.

import t from 'tap'
import type { Runtime } from '../../src/actors/runtime.ts'
import { collectingLogger } from '../../src/base/log.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { Log, LogService, Reader, Writer } from '../../src/log/log.ts'
import { VirtualDisk } from '../../src/sim/virtual-disk.ts'
import { World } from '../../src/sim/world.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (value: Uint8Array): string => new TextDecoder().decode(value)

const SEGMENT_BYTES = 700
const VALUES = 60

interface Member {
  readonly address: string
  readonly disk: VirtualDisk
  runtime?: Runtime
  log?: Log
  service?: ReturnType<typeof serviceOf>
}

function serviceOf(runtime: Runtime, log: Log) {
  return runtime.ref(LogService, runtime.spawn(log, 'log(1)'))
}

class Ensemble {
  readonly logger = collectingLogger()
  readonly world: World
  readonly members: readonly Member[]

  constructor(size: number, seed: number) {
    this.world = new World({ seed, log: this.logger })
    this.members = Array.from({ length: size }, (_, i) => ({
      address: `10.0.0.${i + 1}:5050`,
      disk: new VirtualDisk(new SeededRandom(seed * 10 + i)),
    }))
  }

  async start(member: Member): Promise<void> {
    const runtime = this.world.start(member.address)
    const log = await this.run(
      Log.open({
        storage: member.disk.storage(runtime.clock, SEGMENT_BYTES),
        quorum: Math.floor(this.members.length / 2) + 1,
        replicas: this.members.map(m => m.address),
      }),
    )
    Object.assign(member, { runtime, log, service: serviceOf(runtime, log) })
  }

  async startAll(): Promise<void> {
    for (const member of this.members) await this.start(member)
  }

  crash(member: Member): void {
    this.world.crash(member.address)
    member.disk.crash('kept')
  }

  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const done = (): unknown => (settled = true)
    promise.then(done, done)
    await this.world.until(() => settled, 'the promise is settled')
    return promise
  }

  async write(by: Member, from: number, to: number): Promise<void> {
    const writer = new Writer(by.service!)
    while ((await this.run(writer.start())) === undefined);
    for (let n = from; n < to; n++) {
      const position = await this.run(writer.append(bytes(`value ${n}`)))
      if (position === undefined) throw new Error('leadership was lost')
    }
  }

  /** All values that a replica has up to a position. */
  async read(member: Member, end: number): Promise<string[]> {
    const reader = new Reader(member.service!)
    for (let tries = 0; ; tries++) {
      const begin = await this.run(reader.beginning())
      const values = await this.run(reader.read(begin, end)).then(
        entries => entries.map(entry => text(entry.bytes)).filter(value => value !== 'value -1'),
        (error: unknown) => error,
      )
      if (Array.isArray(values)) return values
      if (!/not learned|past end/.test(String(values))) throw values
      // What it has forgotten of what is chosen it hears of with the next write.
      if (tries === 3) await this.write(this.members.find(other => other !== member)!, -1, 0)
      await this.world.advance(100)
    }
  }

  async ending(member: Member): Promise<number> {
    return this.run(new Reader(member.service!).ending())
  }
}

const all = Array.from({ length: VALUES }, (_, n) => `value ${n}`)

t.test('a bit flips in any file of a replica that is down: it has all again', async t => {
  let putAside = 0
  let healed = 0
  for (let seed = 1; seed <= 60; seed++) {
    const e = new Ensemble(3, seed)
    await e.startAll()
    await e.write(e.members[0]!, 0, VALUES)
    const end = await e.ending(e.members[0]!)
    await e.world.advance(1_000)
    const damaged = e.members[seed % 3]!
    e.crash(damaged)
    t.ok(damaged.disk.flip(seed % 6 === 5 ? /\.index$/ : /\.log$/))
    await e.start(damaged)
    await e.world.until(() => damaged.log!.recovered, 'it votes again', 60_000)
    const got = await e.read(damaged, end).catch((error: unknown) => String(error))
    t.strictSame(got, all, `seed ${seed}`)
    if (damaged.log!.warnings.some(warning => /put aside/.test(warning))) putAside++
    if (e.logger.messages('info').includes('the damaged value is written anew')) healed++
    // What was mended is there the next time, and with the other two the log goes on.
    e.crash(damaged)
    await e.start(damaged)
    await e.write(damaged, VALUES, VALUES + 3)
    const more = Array.from({ length: 3 }, (_, n) => `value ${VALUES + n}`)
    t.strictSame(await e.read(damaged, await e.ending(damaged)), [...all, ...more])
    t.same(e.world.fatalities, [])
  }
  t.ok(putAside > 3, `${putAside} were put aside`)
  t.ok(healed > 10, `${healed} were healed by the value`)
})

t.test('a bit flips while it runs: whoever reads it there gets what was written', async t => {
  for (let seed = 1; seed <= 10; seed++) {
    const e = new Ensemble(3, seed)
    await e.startAll()
    await e.write(e.members[0]!, 0, VALUES)
    const end = await e.ending(e.members[0]!)
    await e.world.advance(1_000)
    // In closed segments: the last is not read anew from the disk as long as its process lives.
    for (const member of e.members) member.disk.flip(/0000[1-4]\.log$/)
    for (const member of e.members) t.strictSame(await e.read(member, end), all, `seed ${seed}`)
    t.same(e.world.fatalities, [])
  }
})

t.test('alone: it stops, and names the file and what to do', async t => {
  let stopped = 0
  for (let seed = 1; seed <= 30; seed++) {
    const e = new Ensemble(1, seed)
    const [only] = e.members as [Member]
    await e.start(only)
    await e.write(only, 0, VALUES)
    const end = await e.ending(only)
    await e.world.advance(1_000)
    e.crash(only)
    only.disk.flip(/\.log$/)
    try {
      await e.start(only)
      t.strictSame(await e.read(only, end), all, `seed ${seed}: it was in what is not needed`)
    } catch (error) {
      stopped++
      const said = [String(error), ...e.logger.records.map(r => String(r.fields['error']))].join(
        '\n',
      )
      t.match(said, /segment-0+\d+\.log is damaged at byte \d+/, `seed ${seed}`)
    }
  }
  t.ok(stopped > 20, `${stopped} stopped`)
})

t.test('what is damaged and not to be had from others ends nobody', async t => {
  for (let seed = 1; seed <= 12; seed++) {
    const e = new Ensemble(3, seed)
    await e.startAll()
    await e.write(e.members[0]!, 0, VALUES)
    await e.world.advance(1_000)
    const damaged = e.members[2]!
    e.crash(damaged)
    t.ok(damaged.disk.flip(/\.log$/))
    // Half of the seeds: the others are there, and have truncated it.
    if (seed % 2 === 0) {
      const writer = new Writer(e.members[0]!.service!)
      while ((await e.run(writer.start())) === undefined);
      const last = (await e.run(writer.append(bytes('last'))))!
      await e.run(writer.truncate(last))
      await e.world.advance(1_000)
    } else for (const other of e.members.slice(0, 2)) e.crash(other)
    await e.start(damaged)
    await e.world.advance(2_000)
    if (!damaged.log!.recovered) continue
    const reader = new Reader(damaged.service!)
    for (let tries = 0; tries < 3; tries++) {
      const { begin, end } = await e.run(reader.learned())
      const read = await e.run(reader.read(begin, end).catch((error: unknown) => String(error)))
      if (!Array.isArray(read)) t.match(read, /is damaged here/)
    }
    t.same(e.world.fatalities, [], `seed ${seed}`)
    t.ok(damaged.log!.recovered)
  }
})
