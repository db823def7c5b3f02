import { copyFileSync, mkdirSync, readdirSync } from 'node:fs'
import { join, parse } from 'node:path'
import t from 'tap'
import { Actor } from '../../src/actors/actor.ts'
import { type Address, type Pid, pid } from '../../src/actors/pid.ts'
import type { Runtime } from '../../src/actors/runtime.ts'
import { collectingLogger } from '../../src/base/log.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { Acceptor } from '../../src/log/acceptor.ts'
import {
  FileStorage,
  Log,
  type LogOptions,
  LogService,
  Reader,
  REPLICA_ID,
  Writer,
} from '../../src/log/log.ts'
import { RecoverCollector } from '../../src/log/recover.ts'
import {
  LogReplica,
  MAX_PROPOSAL,
  type Position,
  type RecoverResponse,
  type Value,
} from '../../src/messages/log.ts'
import { MemoryDisk, type UnsyncedFate } from '../../src/sim/memory-storage.ts'
import { World } from '../../src/sim/world.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (value: Uint8Array): string => new TextDecoder().decode(value)
const show = (value: Value): string => (value.type === 'APPEND' ? text(value.bytes) : value.type)

interface Member {
  readonly address: Address
  readonly disk: MemoryDisk
  runtime: Runtime | undefined
  log: Log | undefined
  pid: Pid | undefined
}

/** Processes with a replica each, under one virtual clock. */
class Ensemble {
  readonly world: World
  readonly logger = collectingLogger()
  readonly members: readonly Member[]
  readonly #options: Partial<LogOptions>

  constructor(size: number, options: Partial<LogOptions> & { seed?: number } = {}) {
    this.world = new World({ seed: options.seed ?? 1, log: this.logger })
    this.#options = options
    this.members = Array.from({ length: size }, (_, i) => ({
      address: `10.0.0.${i + 1}:5050`,
      disk: new MemoryDisk(),
      runtime: undefined,
      log: undefined,
      pid: undefined,
    }))
  }

  get addresses(): Address[] {
    return this.members.map(member => member.address)
  }

  async start(...which: number[]): Promise<void> {
    for (const i of which.length > 0 ? which : this.members.keys()) {
      const member = this.members[i]!
      member.runtime = this.world.start(member.address)
      member.log = await Log.open({
        storage: member.disk.storage(member.runtime.clock),
        quorum: Math.floor(this.members.length / 2) + 1,
        replicas: this.addresses,
        ...this.#options,
      })
      member.pid = member.runtime.spawn(member.log, 'log(1)')
    }
  }

  crash(i: number, fate?: UnsyncedFate): void {
    const member = this.members[i]!
    this.world.crash(member.address)
    member.disk.crash(fate)
    member.log = undefined
  }

  writer(i: number): Writer {
    return new Writer(this.#ref(i))
  }

  reader(i: number): Reader {
    return new Reader(this.#ref(i))
  }

  #ref(i: number) {
    const { runtime, pid } = this.members[i]!
    return runtime!.ref(LogService, pid!)
  }

  /** Lets time pass until the promise is settled. */
  async run<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    let settled = false
    const done = (): void => {
      settled = true
    }
    promise.then(done, done)
    await this.world.until(() => settled, 'the promise is settled', limitMs)
    return promise
  }

  /** Until all replicas vote. */
  voting(): Promise<void> {
    return this.world.until(() => this.members.every(member => member.log?.recovered), 'all vote')
  }

  /** Elects a writer. */
  async elect(i: number): Promise<Writer> {
    const writer = this.writer(i)
    const position = await this.run(writer.start())
    if (position === undefined) throw new Error('the election was lost')
    return writer
  }

  async append(writer: Writer, ...texts: string[]): Promise<(Position | undefined)[]> {
    const positions = []
    for (const each of texts) positions.push(await this.run(writer.append(bytes(each))))
    return positions
  }

  async read(i: number, from?: Position, to?: Position): Promise<string[]> {
    const reader = this.reader(i)
    const begin = from ?? (await this.run(reader.beginning()))
    const end = to ?? (await this.run(reader.ending()))
    const entries = await this.run(reader.read(begin, end))
    return entries.map(entry => `${entry.position} ${text(entry.bytes)}`)
  }

