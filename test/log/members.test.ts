// Members that come and go: what was acknowledged stays, whoever votes.

import t from 'tap'
import type { Runtime } from '../../src/actors/runtime.ts'
import { collectingLogger } from '../../src/base/log.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { Log, LogService, Members, Reader, Writer } from '../../src/log/log.ts'
import { DEFAULT_TIMING, type Host, writePhase } from '../../src/log/consensus.ts'
import { nextMembers } from '../../src/log/reconfigure.ts'
import type { WriteResponse } from '../../src/messages/log.ts'
import { VirtualDisk } from '../../src/sim/virtual-disk.ts'
import { World } from '../../src/sim/world.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (value: Uint8Array): string => new TextDecoder().decode(value)

interface Process {
  readonly address: string
  readonly disk: VirtualDisk
  /** What its flag says. */
  readonly list: readonly string[]
  runtime?: Runtime | undefined
  log?: Log
  members?: Members
  service?: ReturnType<typeof serviceOf>
}

function serviceOf(runtime: Runtime, log: Log) {
  return runtime.ref(LogService, runtime.spawn(log, 'log(1)'))
}

class Ensemble {
  readonly logger = collectingLogger()
  readonly world: World
  readonly random: SeededRandom
  readonly processes = new Map<string, Process>()

  constructor(seed: number) {
    this.world = new World({ seed, log: this.logger })
    this.random = new SeededRandom(seed)
  }

  add(n: number, list: readonly number[]): Process {
    const address = `10.0.0.${n}:5050`
    const disk = new VirtualDisk(new SeededRandom(this.random.integer(1e9)))
    const process = { address, disk, list: list.map(i => `10.0.0.${i}:5050`) }
    this.processes.set(address, process)
    return process
  }

  async start(process: Process): Promise<void> {
    const runtime = this.world.start(process.address)
    const members = Members.fixed(process.list)
    const storage = process.disk.storage(runtime.clock, 2_000)
    const log = await this.run(Log.open({ storage, replicas: members, self: process.address }))
    Object.assign(process, { runtime, log, members, service: serviceOf(runtime, log) })
  }

  crash(process: Process): void {
    this.world.crash(process.address)
    process.disk.crash('lost')
    process.runtime = undefined
  }

  async run<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    let settled = false
    const done = (): unknown => (settled = true)
    promise.then(done, done)
    await this.world.until(() => settled, 'the promise is settled', limitMs)
    return promise
  }

  async elect(by: Process): Promise<Writer> {
    const writer = new Writer(by.service!)
    while ((await this.run(writer.start())) === undefined);
    return writer
  }

  async change(by: Process, change: { add: string } | { remove: string }) {
    for (;;) {
      const result = await this.run(by.service!.ask('change', change, { timeoutMs: 60_000 }))
      if (result.type !== 'catching up') return result
      await this.world.advance(100)
    }
  }

  async read(process: Process): Promise<string[]> {
    const reader = new Reader(process.service!)
    const [begin, end] = [await this.run(reader.beginning()), await this.run(reader.ending())]
    return (await this.run(reader.read(begin, end))).map(entry => text(entry.bytes))
  }
}

const address = (n: number): string => `10.0.0.${n}:5050`

t.test('decides what members there are after a change', async t => {
  const [a, b, c] = ['a:1', 'b:1', 'c:1']
  t.same(nextMembers([a, b], a, { add: c }), { members: [a, b, c] })
  t.same(nextMembers([a, b, c], a, { remove: b }), { members: [a, c] })
  t.match(nextMembers([a, b], a, { add: b }), { why: /b:1 is a member already/ })
  t.match(nextMembers([a, b], a, { remove: c }), { why: /no member; members are a:1, b:1/ })
  t.match(nextMembers([a, b], a, { remove: a }), { why: /leads/ })
  t.match(nextMembers([], a, { add: b }), { why: /--masters/ })
})

