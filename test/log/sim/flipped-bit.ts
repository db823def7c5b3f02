// A bit flips on the disk of a replica that is down, anywhere in its files: faults.ts says whose, and how many at a time.

import { scanSegment, sequenceOf } from '../../../src/log/segment.ts'
import type { StoredRecord } from '../../../src/log/record.ts'
import { type FaultContext, pick, type Strike, upTo } from './fault-context.ts'

const FATES = ['lost', 'torn', 'kept'] as const
const MOST_BITS = 3

export const flipBit: Strike = (f: FaultContext) => {
  const { ensemble, random, note } = f
  if (!ensemble.initialised || ensemble.voters.length < 3) return
  const hurt = ensemble.members.find(({ loss }) => loss !== 'none')
  if (hurt && hurt.loss !== 'damaged') return
  const which = hurt ?? pick(f, ensemble.members)
  which.loss = 'damaged'
  ensemble.crash(which, pick(f, FATES))
  // It may have to start over, with those whom its flag names.
  ensemble.relist(which)
  for (let bits = random.next() < 0.7 ? 1 : 1 + random.integer(MOST_BITS); bits > 0; bits--) {
    const files = random.next() < 0.8 ? /^\/log\/segment-\d+\.log$/ : /^\/log\/segment-\d+\.index$/
    const scar = which.disk.flip(files, unsealed)
    if (!scar) continue
    which.scars.push(scar)
    note(`a bit of ${which.address} flips in ${scar.path}, byte ${scar.at}`)
  }
  f.later(upTo(f, 3_000), () => ensemble.start(which))
}

/**
 * The last batch of a segment, if a vote or a promise is in it. A bit that flips there is not to be told from a write that
 * was not completed: that is why a replica writes a seal behind it within a tenth of a second, and what it is not promised to
 * survive before (docs/log.md). Where a batch is damaged already, all: a second bit in the seal behind it would do the same.
 */
function unsealed(path: string, bytes: Uint8Array): readonly [number, number] {
  const sequence = sequenceOf(path.slice(path.lastIndexOf('/') + 1))
  let last: readonly [number, number] = [0, 0]
  if (sequence === undefined) return last
  const visit = (records: readonly StoredRecord[], offset: number, length: number): void => {
    last = records.some(binds) ? [offset, offset + length] : [0, 0]
  }
  try {
    scanSegment(path, Buffer.from(bytes), sequence, true, visit)
  } catch {
    return [0, bytes.length]
  }
  return last
}

/** Whether nobody else can tell it again. */
function binds(record: StoredRecord): boolean {
  switch (record.type) {
    case 'write':
      return !record.learned
    case 'metadata':
    case 'promise':
    case 'membership':
      return true
    default:
      return false
  }
}