  /** What a replica's disk says is learned, with the values. */
  learned(i: number): Map<Position, string> {
    const acceptor = new Acceptor()
    const values = new Map<Position, string>()
    for (const record of this.members[i]!.disk.records) {
      acceptor.apply(record)
      if (record.type === 'write') values.set(record.position, show(record.value))
    }
    const isThere = (p: Position): boolean => p >= acceptor.begin && acceptor.isLearned(p)
    return new Map([...values].filter(([position]) => isThere(position)))
  }

  /** Fails the test if two replicas have learned different things; every test ends with it. */
  async finish(t: Tap.Test): Promise<void> {
    await this.world.advance(1_000)
    const chosen = new Map<Position, string>()
    for (const i of this.members.keys()) {
      for (const [position, value] of this.learned(i)) {
        const before = chosen.get(position) ?? value
        if (before !== value)
          t.fail(`position ${position} is ${before}, and ${value} for replica ${i}`)
        chosen.set(position, value)
      }
    }
    t.same(this.world.fatalities, [])
    const bugs = this.logger
      .messages('error')
      .filter(message => /failed in one of its handlers/.test(message))
    t.same(bugs, [])
  }
}

/** Another actor in the process of a replica. */
class Insider extends Actor {
  readonly serves = []

  speakTo(replica: Pid) {
    return this.ref(LogReplica, replica)
  }
}

declare namespace Tap {
  type Test = Pick<typeof t, 'fail' | 'same'>
}

// Alone

t.test('alone: an empty disk becomes a log in a few syncs, and each append costs one', async t => {
  const e = new Ensemble(1)
  await e.start()
  const writer = e.writer(0)
  const before = e.world.clock.now()
  t.equal(await e.run(writer.start()), 0, 'position 0 is filled by the first election')
  const { disk } = e.members[0]!
  t.equal(
    disk.syncs,
    5,
    'STARTING, VOTING, the implicit promise, and position 0: promise and write',
  )
  t.ok(e.world.clock.now() - before < 100, 'nothing waits for a timer')
  t.same(await e.append(writer, 'a', 'b', 'c'), [1, 2, 3])
  t.equal(disk.syncs, 8)
  t.same(await e.read(0), ['1 a', '2 b', '3 c'])
  await e.finish(t)
  t.same(
    [...e.learned(0)],
    [
      [0, 'NOP'],
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ],
  )
})

t.test('alone: appends under way at once keep their order and share syncs', async t => {
  const e = new Ensemble(1)
  await e.start()
  const writer = await e.elect(0)
  const { disk } = e.members[0]!
  const before = disk.syncs
  const order: (Position | undefined)[] = []
  const all = Array.from({ length: 100 }, (_, i) => writer.append(bytes(`${i}`)))
  for (const each of all) void each.then(position => order.push(position))
  await e.run(Promise.all(all))
  t.same(
    order,
    Array.from({ length: 100 }, (_, i) => i + 1),
  )
  t.ok(disk.syncs - before < 20, `${disk.syncs - before} syncs`)
  t.equal((await e.read(0)).length, 100)
  t.equal((await e.read(0)).at(-1), '100 99')
  await e.finish(t)
})

t.test('alone: a restart finds what was appended, whatever became of the last write', async t => {
  for (const fate of ['lost', 'torn', 'kept'] as const) {
    const e = new Ensemble(1)
    await e.start()
    const writer = await e.elect(0)
    await e.append(writer, 'a', 'b')
    void writer.append(bytes('c')).catch(() => {})
    await e.world.settle()
    e.crash(0, fate)
    await e.start()
    t.equal(e.members[0]!.log!.warnings.length, fate === 'torn' ? 1 : 0)
    const again = e.writer(0)
    const last = await e.run(again.start())
    const rest = fate === 'kept' ? ['3 c'] : []
    t.equal(last, fate === 'kept' ? 3 : 2)
    t.same(await e.read(0), ['1 a', '2 b', ...rest], fate)
    await e.append(again, 'd')
    t.equal((await e.read(0)).at(-1), `${last! + 1} d`)
    await e.finish(t)
  }
})

t.test('truncated positions are gone, for readers and after a restart', async t => {
  const e = new Ensemble(1)
  await e.start()
  const writer = await e.elect(0)
  await e.append(writer, 'a', 'b', 'c')
  t.equal(await e.run(writer.truncate(3)), 4)
  t.same(await e.read(0), ['3 c'])
  await t.rejects(e.run(e.reader(0).read(2, 3)), /truncated position/)
  await t.rejects(e.run(e.reader(0).read(4, 3)), /to < from/)
  await t.rejects(e.run(e.reader(0).read(3, 5)), /past end of log/)
  await e.world.advance(200)
  e.crash(0)
  await e.start()
  t.equal(await e.run(e.reader(0).beginning()), 3)
  t.equal(await e.run(e.writer(0).start()), 4)
  t.same(await e.read(0), ['3 c'])
  await e.finish(t)
})