t.test('three become five and three others, none of those that began; nothing is lost', async t => {
  const e = new Ensemble(1)
  for (const n of [1, 2, 3]) await e.start(e.add(n, [1, 2, 3]))
  const process = (n: number): Process => e.processes.get(address(n))!
  let leader = process(1)
  let writer = await e.elect(leader)
  const written: string[] = []
  const write = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      written.push(`v${written.length}`)
      t.not(await e.run(writer.append(bytes(written.at(-1)!))), undefined)
    }
  }
  await write(20)
  for (const n of [4, 5, 6]) {
    await e.start(e.add(n, [1, 2, 3, n]))
    t.match(await e.change(leader, { add: address(n) }), { type: 'changed' })
    await write(5)
    await e.world.until(() => process(n).log!.recovered, 'it votes', 20_000)
  }
  t.notOk(
    e.logger.messages('info').some(message => /has been replaced/.test(message)),
    'no change costs the leader its election',
  )
  t.equal(leader.members!.quorum, 4)
  for (const n of [1, 2, 3]) {
    if (leader === process(n)) {
      leader = process(6)
      writer = await e.elect(leader)
    }
    t.match(await e.change(leader, { remove: address(n) }), { type: 'changed' })
    // What was removed may go at once.
    e.crash(process(n))
    await write(5)
  }
  t.same(leader.members!.addresses, [4, 5, 6].map(address))
  // A quorum of three is two: with one of them gone it goes on.
  e.crash(process(5))
  await write(3)
  t.same(await e.read(leader), written)
  await e.start(process(5))
  leader = process(5)
  t.same(leader.list, [1, 2, 3, 5].map(address), 'whatever its flag says')
  writer = await e.elect(leader)
  await write(2)
  t.same(await e.read(leader), written)
  t.same(leader.members!.addresses, [4, 5, 6].map(address), 'its disk has it')
  t.same(e.world.fatalities, [])
})

t.test('a member that was away finds the others, though it has never heard of them', async t => {
  const e = new Ensemble(2)
  for (const n of [1, 2, 3]) await e.start(e.add(n, [1, 2, 3]))
  const process = (n: number): Process => e.processes.get(address(n))!
  const first = await e.elect(process(1))
  await e.run(first.append(bytes('a')))
  e.crash(process(3))
  for (const n of [4, 5]) {
    await e.start(e.add(n, [1, 2, n]))
    t.match(await e.change(process(1), { add: address(n) }), { type: 'changed' })
    await e.world.until(() => process(n).log!.recovered, 'it votes', 20_000)
  }
  // One that it does not know leads, and truncates what tells of it.
  const writer = await e.elect(process(5))
  let last = 0
  for (const value of ['b', 'c', 'd']) last = (await e.run(writer.append(bytes(value))))!
  await e.run(writer.truncate(last))
  await e.start(process(3))
  await e.world.advance(3_000)
  t.same(process(3).members!.addresses, [1, 2, 3, 4, 5].map(address))
  await e.elect(process(3))
  t.same(await e.read(process(3)), ['d'])
})

t.test(
  'one that is added has no need of a fence, though one is removed before it votes',
  async t => {
    const e = new Ensemble(4)
    for (const n of [1, 2, 3]) await e.start(e.add(n, [1, 2, 3]))
    const process = (n: number): Process => e.processes.get(address(n))!
    await e.world.until(() => [1, 2, 3].every(n => process(n).log!.recovered), 'all vote', 5_000)
    const writer = await e.elect(process(1))
    await e.run(writer.append(bytes('a')))
    for (const n of [4, 5]) await e.start(e.add(n, [1, 2, 3, n]))
    t.match(await e.change(process(1), { add: address(4) }), { type: 'changed' })
    // It looks who it is twice a second.
    t.notOk(process(4).log!.recovered)
    t.match(await e.change(process(1), { remove: address(3) }), { type: 'changed' })
    t.notOk(process(4).log!.recovered)
    const another = { add: address(5) }
    const asked = process(1).service!.ask('change', another, { timeoutMs: 60_000 })
    t.match(await e.run(asked), { type: 'catching up' }, 'the next one waits for it')
    await e.world.until(() => process(4).log!.recovered, 'it votes', 3_000)
    t.match(await e.change(process(1), another), { type: 'changed' })
    t.not(await e.run(writer.append(bytes('b'))), undefined, 'the leader has kept its election')
    t.same(await e.read(process(1)), ['a', 'b'])
  },
)

