// The virtual disk, below the storage that real masters use.

import t from 'tap'
import { SeededRandom } from '../../src/base/random.ts'
import { Acceptor } from '../../src/log/acceptor.ts'
import { appendOf, type ReplicaRecord, type Storage } from '../../src/log/storage.ts'
import { VirtualClock } from '../../src/sim/virtual-clock.ts'
import { VirtualDisk } from '../../src/sim/virtual-disk.ts'

function write(position: number, bytes = 10): ReplicaRecord {
  const value = appendOf(new Uint8Array(bytes).fill(position + 1))
  return { type: 'write', position, proposal: 1, learned: true, value }
}

interface Bench {
  readonly clock: VirtualClock
  readonly disk: VirtualDisk
  /** Opens the disk, as the next process; answers with the positions that are there. */
  readonly open: () => Promise<{ storage: Storage; positions: number[]; warnings: number }>
}

function bench(seed: number, segmentBytes = 1_000): Bench {
  const clock = new VirtualClock()
  const disk = new VirtualDisk(new SeededRandom(seed))
  const open: Bench['open'] = async () => {
    const storage = disk.storage(clock, segmentBytes)
    const acceptor = new Acceptor()
    const persist = storage.persist.bind(storage)
    storage.persist = records => {
      for (const record of records) acceptor.apply(record)
      return persist(records)
    }
    const opening = storage.open(
      record => acceptor.apply(record),
      () => acceptor.snapshot(),
    )
    await clock.advance(1_000)
    const warnings = (await opening).length
    const positions = Array.from({ length: 110 }, (_, p) => p).filter(p => acceptor.isLearned(p))
    for (const position of positions) await storage.read(position)
    return { storage, positions, warnings }
  }
  return { clock, disk, open }
}

t.test('what was synced is there after a crash, what was not is not', async t => {
  const { clock, disk, open } = bench(1)
  const { storage } = await open()
  const first = storage.persist([write(0), write(1)])
  await clock.advance(1)
  await first
  void storage.persist([write(2)])
  await clock.settle()
  t.ok(disk.inUse)
  disk.crash('lost')
  t.notOk(disk.inUse)
  const again = await open()
  t.strictSame(again.positions, [0, 1])
  await t.rejects(
    disk.storage(clock, 1_000).open(
      () => {},
      () => [],
    ),
    { message: /in use/ },
  )
  void again.storage.persist([write(3)])
  await clock.settle()
  disk.crash('kept')
  t.strictSame((await open()).positions, [0, 1, 3])
  disk.wipe()
  t.strictSame((await open()).positions, [])
})

t.test('wherever a write is torn, all that was acknowledged before it is there', async t => {
  let torn = 0
  let kept = 0
  for (let seed = 0; seed < 300; seed++) {
    const { clock, disk, open } = bench(seed, seed % 3 === 0 ? 200 : 4_000)
    const { storage } = await open()
    const acknowledged: number[] = []
    // The last one is larger than a few sectors.
    for (let position = 0; position < 1 + (seed % 7); position++) {
      const done = storage.persist([write(position, 50)])
      await clock.advance(10)
      await done
      acknowledged.push(position)
    }
    void storage.persist([write(100, 2_000)])
    await clock.settle()
    disk.crash('torn')
    const again = await open()
    if (again.positions.includes(100)) kept++
    torn += again.warnings
    t.strictSame(
      again.positions.filter(position => position < 100),
      acknowledged,
      `seed ${seed}`,
    )
    // What comes behind the torn tail is there the next time.
    const done = again.storage.persist([write(101)])
    await clock.advance(10)
    await done
    disk.crash('lost')
    t.ok((await open()).positions.includes(101), `seed ${seed}, behind it`)
  }
  t.ok(torn > 100, `${torn} torn tails`)
  t.ok(kept > 0, `${kept} whole`)
})

t.test('a full disk takes part of a write and then none, and the storage nothing more', async t => {
  const { clock, disk, open } = bench(3)
  const { storage } = await open()
  const first = storage.persist([write(0)])
  await clock.advance(1)
  await first
  disk.full = true
  const second = storage.persist([write(1)])
  const refused = t.rejects(second, { code: 'store_failed', message: /ENOSPC/, hint: /Make room/ })
  await clock.advance(10)
  await refused
  disk.full = false
  await t.rejects(storage.persist([write(2)]), { code: 'store_failed' })
  disk.crash('kept')
  const again = await open()
  t.strictSame(again.positions, [0])
  t.ok(again.warnings <= 1)
})

t.test('a slow disk acknowledges when it is done', async t => {
  const { clock, disk, open } = bench(4)
  const { storage } = await open()
  disk.syncMs = 500
  const { syncs } = disk
  let done = false
  void storage.persist([write(0)]).then(() => (done = true))
  await clock.advance(499)
  t.notOk(done)
  await clock.advance(1)
  t.ok(done)
  t.equal(disk.syncs, syncs + 1)
})