t.test('a failing disk ends the replica and the log, and no append is confirmed', async t => {
  const e = new Ensemble(1)
  await e.start()
  const writer = await e.elect(0)
  await e.append(writer, 'a')
  e.members[0]!.disk.failure = new Error('input/output error')
  await t.rejects(e.run(writer.append(bytes('b'))), { code: 'FAILED' })
  await e.world.advance(100)
  t.same(e.members[0]!.runtime!.actors, [])
  t.ok(e.logger.messages('error').includes('the disk of the log failed; this replica stops voting'))
})

t.test('a quorum that is none, and a list without this process, are refused', async t => {
  const storage = new MemoryDisk().storage(new World({ log: collectingLogger() }).clock)
  await t.rejects(Log.open({ storage, quorum: 2, replicas: ['a:1', 'b:1', 'c:1', 'd:1'] }), {
    code: 'invalid_flags',
    hint: /a quorum is 3/,
  })
  const e = new Ensemble(3, { replicas: ['10.0.0.2:5050', '10.0.0.3:5050', '10.0.0.4:5050'] })
  await e.start(0)
  await e.world.advance(10)
  t.same(e.members[0]!.runtime!.actors, [])
})

t.test('a log that is ended writes what it noted, and gives its storage back', async t => {
  const e = new Ensemble(1)
  await e.start()
  await e.append(await e.elect(0), 'a')
  const { runtime, pid, log, address } = e.members[0]!
  runtime!.terminate(pid!)
  await e.run(log!.closed)
  t.same(runtime!.actors, [])
  t.equal(e.learned(0).get(1), 'a', 'learned, though not 100 ms have passed')
  e.world.crash(address)
  await e.start()
  t.same(await e.read(0), ['1 a'])
  await e.finish(t)
})

t.test('an election beyond the highest proposal fails, and says why', async t => {
  const e = new Ensemble(1)
  e.members[0]!.disk.sync([{ type: 'metadata', status: 'VOTING', promised: MAX_PROPOSAL }])
  await e.start()
  await t.rejects(e.run(e.writer(0).start()), { code: 'FAILED' })
  const errors = e.logger.records.filter(record => record.level === 'error')
  t.match(errors[0]?.fields['error'], { code: 'data_damaged', message: /no writer any more/ })
})

t.test('alone: nobody but its own log speaks to the replica', async t => {
  const e = new Ensemble(1, { replicas: [] })
  await e.start()
  const writer = await e.elect(0)
  const { runtime, address } = e.members[0]!
  const replica = pid(REPLICA_ID, address)
  const stranger = e.world.start('10.0.0.9:5050')
  const outside = stranger.ref(LogReplica, replica)
  await t.rejects(e.run(outside.ask('promise', { proposal: 99 })), { code: 'REFUSED' })
  await t.rejects(e.run(outside.ask('recover', {})), { code: 'REFUSED' })
  const insider = new Insider()
  runtime!.spawn(insider)
  const inside = insider.speakTo(replica)
  t.same(await e.run(inside.ask('promise', { proposal: 99 })), { type: 'ignored' })
  t.same(await e.run(inside.ask('recover', {})), { status: 'RECOVERING' })
  t.same(await e.append(writer, 'a'), [1], 'who was elected still is')
  await e.finish(t)
})

t.test('outsiders of an ensemble are ignored, which is said once in a while', async t => {
  const e = new Ensemble(3)
  await e.start()
  await e.voting()
  const writer = await e.elect(0)
  const outside = e.world.start('10.0.0.9:5050').ref(LogReplica, pid(REPLICA_ID, e.addresses[0]!))
  for (let i = 0; i < 20; i++) {
    t.same(await e.run(outside.ask('promise', { proposal: 99 })), { type: 'ignored' })
  }
  const said = () => e.logger.messages('warn').filter(m => /outside the ensemble/.test(m)).length
  t.equal(said(), 1)
  await e.world.advance(60_000)
  t.same(await e.run(outside.ask('recover', {})), { status: 'RECOVERING' })
  t.equal(said(), 2)
  t.same(await e.append(writer, 'a'), [1])
  await e.finish(t)
})