t.test('one that was not told of a change is told by whoever wants to be elected', async t => {
  const e = new Ensemble(5)
  for (const n of [1, 2, 3]) await e.start(e.add(n, [1, 2, 3]))
  const process = (n: number): Process => e.processes.get(address(n))!
  await e.world.until(() => [1, 2, 3].every(n => process(n).log!.recovered), 'all vote', 5_000)
  const first = await e.elect(process(1))
  await e.run(first.append(bytes('a')))
  await e.start(e.add(4, [1, 2, 3, 4]))
  const lost = e.world.network.drop(
    ({ to, message }) => to === address(2) && message === 'log.replica/chosen',
  )
  t.match(await e.change(process(1), { add: address(4) }), { type: 'changed' })
  await e.world.until(() => process(4).log!.recovered, 'it votes', 3_000)
  t.ok(lost.count > 0)
  lost.stop()
  e.crash(process(3))
  // A quorum of four is three: nobody is elected without the one that was not told.
  const writer = await e.elect(process(4))
  t.not(await e.run(writer.append(bytes('b'))), undefined)
  t.same(await e.read(process(4)), ['a', 'b'])
})

t.test('of two changes that are asked for at once the second is refused', async t => {
  const e = new Ensemble(6)
  for (const n of [1, 2, 3]) await e.start(e.add(n, [1, 2, 3]))
  const [one] = [...e.processes.values()] as [Process]
  await e.world.advance(5_000)
  await e.elect(one)
  const both = [2, 3].map(n => one.service!.ask('change', { remove: address(n) }))
  const results = await e.run(Promise.all(both))
  t.same(results.map(({ type }) => type).sort(), ['changed', 'refused'])
  t.equal(one.members!.addresses.length, 2)
})

t.test('what cannot be is refused, with a reason', async t => {
  const e = new Ensemble(3)
  for (const n of [1, 2, 3]) await e.start(e.add(n, [1, 2, 3]))
  const [one, two, three] = [...e.processes.values()] as [Process, Process, Process]
  const ask = (by: Process, change: { add: string } | { remove: string }) => e.change(by, change)
  const writer = await e.elect(one)
  await e.run(writer.append(bytes('a')))
  t.match(await ask(two, { add: address(4) }), { type: 'refused', why: /does not lead/ })
  t.match(await ask(one, { add: address(4) }), {
    type: 'refused',
    why: /does not answer.*--masters/,
  })
  t.match(await ask(one, { add: address(2) }), { type: 'refused', why: /member already/ })
  t.match(await ask(one, { remove: address(1) }), { type: 'refused', why: /Stop it first/ })
  // Another log's.
  const other = e.add(7, [7])
  await e.start(other)
  await e.elect(other)
  t.match(await ask(one, { add: address(7) }), {
    type: 'refused',
    why: /has a log already.*VOTING/,
  })
  // Two of three must have everything; one is down, and of the two that stay it would be one.
  e.crash(three)
  const result = ask(one, { remove: address(2) })
  t.match(await result, { type: 'refused', why: /Fewer than 2 of/ })
  t.not(await e.run(writer.append(bytes('b'))), undefined, 'and it goes on')
  t.same(await e.read(one), ['a', 'b'])
})

t.test('one becomes three, when it was started with a list', async t => {
  const e = new Ensemble(4)
  const one = e.add(1, [1])
  await e.start(one)
  const writer = await e.elect(one)
  const written = ['a', 'b', 'c', 'd', 'e']
  for (const value of written) await e.run(writer.append(bytes(value)))
  for (const n of [2, 3]) {
    await e.start(e.add(n, [1, n]))
    t.match(await e.change(one, { add: address(n) }), { type: 'changed' })
  }
  const three = e.processes.get(address(3))!
  await e.world.until(() => three.log!.recovered, 'it votes', 20_000)
  e.crash(one)
  const next = await e.elect(three)
  t.not(await e.run(next.append(bytes('f'))), undefined)
  t.same(await e.read(three), [...written, 'f'])
})

