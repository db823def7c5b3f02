// A disk that stands still for a while: what waits for it has an end, nobody is deposed for it, and it has all again.

import t from 'tap'
import type { Clock } from '../../src/actors/clock.ts'
import { type Deferred, deferred } from '../../src/base/deferred.ts'
import { collectingLogger } from '../../src/base/log.ts'
import { SeededRandom } from '../../src/base/random.ts'
import type { LogFiles } from '../../src/log/files.ts'
import { FileStorage, Log, LogService, Reader, Writer } from '../../src/log/log.ts'
import type { LogRef } from '../../src/log/service.ts'
import type { ReplicaRecord } from '../../src/log/storage.ts'
import { VirtualDisk } from '../../src/sim/virtual-disk.ts'
import { World } from '../../src/sim/world.ts'

const VALUE_BYTES = 10_000
const BACKLOG_BYTES = 20 * VALUE_BYTES
const ADDRESSES = [1, 2, 3].map(n => `10.0.0.${n}:5050`)

/** A disk that writes nothing while it is held. */
class Member {
  readonly #disk: VirtualDisk
  #held: Deferred<void> | undefined
  /** Of values that were handed to it while it is held. */
  takenBytes = 0
  service!: LogRef

  constructor(seed: number) {
    this.#disk = new VirtualDisk(new SeededRandom(seed))
  }

  hold(): void {
    this.#held = deferred()
    this.takenBytes = 0
  }

  release(): void {
    this.#held?.resolve()
    this.#held = undefined
  }

  storage(clock: Pick<Clock, 'delay'>): FileStorage {
    const real = this.#disk.files(clock)
    const files: LogFiles = {
      ...real,
      open: async (...what) => {
        const file = await real.open(...what)
        return {
          ...file,
          write: async (...where) => {
            await this.#held?.promise
            return file.write(...where)
          },
        }
      },
    }
    const options = { directory: '/log', reserveBytes: 1_000, backlogBytes: BACKLOG_BYTES }
    const storage = new FileStorage({ ...options, files })
    const persist = storage.persist.bind(storage)
    const note = storage.note.bind(storage)
    storage.persist = records => {
      this.#take(records)
      return persist(records)
    }
    storage.note = records => {
      this.#take(records)
      note(records)
    }
    return storage
  }

  #take(records: readonly ReplicaRecord[]): void {
    for (const record of records) {
      if (record.type === 'write' && record.value.type === 'APPEND')
        this.takenBytes += record.value.bytes.length
    }
  }
}

class Ensemble {
  readonly logger = collectingLogger()
  readonly world = new World({ seed: 1, log: this.logger })
  readonly members = ADDRESSES.map((_, i) => new Member(i))

  async start(): Promise<Writer> {
    for (const [i, address] of ADDRESSES.entries()) {
      const runtime = this.world.start(address)
      const storage = this.members[i]!.storage(runtime.clock)
      const log = await this.run(Log.open({ storage, quorum: 2, replicas: ADDRESSES }))
      this.members[i]!.service = runtime.ref(LogService, runtime.spawn(log, 'log(1)'))
    }
    for (const { service } of this.members) await this.run(service.ask('range', {}))
    const writer = new Writer(this.members[0]!.service)
    await this.run(writer.start())
    return writer
  }

  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const done = (): unknown => (settled = true)
    promise.then(done, done)
    await this.world.until(() => settled, 'the promise is settled')
    return promise
  }

  /** All that is appended is, one after the other. */
  async append(writer: Writer, count: number): Promise<(number | undefined)[]> {
    const positions: (number | undefined)[] = []
    for (let i = 0; i < count; i++)
      positions.push(await this.run(writer.append(new Uint8Array(VALUE_BYTES))))
    return positions
  }

  atOnce(writer: Writer, count: number): Promise<(number | undefined)[]> {
    return Promise.all(
      Array.from({ length: count }, () => writer.append(new Uint8Array(VALUE_BYTES))),
    )
  }

  /** How many entries a member has. */
  async count(member: Member): Promise<number> {
    const reader = new Reader(member.service)
    const [begin, end] = [await this.run(reader.beginning()), await this.run(reader.ending())]
    return (await this.run(reader.read(Math.max(1, begin), end))).length
  }

  get complaints(): number {
    return this.logger.messages('warn').filter(text => text.includes('disk of the log is slow'))
      .length
  }
}

t.test('of a follower: there is an end to what waits for it, and it catches up', async t => {
  const e = new Ensemble()
  const writer = await e.start()
  const [, , slow] = e.members as [Member, Member, Member]
  slow.hold()
  t.ok(!(await e.append(writer, 100)).includes(undefined), 'the leader leads on')
  await e.world.advance(1_000)
  t.ok(slow.takenBytes >= BACKLOG_BYTES / 2, `${slow.takenBytes} bytes were taken`)
  t.ok(slow.takenBytes < 1.5 * BACKLOG_BYTES, `only ${slow.takenBytes} bytes were taken`)
  t.equal(e.complaints, 1)
  slow.release()
  await e.append(writer, 1)
  await e.world.advance(5_000)
  t.equal(await e.count(slow), 101)
})

t.test('of the one that is needed: it is waited for, and nobody is deposed', async t => {
  const e = new Ensemble()
  const writer = await e.start()
  const [, , slow] = e.members as [Member, Member, Member]
  slow.hold()
  await e.append(writer, 100)
  e.world.crash(ADDRESSES[1]!)
  const needed = e.atOnce(writer, 3)
  await e.world.advance(60_000)
  slow.release()
  t.ok(!(await e.run(needed)).includes(undefined))
  await e.world.advance(5_000)
  t.equal(await e.count(slow), 103)
})

t.test('of the leader: it waits, and goes on when its disk does', async t => {
  const e = new Ensemble()
  const writer = await e.start()
  const [leader, other] = e.members as [Member, Member, Member]
  leader.hold()
  const under = e.atOnce(writer, 500)
  await e.world.advance(30_000)
  t.ok(leader.takenBytes < 4 * BACKLOG_BYTES, `${leader.takenBytes} bytes`)
  leader.release()
  t.ok(!(await e.run(under)).includes(undefined))
  await e.world.advance(5_000)
  t.equal(await e.count(leader), 500)
  t.equal(await e.count(other), 500)
})