// Recovery

t.test('recovery decides by what all answers say', async t => {
  const voting: RecoverResponse = { status: 'VOTING', begin: 3, end: 9 }
  const decide = (
    status: 'EMPTY' | 'STARTING' | 'RECOVERING',
    answers: readonly (RecoverResponse['status'] | RecoverResponse)[],
    autoInitialize = true,
  ) => {
    const collector = new RecoverCollector(status, 2, 3, autoInitialize)
    for (const [i, answer] of answers.entries()) {
      const response =
        typeof answer !== 'string'
          ? answer
          : answer === 'VOTING'
            ? voting
            : ({ status: answer } as const)
      const step = collector.add(`r${i}`, response)
      if (step) return step
    }
    return undefined
  }
  const starting = { type: 'become', status: 'STARTING' }
  t.same(decide('EMPTY', ['EMPTY', 'EMPTY', 'EMPTY']), starting)
  t.same(decide('EMPTY', ['EMPTY', 'STARTING', 'EMPTY']), starting)
  t.same(decide('EMPTY', ['EMPTY', 'EMPTY', 'EMPTY'], false), undefined)
  t.same(decide('EMPTY', ['EMPTY', 'EMPTY']), undefined, 'two of three are not all')
  t.same(
    decide('EMPTY', ['EMPTY', 'VOTING', 'EMPTY']),
    undefined,
    'one voter may know of a lost one',
  )
  t.same(decide('EMPTY', ['EMPTY', 'VOTING', 'STARTING']), undefined)
  t.same(decide('STARTING', ['STARTING', 'EMPTY', 'STARTING']), undefined)
  const vote = { type: 'become', status: 'VOTING' }
  t.same(decide('STARTING', ['STARTING', 'STARTING', 'STARTING']), vote)
  t.same(decide('STARTING', ['STARTING', 'VOTING', 'STARTING']), vote)
  t.same(decide('STARTING', [voting, voting, 'STARTING']), vote, 'without a fence')
  t.same(decide('STARTING', [voting]), vote, 'one that votes has seen that all had started')
  for (const status of ['EMPTY', 'STARTING', 'RECOVERING'] as const) {
    t.same(decide(status, ['EMPTY', voting, { ...voting, begin: 1 }], false), {
      type: 'catch up',
      begin: 1,
    })
  }
})

t.test('an ensemble initialises itself, but not before all of it is there', async t => {
  const e = new Ensemble(3)
  await e.start(0, 1)
  await e.world.advance(30_000)
  t.notOk(e.members.some(member => member.log?.recovered))
  await e.start(2)
  await e.voting()
  const writer = await e.elect(1)
  t.same(await e.append(writer, 'a'), [1])
  await e.world.advance(10)
  t.same(await e.read(2), ['1 a'], 'the others are told')
  await e.finish(t)
})

t.test('without auto-initialisation an empty ensemble waits, and says what for', async t => {
  const e = new Ensemble(3, { autoInitialize: false })
  await e.start()
  await e.world.advance(30_000)
  t.notOk(e.members.some(member => member.log?.recovered))
  t.equal(
    e.logger.messages('warn').filter(message => /may not initialize itself/.test(message)).length,
    3,
  )
})

t.test('a replica that lost its disk votes only after it has what the others have', async t => {
  const e = new Ensemble(3)
  await e.start()
  await e.voting()
  const writer = await e.elect(0)
  await e.append(writer, 'a', 'b', 'c')
  await e.run(writer.truncate(2))
  await e.append(writer, 'd')
  e.crash(2)
  e.members[2]!.disk.wipe()
  await e.start(2)
  t.same(await e.read(2), ['2 b', '3 c', '5 d'])
  const promised = Math.max(
    ...e.members[2]!.disk.records.map(r => (r.type === 'metadata' ? r.promised : 0)),
  )
  t.ok(promised > 1, 'it is bound by the promise that it may have given before')
  t.equal(
    await e.run(writer.append(bytes('e'))),
    undefined,
    'the coordinator is to be elected again',
  )
  await e.run(writer.start())
  t.same(await e.append(writer, 'f'), [6])
  await e.finish(t)
})

