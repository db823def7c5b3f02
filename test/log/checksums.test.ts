import { crc32 } from 'node:zlib'
import t from 'tap'
import { SeededRandom } from '../../src/base/random.ts'
import { Checksums } from '../../src/log/checksums.ts'

t.test('the checksum of any stretch is that of its bytes', t => {
  const random = new SeededRandom(1)
  for (const size of [1, 255, 256, 257, 5_000]) {
    const bytes = Buffer.from(Array.from({ length: size }, () => random.integer(256)))
    const checksums = new Checksums(bytes)
    for (let i = 0; i < 200; i++) {
      const from = random.integer(size)
      const to = from + 1 + random.integer(size - from)
      const before = crc32(Buffer.from(`before ${i}`))
      t.equal(checksums.of(from, to, before), crc32(bytes.subarray(from, to), before))
      t.equal(checksums.of(from, to), crc32(bytes.subarray(from, to)))
    }
  }
  t.equal(new Checksums(Buffer.alloc(512, 7)).of(256, 256, 9), 9, 'of nothing')
  t.end()
})