t.test('who has just been added is asked again until it votes, and only then', async t => {
  const accept: WriteResponse = { type: 'accept', proposal: 1, position: 5 }
  const ignored: WriteResponse = { type: 'ignored', position: 5 }
  const outcome = async (...answers: readonly (readonly WriteResponse[])[]) => {
    const members = answers.map((given, i) => {
      let asked = 0
      return { pid: `log-replica(1)@${address(i + 1)}`, ask: async () => given[asked++] ?? ignored }
    })
    const host = {
      network: {
        watch: async () => {},
        hasJoined: (member: string) => member === members.at(-1)!.pid,
        ...{ members, size: members.length },
      },
      quorum: 3,
      timing: DEFAULT_TIMING,
      random: new SeededRandom(1),
      sleep: async () => {},
    }
    const request = { proposal: 1, position: 5, values: [{ type: 'NOP' }] } as const
    return writePhase(host as unknown as Host, { ...request, values: [...request.values] })
  }
  const empty: WriteResponse = { ...ignored, empty: true }
  t.same(await outcome([accept], [accept], [ignored], [empty, empty, accept]), { type: 'accept' })
  // It has learned what is there: that is an answer as good as any.
  t.same(await outcome([accept], [accept], [ignored], [ignored]), { type: 'ignored' })
})

t.test('two start a log, and four do', async t => {
  for (const count of [2, 4]) {
    const e = new Ensemble(count)
    const all = Array.from({ length: count }, (_, i) => i + 1)
    for (const n of all) await e.start(e.add(n, all))
    const processes = [...e.processes.values()]
    await e.world.until(() => processes.every(({ log }) => log!.recovered), 'all vote', 20_000)
    const writer = await e.elect(processes[0]!)
    t.not(await e.run(writer.append(bytes('a'))), undefined)
  }
})

t.test('of two changes at once one is refused', async t => {
  const e = new Ensemble(5)
  for (const n of [1, 2, 3]) await e.start(e.add(n, [1, 2, 3]))
  const [one, two, three] = [...e.processes.values()] as [Process, Process, Process]
  const writer = await e.elect(one)
  await e.run(writer.append(bytes('a')))
  const [first, second] = await Promise.all([
    e.change(one, { remove: address(2) }),
    e.change(one, { remove: address(3) }),
  ])
  t.match(first, { type: 'changed', members: [1, 3].map(address) })
  t.match(second, { type: 'refused', why: /under way/ })
  await e.world.advance(3_000)
  for (const process of [one, three]) t.same(process.members!.version, 1)
  t.notOk(one.members!.has(two.address))
  t.match(await e.change(one, { remove: address(3) }), { type: 'changed' })
  t.same(one.members!.addresses, [address(1)])
})