t.test('one voter beside two that lost their disks never makes progress', async t => {
  const e = new Ensemble(3)
  await e.start()
  await e.voting()
  await e.append(await e.elect(0), 'a')
  for (const i of [1, 2]) {
    e.crash(i)
    e.members[i]!.disk.wipe()
    await e.start(i)
  }
  await e.world.advance(60_000)
  t.same(
    e.members.map(member => member.log?.recovered),
    [true, false, false],
  )
  const writer = e.writer(0)
  let started = false
  void writer.start().then(() => {
    started = true
  })
  await e.world.advance(60_000)
  t.notOk(started)
})

// Coordinator

t.test('the last one elected writes; who was before it writes nothing more', async t => {
  const e = new Ensemble(3)
  await e.start()
  await e.voting()
  const first = await e.elect(0)
  t.same(await e.append(first, 'a'), [1])
  const second = await e.elect(1)
  t.same(await e.append(second, 'b'), [2])
  t.same(await e.append(first, 'lost', 'lost'), [undefined, undefined])
  t.same(await e.append(second, 'c'), [3])
  t.same(await e.read(1), ['1 a', '2 b', '3 c'])
  t.equal(await e.run(first.start()), 3, 'and can be elected again')
  t.same(await e.append(second, 'lost'), [undefined])
  t.same(await e.read(0), ['1 a', '2 b', '3 c'])
  await e.finish(t)
})

t.test('a second writer of one process replaces the first', async t => {
  const e = new Ensemble(1)
  await e.start()
  const first = await e.elect(0)
  const second = await e.elect(0)
  t.same(await e.append(first, 'lost'), [undefined])
  t.same(await e.append(second, 'a'), [1])
  await e.finish(t)
})

t.test('multiple appends not learned are filled by the next coordinator', async t => {
  const e = new Ensemble(3)
  await e.start()
  await e.voting()
  const writer = await e.elect(0)
  const dropped = e.world.network.drop(({ message }) => message === 'log.replica/chosen')
  await e.append(writer, 'a', 'b', 'c')
  t.ok(dropped.count >= 6)
  await e.world.advance(500)
  t.same([...e.learned(1).values()], ['NOP'])
  e.crash(0)
  dropped.stop()
  t.equal(await e.run(e.writer(1).start()), 3)
  t.same(await e.read(1), ['1 a', '2 b', '3 c'])
  await e.world.advance(500)
  t.same([...e.learned(2)], [...e.learned(1)])
  await e.finish(t)
})

t.test(
  'an append that reached one replica only is completed, or replaced, but never both',
  async t => {
    for (const seen of [true, false]) {
      const e = new Ensemble(3)
      await e.start()
      await e.voting()
      const writer = await e.elect(0)
      // The write goes to the coordinator's own replica alone.
      e.world.network.drop(
        ({ message, from }) => message === 'log.replica/write' && from === e.addresses[0],
      )
      let position: Position | undefined | 'waits' = 'waits'
      writer.append(bytes('half')).then(
        p => {
          position = p
        },
        () => {},
      )
      await e.world.advance(50)
      t.equal(position, 'waits')
      e.crash(seen ? 2 : 0)
      const next = await e.elect(1)
      const half = seen ? ['1 half'] : []
      t.same(await e.read(1), half)
      if (!seen) await e.start(0)
      t.same(await e.append(next, 'next'), [seen ? 2 : 1])
      await e.world.advance(1_000)
      t.same(await e.read(0), [...half, `${seen ? 2 : 1} next`])
      await e.finish(t)
    }
  },
)

t.test(
  'with a quorum it goes on; without one it waits, and goes on when there is one again',
  async t => {
    const e = new Ensemble(5)
    await e.start()
    await e.voting()
    const writer = await e.elect(0)
    e.crash(4)
    e.crash(3)
    t.same(await e.append(writer, 'a'), [1])
    e.crash(2)
    const waiting = writer.append(bytes('b'))
    let done = false
    void waiting.then(() => {
      done = true
    })
    await e.world.advance(30_000)
    t.notOk(done)
    await e.start(3)
    t.equal(await e.run(waiting), 2)
    t.same(await e.append(writer, 'c'), [3])
    await e.finish(t)
  },
)

