// The registry of the past at any position is the one that replaying from the beginning gives.

import fc from 'fast-check'
import t from 'tap'
import { History } from '../../src/cli/log/history.ts'
import type { LogEntry } from '../../src/log/log.ts'
import { encodeEntry, Replay } from '../../src/master/registry/entry.ts'
import type { Entry, Operation } from '../../src/master/registry/operations.ts'
import { RegistryError } from '../../src/master/registry/registry.ts'
import { admit, entry, unreachable } from './logs.ts'

async function* logOf(
  entries: readonly Entry[],
  positions: readonly number[],
): AsyncGenerator<LogEntry> {
  for (const [i, each] of entries.entries()) {
    yield {
      ...{ position: positions[i]!, promised: 1, performed: 1, learned: true, truncated: false },
      type: 'APPEND',
      bytes: encodeEntry(each) as Uint8Array<ArrayBuffer>,
    }
  }
}

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.nat(9).map(n => admit(`S${n}`)),
  fc.nat(9).map(n => unreachable(`S${n}`)),
)

/** Entries of up to three operations that fit, and snapshots. */
const registry = fc
  .array(fc.tuple(fc.array(operation, { minLength: 1, maxLength: 3 }), fc.nat(9)), {
    minLength: 1,
    maxLength: 60,
  })
  .map(groups => {
    const live = new Replay()
    const entries: Entry[] = []
    for (const [group, chance] of groups) {
      const { sequence } = live
      const operations = group.filter(each => {
        try {
          return live.registry.apply(each)
        } catch (error) {
          if (error instanceof RegistryError) return false
          throw error
        }
      })
      live.sequence += operations.length
      if (operations.length > 0) entries.push(entry({ operations, sequence }))
      if (chance === 0)
        entries.push(entry({ snapshot: live.registry.snapshot(), sequence: live.sequence }))
    }
    return entries
  })
  .filter(entries => entries.length > 0)

t.test('in whatever order positions are asked for, and however few copies are kept', async t => {
  const property = fc.asyncProperty(
    registry,
    fc.integer({ min: 1, max: 7 }),
    fc.integer({ min: 0, max: 30 }),
    fc.array(fc.nat(130), { minLength: 1, maxLength: 20 }),
    async (entries, entriesPerCopy, mostAgents, asked) => {
      // With holes between, as where something else was written.
      const positions = entries.map((_, i) => 2 * i + 1)
      const options = { entriesPerCopy, mostAgents }
      const history = await History.read(logOf(entries, positions), options)
      try {
        for (const wanted of asked) {
          const { position, writtenAt, registry: found, steps } = history.at(wanted)
          if (position !== Math.min(Math.max(wanted, history.first), history.last))
            throw new Error(`${wanted} gave ${position}`)
          const replay = new Replay()
          const before = entries.filter((_, i) => positions[i]! <= position)
          for (const each of before) replay.apply(each)
          if (JSON.stringify(found.snapshot()) !== JSON.stringify(replay.registry.snapshot()))
            throw new Error(`another registry at ${position}`)
          const here = writtenAt === position ? before.at(-1)! : undefined
          const count = here ? (here.operations?.length ?? 0) + (here.snapshot ? 1 : 0) : 0
          if (steps.length !== count) throw new Error(`${steps.length} steps at ${position}`)
        }
      } finally {
        history.close()
      }
    },
  )
  await t.resolves(fc.assert(property, { numRuns: 60 }))
})

t.test('copies stay within their limit, however long the log is', async t => {
  const entries = Array.from({ length: 3000 }, (_, i) =>
    entry({
      operations: [i < 50 ? admit(`S${i}`) : i % 2 ? admit('S0') : unreachable('S0')],
      sequence: i,
    }),
  )
  const positions = entries.map((_, i) => i)
  const history = await History.read(logOf(entries, positions), {
    ...{ entriesPerCopy: 4, mostAgents: 1000 },
  })
  t.ok(history.copies <= 21 && history.copies > 5, `${history.copies} copies of 50 agents`)
  t.equal(history.at(2999).registry.agents.size, 50)
  history.close()
})

t.test('a log without a registry is refused', async t => {
  await t.rejects(History.read(logOf([], [])), { message: /No operation of a registry/ })
})