t.test(
  'who passes a truncation knows who votes behind it, whatever else it was not told',
  async t => {
    const e = new Ensemble(7)
    for (const n of [1, 2, 3]) await e.start(e.add(n, [1, 2, 3]))
    const process = (n: number): Process => e.processes.get(address(n))!
    const [one, two, three] = [1, 2, 3].map(process) as [Process, Process, Process]
    const writer = await e.elect(one)
    await e.world.until(() => two.log!.recovered && three.log!.recovered, 'all vote')
    for (const value of ['a', 'b']) await e.run(writer.append(bytes(value)))
    await e.world.advance(500)
    const { network } = e.world
    network.partition([address(3)], [1, 2, 4, 5].map(address))
    // 2 votes, and is told nothing; nor can it ask.
    let isDeaf = true
    network.drop(({ to, from, message }) => {
      if (from === address(2) && message === 'log.replica/recover') return true
      if (!isDeaf) return false
      const chosen = to === address(2) && message === 'log.replica/chosen'
      return chosen || (from === address(2) && message === 'log.replica/fetch')
    })
    for (const n of [4, 5]) {
      await e.start(e.add(n, [1, 2, 3, n]))
      t.match(await e.change(one, { add: address(n) }), { type: 'changed' })
      await e.world.until(() => process(n).log!.recovered, 'it votes', 30_000)
    }
    let last = 0
    for (const value of ['c', 'd']) last = (await e.run(writer.append(bytes(value))))!
    await e.run(writer.truncate(last))
    t.equal(two.members!.version, 0)
    isDeaf = false
    await e.run(writer.append(bytes('e')))
    await e.world.advance(1_000)
    t.equal(two.members!.version, 2)
    network.heal()
    network.partition([2, 3].map(address), [1, 4, 5].map(address))
    const rival = new Writer(two.service!).start()
    t.not(await e.run(writer.append(bytes('f'))), undefined)
    await e.world.advance(10_000)
    let isElected = false
    void rival.then(position => (isElected = position !== undefined))
    await e.world.advance(10_000)
    t.notOk(isElected, 'two of five are no quorum')
  },
)

t.test('changes among crashes: what was acknowledged stays, and one list is known', async t => {
  let changes = 0
  for (let seed = 1; seed <= 12; seed++) {
    const e = new Ensemble(seed)
    for (const n of [1, 2, 3]) await e.start(e.add(n, [1, 2, 3]))
    const acknowledged: string[] = []
    let next = 0
    let fresh = 4
    for (let round = 0; round < 12; round++) {
      const up = [...e.processes.values()].filter(p => p.runtime)
      const known = up.reduce((a, b) => (b.members!.version > a.members!.version ? b : a)).members!
      const able = up.filter(p => known.has(p.address) && p.log!.recovered)
      if (able.length === 0) {
        await e.world.advance(1_000)
        continue
      }
      const leader = able[e.random.integer(able.length)]!
      const writer = await e.elect(leader)
      for (let i = 0; i < 3; i++) {
        const value = `v${next++}`
        if ((await e.run(writer.append(bytes(value)))) !== undefined) acknowledged.push(value)
      }
      const dice = e.random.next()
      if (dice < 0.4 && known.addresses.length < 6) {
        const n = fresh++
        await e.start(e.add(n, [...known.addresses.map(a => Number(/\.(\d+):/.exec(a)![1])), n]))
        const changing = e.change(leader, { add: address(n) })
        // The leader dies in the middle of it, at times.
        if (e.random.next() < 0.3) {
          await e.world.advance(e.random.integer(40))
          e.crash(leader)
          changing.catch(() => {})
          await e.world.advance(10)
          await e.start(leader)
        } else if ((await changing).type === 'changed') changes++
      } else if (dice < 0.8 && known.addresses.length > 2) {
        const others = known.addresses.filter(a => a !== leader.address)
        const gone = others[e.random.integer(others.length)]!
        if ((await e.change(leader, { remove: gone })).type === 'changed') {
          changes++
          const process = e.processes.get(gone)!
          if (process.runtime) e.crash(process)
        }
      } else {
        e.crash(leader)
        await e.world.advance(100)
        await e.start(leader)
      }
      await e.world.advance(2_000)
    }
    const up = [...e.processes.values()].filter(p => p.runtime)
    const known = up.reduce((a, b) => (b.members!.version > a.members!.version ? b : a)).members!
    for (const member of known.addresses) {
      const process = e.processes.get(member)!
      if (!process.runtime) await e.start(process)
      await e.world.until(() => process.log!.recovered, `${member} votes`, 30_000)
      await e.elect(process)
      const values = await e.read(process)
      t.same(
        values.filter(value => acknowledged.includes(value)),
        acknowledged,
        `seed ${seed}, ${member}`,
      )
    }
    t.same(e.world.fatalities, [])
  }
  t.ok(changes > 30, `${changes} changes`)
})