t.test('what is chosen after a gap is kept, and the gap is filled', async t => {
  // Lamport, section 3: a leader may propose the next commands before it knows that the ones before are chosen.
  const e = new Ensemble(3)
  await e.start()
  await e.voting()
  const writer = await e.elect(0)
  let first = true
  const lost = e.world.network.drop(({ message }) => message === 'log.replica/write' && first)
  const appended = [writer.append(bytes('lost')), writer.append(bytes('lost, too'))]
  await e.world.advance(5)
  first = false
  appended.push(writer.append(bytes('kept')))
  let known = 0
  for (const each of appended) void each.then(() => known++)
  await e.world.advance(100)
  t.ok(lost.count >= 2)
  t.equal(known, 0, 'nobody is told of what comes after a gap')
  e.crash(0)
  await e.elect(1)
  t.same(await e.read(1), ['3 kept'])
  await e.finish(t)
})

t.test('many appends at once travel together', async t => {
  const e = new Ensemble(3)
  await e.start()
  await e.voting()
  const writer = await e.elect(0)
  let writes = 0
  e.world.network.drop(({ message }) => {
    if (message === 'log.replica/write') writes++
    return false
  })
  const texts = Array.from({ length: 2_000 }, (_, i) => `${i}`)
  const positions = await e.run(Promise.all(texts.map(each => writer.append(bytes(each)))))
  t.same(
    positions,
    texts.map((_, i) => i + 1),
  )
  t.ok(writes < 60, `${writes} requests`)
  await e.world.advance(200)
  for (const i of [0, 1, 2]) {
    t.same(
      await e.read(i),
      texts.map((each, k) => `${k + 1} ${each}`),
    )
  }
  await e.finish(t)
})

t.test('a replica that missed much catches up from another while appends go on', async t => {
  const e = new Ensemble(3)
  await e.start()
  await e.voting()
  const writer = await e.elect(0)
  e.world.network.partition([e.addresses[2]!], e.addresses.slice(0, 2))
  for (let i = 0; i < 50; i++) {
    await e.run(Promise.all(Array.from({ length: 100 }, () => writer.append(bytes(`${i}`)))))
  }
  await e.run(writer.truncate(1_000))
  e.world.network.heal()
  let promises = 0
  e.world.network.drop(({ message }) => {
    if (message === 'log.replica/promise') promises++
    return false
  })
  t.same(await e.append(writer, 'next'), [5_002])
  await e.world.until(() => e.learned(2).has(5_002), 'it has what was written last', 20_000)
  await e.world.advance(1_000)
  const [begin, end] = [await e.run(e.reader(2).beginning()), await e.run(e.reader(2).ending())]
  t.same([begin, end], [1_000, 5_002])
  t.equal((await e.read(2)).length, 4_002)
  t.equal(promises, 0, 'nothing is voted on for that')
  await e.finish(t)
})

t.test('of a log that others write so much can be read as is learned here', async t => {
  const e = new Ensemble(3)
  await e.start()
  await e.voting()
  t.same(await e.run(e.reader(2).learned()), { begin: 0, end: -1 })
  const writer = await e.elect(0)
  await e.append(writer, 'a', 'b')
  await e.world.advance(200)
  t.same(await e.run(e.reader(2).learned()), { begin: 0, end: 2 })
  e.world.network.partition([e.addresses[2]!], e.addresses.slice(0, 2))
  await e.append(writer, 'c', 'd')
  t.same(await e.run(e.reader(2).learned()), { begin: 0, end: 2 })
  e.world.network.heal()
  await e.append(writer, 'e')
  await e.run(writer.truncate(2))
  await e.world.advance(2_000)
  t.same(await e.run(e.reader(2).learned()), { begin: 2, end: 6 })
  await e.finish(t)
})

t.test(
  'what was missed comes in messages that may be sent, however large the values are',
  async t => {
    const e = new Ensemble(3)
    await e.start()
    await e.voting()
    const writer = await e.elect(0)
    e.crash(2)
    // Many times what one message may have.
    for (let i = 0; i < 40; i++) await e.run(writer.append(new Uint8Array(2 * 1024 * 1024)))
    await e.start(2)
    t.same(await e.append(writer, 'next'), [41])
    await e.world.until(() => e.learned(2).has(41), 'it has what was written last', 20_000)
    await e.world.advance(2_000)
    t.equal((await e.read(2)).length, 41)
    await e.finish(t)
  },
)

