// Who reads a log that a running process writes sees no damage that is not there.

import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FileStorage } from '../../src/log/file-storage.ts'
import { readGrowing } from '../../src/log/growing-file.ts'
import { viewLog } from '../../src/log/read-log.ts'
import { encodeBatch, encodeHeader, HEADER_BYTES } from '../../src/log/record.ts'
import { scanSegment } from '../../src/log/segment.ts'
import { appendOf, type ReplicaRecord } from '../../src/log/storage.ts'

const written = (position: number): ReplicaRecord => ({
  type: 'write',
  position,
  proposal: 1,
  learned: true,
  value: appendOf(Buffer.from(`value ${position}`)),
})

/** A segment of some batches, and where each of them lies. */
function segmentOf(count: number) {
  const parts = [encodeHeader({ sequence: 1, replicaId: '0'.repeat(32) })]
  const offsets = [HEADER_BYTES]
  for (let p = 0; p < count; p++) {
    const batch = encodeBatch([written(p)], 1, offsets.at(-1)!)
    parts.push(batch)
    offsets.push(offsets.at(-1)! + batch.length)
  }
  return { bytes: Buffer.concat(parts), offsets }
}

const without = (bytes: Buffer, from: number, to: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy.fill(0, from, to)
  return copy
}

t.test(
  'what is read before it is written, and something behind it after, is read again',
  async t => {
    const { bytes, offsets } = segmentOf(6)
    // Twice a batch is not there yet, but the next one is.
    const contents = [
      without(bytes.subarray(0, offsets[3]), offsets[1]!, offsets[2]!),
      without(bytes, offsets[4]!, offsets[5]!),
      bytes,
    ]
    const reads: number[] = []
    const read = (_: string, from: number): Promise<Buffer> => {
      reads.push(from)
      return Promise.resolve(contents.shift()!.subarray(from))
    }
    const seen = await readGrowing('a', 1, read)
    t.same(seen, bytes)
    t.same(reads, [0, offsets[1], offsets[4]])
  },
)

t.test('what stays the same is damage', async t => {
  const { bytes, offsets } = segmentOf(6)
  const damaged = without(bytes, offsets[2]!, offsets[3]!)
  let reads = 0
  const read = (_: string, from: number): Promise<Buffer> => {
    reads++
    return Promise.resolve(damaged.subarray(from))
  }
  const seen = await readGrowing('a', 1, read)
  t.equal(reads, 2)
  t.throws(() => scanSegment('a', seen!, 1, true, () => {}), {
    code: 'data_damaged',
    offset: offsets[2],
  })
})

t.test('what is given back while it is read is left out', async t => {
  const directory = join(t.testdir(), 'log')
  const storage = new FileStorage({ directory, segmentBytes: 150 })
  await storage.open(
    () => {},
    () => [],
  )
  for (let p = 0; p < 20; p++) await storage.persist([written(p)])
  const view = await viewLog(directory)
  const positions: number[] = []
  for await (const { position } of view.entries()) {
    positions.push(position)
    if (position === 0) await storage.truncate(12)
  }
  t.equal(view.damage, undefined)
  t.equal(positions[0], 0)
  t.equal(positions.at(-1), 19)
  t.same(
    positions.filter(p => p >= 12),
    [12, 13, 14, 15, 16, 17, 18, 19],
  )
  t.ok(positions.length < 16, positions.join())
  await storage.close()
})

t.test('a log that is being put aside is not taken for a whole one', async t => {
  const directory = join(t.testdir(), 'log')
  const storage = new FileStorage({ directory })
  await storage.open(
    () => {},
    () => [],
  )
  await storage.persist([written(0)])
  await storage.close()
  writeFileSync(join(directory, 'starting-over'), '')
  const being = { damage: { code: 'data_damaged', message: /being put aside/ } }
  t.match(await viewLog(directory), being)
  const empty = t.testdir({ 'starting-over': '' })
  t.match(await viewLog(empty), being, 'when all of it is aside')
  t.same(readdirSync(empty), ['starting-over'])
})