t.test('what no message can carry is refused at once, and the writer writes on', async t => {
  const e = new Ensemble(3)
  await e.start()
  await e.voting()
  const writer = await e.elect(0)
  const [refused, written] = [
    writer.append(new Uint8Array(64 * 1024 * 1024)),
    writer.append(bytes('a')),
  ]
  await t.rejects(e.run(refused), { code: 'too_large', message: /64MB is too large.*63MB at most/ })
  t.equal(await e.run(written), 1)
  t.equal(await e.run(writer.append(new Uint8Array(63 * 1024 * 1024))), 2)
  await e.finish(t)
})

t.test('an election after many appends copies what others have learned', async t => {
  const e = new Ensemble(3)
  await e.start()
  await e.voting()
  const writer = await e.elect(0)
  e.world.network.partition([e.addresses[2]!], e.addresses.slice(0, 2))
  const texts = Array.from({ length: 3_000 }, (_, i) => `${i}`)
  await e.run(Promise.all(texts.map(each => writer.append(bytes(each)))))
  e.world.network.heal()
  const from = e.world.clock.now()
  await e.elect(2)
  t.ok(e.world.clock.now() - from < 1_000, `${e.world.clock.now() - from} ms`)
  t.equal((await e.read(2)).length, 3_000)
  await e.finish(t)
})

t.test('a lost request or answer costs time only', async t => {
  const e = new Ensemble(3, { timing: { answerMs: 200 } })
  await e.start()
  await e.voting()
  const writer = await e.elect(0)
  let losing = 3
  const rule = e.world.network.drop(
    ({ message }) => message === 'log.replica/write' && losing-- > 0,
  )
  t.same(await e.append(writer, 'a', 'b'), [1, 2])
  t.equal(rule.count, 3)
  await e.finish(t)
})

t.test('rivals that want to be elected at once all get their turn', async t => {
  for (let seed = 1; seed <= 10; seed++) {
    const e = new Ensemble(3, { seed })
    await e.start()
    await e.voting()
    const write = async (i: number): Promise<string> => {
      const writer = e.writer(i)
      for (;;) {
        if ((await writer.start()) === undefined) continue
        const position = await writer.append(bytes(`by ${i}`))
        if (position !== undefined) return `${position} by ${i}`
      }
    }
    const written = await e.run(Promise.all([0, 1, 2].map(write)))
    await e.elect(0)
    const log = await e.read(0)
    t.same(
      written.filter(line => !log.includes(line)),
      [],
      `seed ${seed}`,
    )
    await e.finish(t)
  }
})

t.test('a partitioned coordinator changes nothing; the others elect another', async t => {
  const e = new Ensemble(3, { timing: { answerMs: 300 } })
  await e.start()
  await e.voting()
  const old = await e.elect(0)
  await e.append(old, 'a')
  e.world.network.partition([e.addresses[0]!], e.addresses.slice(1))
  const stale = old.append(bytes('stale'))
  await e.world.advance(100)
  const next = await e.elect(1)
  t.same(await e.append(next, 'b'), [2])
  e.world.network.heal()
  t.equal(await e.run(stale), undefined)
  await e.run(e.writer(0).start())
  t.same(await e.read(0), ['1 a', '2 b'])
  await e.finish(t)
})

// On files, with segments so small that they come and go all the time

t.test('on files: crashes at any moment lose nothing that was acknowledged', async t => {
  const random = new SeededRandom(1)
  const known = new Map<Position, string>()
  let segmentsSeen = 0
  let segmentsGone = 0
  const root = t.testdir()
  for (let life = 0; life < 25; life++) {
    const world = new World({ log: collectingLogger() })
    const runtime = world.start('10.0.0.1:5050')
    const directory = join(root, `life-${life}`)
    const storage = new FileStorage({ directory, segmentBytes: 200 })
    const log = await Log.open({ storage, quorum: 1 })
    const service = runtime.ref(LogService, runtime.spawn(log, 'log(1)'))
    /** The files are real, the clock is not: each gets its turn. */
    const run = async <T>(promise: Promise<T>): Promise<T> => {
      let settled = false
      const done = (): void => {
        settled = true
      }
      promise.then(done, done)
      while (!settled) {
        await world.advance(1)
        await new Promise(resolve => setImmediate(resolve))
      }
      return promise
    }

    const writer = new Writer(service)
    const end = await run(writer.start())
    const reader = new Reader(service)
    const begin = await run(reader.beginning())
    const found = new Map<Position, string>()
    for (const entry of await run(reader.read(begin, end!)))
      found.set(entry.position, text(entry.bytes))
    for (const [position, value] of known) {
      if (position >= begin) t.equal(found.get(position), value, `${position} in life ${life}`)
      else known.delete(position)
    }

    for (let n = random.integer(12); n >= 0; n--) {
      const value = `${life}/${n} ${'x'.repeat(random.integer(80))}`
      known.set((await run(writer.append(bytes(value))))!, value)
      if (random.next() < 0.3) {
        const all = [...known.keys()]
        await run(writer.truncate(all[random.integer(all.length)]!))
      }
    }
    // Dies with a write, and perhaps a truncation, on its way.
    void writer.append(bytes('unheard')).catch(() => {})
    for (let turns = random.integer(6); turns > 0; turns--) {
      await world.advance(0.1)
      await new Promise(resolve => setImmediate(resolve))
    }
    const next = join(root, `life-${life + 1}`)
    mkdirSync(next)
    const names = readdirSync(directory).filter(name => name.startsWith('segment-'))
    for (const name of names) {
      try {
        copyFileSync(join(directory, name), join(next, name))
      } catch (error) {
        // The oldest may go at this very moment.
        const isOldest = parse(name).name === parse(names[0]!).name
        if (!isOldest || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
    segmentsSeen = Math.max(segmentsSeen, Number(names.at(-1)!.slice(8, 28)))
    segmentsGone = Math.max(segmentsGone, Number(names[0]!.slice(8, 28)) - 1)
    runtime.terminate(service.pid)
    await run(log.closed)
  }
  t.ok(segmentsSeen > 30 && segmentsGone > 20, `${segmentsSeen} segments, ${segmentsGone} gone`)
})

// Everything at once

t.test(
  'random crashes, cuts and losses: what was acknowledged stays, in the same place for all',
  async t => {
    for (const [size, seeds] of [
      [3, 6],
      [5, 3],
    ] as const) {
      let acknowledged = 0
      for (let seed = 1; seed <= seeds; seed++) {
        const e = new Ensemble(size, {
          seed,
          timing: { answerMs: 100, retryMs: 20, recoverRetryMs: 50 },
        })
        const random = new SeededRandom([seed, 99])
        await e.start()
        await e.voting()
        const known = new Map<Position, string>()
        const alive = e.members.map(() => true)
        let stop = false

        const client = async (i: number): Promise<void> => {
          const writer = e.writer(i)
          for (let n = 0; !stop; n++) {
            if ((await writer.start()) === undefined) continue
            for (;;) {
              const value = `${i}/${n}/${known.size}`
              const position = await writer.append(bytes(value))
              if (position === undefined || stop) break
              if (known.has(position))
                t.fail(`seed ${seed}: position ${position} acknowledged twice`)
              known.set(position, value)
              n++
            }
          }
        }
        const begin = (i: number): void => {
          client(i).catch(() => {})
        }
        for (const i of e.members.keys()) begin(i)

        for (let step = 0; step < 40; step++) {
          await e.world.advance(random.integer(60))
          const i = random.integer(size)
          switch (random.integer(5)) {
            case 0:
              if (alive[i]) e.crash(i, (['lost', 'torn', 'kept'] as const)[random.integer(3)])
              alive[i] = false
              break
            case 1:
            case 2:
              if (!alive[i]) {
                await e.start(i)
                begin(i)
              }
              alive[i] = true
              break
            case 3:
              e.world.network.partition(
                [e.addresses[i]!],
                random.shuffle(e.addresses).slice(0, 2),
                {
                  oneWay: random.next() < 0.5,
                },
              )
              break
            case 4:
              e.world.network.heal()
          }
        }
        stop = true
        e.world.network.heal()
        for (const i of e.members.keys()) if (!alive[i]) await e.start(i)
        await e.world.advance(30_000)
        const writer = e.writer(0)
        for (let tries = 0; (await e.run(writer.start())) === undefined; tries++) {
          if (tries > 20) throw new Error(`seed ${seed}: nobody can be elected`)
        }
        const log = new Map((await e.read(0)).map(line => line.split(' ') as [string, string]))
        for (const [position, value] of known) {
          if (log.get(`${position}`) !== value) {
            t.fail(
              `seed ${seed}: ${value} acknowledged at ${position}, where ${log.get(`${position}`)} is`,
            )
          }
        }
        acknowledged += known.size
        await e.finish(t)
      }
      t.ok(acknowledged > 100, `${acknowledged} appends with ${size} replicas`)
    }
  },
)
