import t from 'tap'
import { changesBetween, changeText } from '../../src/cli/log/changes.ts'
import { replay, type Step, stepText } from '../../src/cli/log/steps.ts'
import { readJson, readLine } from '../../src/cli/log/text.ts'
import type { LogEntry } from '../../src/log/log.ts'
import { encodeEntry } from '../../src/master/registry/entry.ts'
import type { Entry, Operation } from '../../src/master/registry/operations.ts'
import { Registry } from '../../src/master/registry/registry.ts'
import { admit, agent, entry, recover, TIME_MS, unreachable } from './logs.ts'

const appended = (position: number, content: Partial<Entry>, learned = true): LogEntry => ({
  ...{ position, promised: 1, performed: 1, learned, truncated: false },
  type: 'APPEND',
  bytes: encodeEntry(entry(content)) as Uint8Array<ArrayBuffer>,
})

async function steps(entries: readonly LogEntry[]): Promise<Step[]> {
  const all = []
  for await (const step of replay(asyncOf(entries))) all.push(step)
  return all
}

async function* asyncOf<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

t.test('every operation is a step: who, why, what it changed, how much there is then', async t => {
  const all = await steps([
    { position: 0, promised: 1, performed: 1, learned: true, truncated: false, type: 'NOP' },
    appended(1, { operations: [recover('M')] }),
    appended(2, { operations: [admit('S0'), admit('S1')], sequence: 1 }),
    appended(3, { operations: [unreachable('S0')], sequence: 3 }, false),
  ])
  t.same(
    all.map(({ position, operation, counts }) => [position, operation.type, counts.agents]),
    [
      [1, 'recover', 0],
      [2, 'admit_agent', 1],
      [2, 'admit_agent', 2],
      [3, 'mark_agent_unreachable', 1],
    ],
  )
  t.same(all.map(stepText), [
    '1  2026-01-31 13:45:00.123Z  recover: master M at master@10.0.0.1:5050\n' +
      '    by master@10.0.0.1:5050 (M): elected\n' +
      '    + master M at master@10.0.0.1:5050\n' +
      '    registry: 0 agents, 0 unreachable, 0 gone',
    '2  2026-01-31 13:45:00.123Z  admit_agent S0 (S0.example:5051, cpus:4)\n' +
      '    by slave(1)@S0.example:5051: registration; written by master@10.0.0.1:5050 (M)\n' +
      '    + agent S0 (S0.example:5051, cpus:4)\n' +
      '    registry: 1 agent, 0 unreachable, 0 gone',
    '2  2026-01-31 13:45:00.123Z  admit_agent S1 (S1.example:5051, cpus:4)\n' +
      '    by slave(1)@S1.example:5051: registration; written by master@10.0.0.1:5050 (M)\n' +
      '    + agent S1 (S1.example:5051, cpus:4)\n' +
      '    registry: 2 agents, 0 unreachable, 0 gone',
    '3  2026-01-31 13:45:00.123Z  mark_agent_unreachable S0 since 2026-01-31 13:45:00.123Z (not known to be chosen)\n' +
      '    by master@10.0.0.1:5050 (M), of itself: health check timed out\n' +
      '    - agent S0 (S0.example:5051, cpus:4)\n' +
      '    + unreachable S0 since 2026-01-31 13:45:00.123Z\n' +
      '    registry: 1 agent, 1 unreachable, 0 gone',
  ])
})

t.test('what was written before there were causes is replayed, and says so', async t => {
  const { cause: _, ...old } = admit('S0')
  const [step] = await steps([appended(1, { operations: [old] })])
  t.match(stepText(step!), /by not recorded; written by master M\n/)
  t.equal(step?.cause, undefined)
})

t.test('an operation that does not fit is an error, unless it may never be chosen', async t => {
  const twice = [admit('S0'), admit('S0')]
  await t.rejects(steps([appended(1, { operations: twice })]), {
    code: 'data_damaged',
    message: /Position 1: admit_agent does not fit .*S0 is already admitted/,
  })
  t.equal((await steps([appended(1, { operations: twice }, false)])).length, 1)
})

t.test('a log without its beginning is replayed from its first snapshot on', async t => {
  const snapshot = { agents: [agent('S7')], unreachable: [], gone: [] }
  const all = await steps([
    appended(8, { operations: [admit('S6')], sequence: 90 }),
    appended(9, { snapshot, sequence: 91 }),
    appended(10, { operations: [admit('S8')], sequence: 91 }),
    appended(11, { snapshot, sequence: 92 }),
  ])
  t.same(
    all.map(({ position, operation, counts, changes }) => [
      ...[position, operation.type, counts.agents],
      changes.map(changeText),
    ]),
    [
      [9, 'snapshot', 1, []],
      [10, 'admit_agent', 2, ['+ agent S8 (S8.example:5051, cpus:4)']],
      [11, 'snapshot', 1, ['- agent S8 (S8.example:5051, cpus:4)']],
    ],
    'a snapshot that is not what came before it does not go unseen',
  )
})

t.test('an agent that changed is shown field by field', async t => {
  const [a, b] = [new Registry(), new Registry()]
  a.apply({ type: 'admit_agent', info: agent('S0', 4) })
  b.apply({ type: 'admit_agent', info: { ...agent('S0', 8), hostname: 'other', port: 5051 } })
  t.same(changesBetween(a, b).map(changeText), [
    '~ agent S0: hostname S0.example → other, resources cpus:4 → cpus:8',
  ])
  t.same(changesBetween(a, a), [])
  const { id, ...rest } = agent('S0')
  const c = new Registry()
  c.apply({ type: 'admit_agent', info: { ...rest, id } })
  t.same(changesBetween(a, c), [], 'the order of fields means nothing')
})

t.test('each kind of entry has its line and its object', async t => {
  const base = { promised: 2, performed: 1, learned: true, truncated: false }
  const foreign = new Uint8Array([1, 2, 3])
  const operations: Operation[] = [recover('M'), admit('S0')]
  const entries: LogEntry[] = [
    { ...base, position: 0, type: 'NOP', tombstone: true, truncated: true },
    appended(1, { operations }),
    { ...base, position: 2, type: 'TRUNCATE', to: 1 },
    { ...base, position: 3, type: 'APPEND', bytes: foreign },
    { position: 4, promised: 7, learned: false, truncated: false },
    {
      ...{ ...base, position: 5, type: 'MEMBERS' },
      membership: { version: 3, members: ['10.0.0.1:5050', '10.0.0.2:5050'] },
    },
  ]
  const columns = entries.map(each =>
    readLine(each)
      .trim()
      .split(/\s{2,}/),
  )
  t.same(columns[0], ['0', 'NOP', '2', '1', 'yes, truncated', '-', 'was truncated'])
  t.match(columns[1], ['1', 'APPEND', '1', '1', 'yes', /^\d+B$/, /^recover: .*; admit_agent S0/])
  t.same(columns[2]?.slice(5), ['-', 'positions below 1 are given up'])
  t.same(columns[3]?.slice(5), ['3B', 'no entry of a registry'])
  t.same(columns[4], ['4', '-', '7', '-', 'no', '-', 'a promise only'])
  t.equal(columns[5]?.at(-1), 'members 3: 10.0.0.1:5050, 10.0.0.2:5050')
  t.match(entries.map(readJson), [
    { position: 0, type: 'NOP', tombstone: true, truncated: true },
    {
      position: 1,
      type: 'APPEND',
      entry: { time_ms: TIME_MS, operations: [{ type: 'recover' }, { type: 'admit_agent' }] },
    },
    { position: 2, type: 'TRUNCATE', to: 1 },
    { position: 3, type: 'APPEND', size: 3, bytes: 'AQID' },
    { position: 4, type: null, performed: null, learned: false },
    { position: 5, type: 'MEMBERS', membership: { version: 3 } },
  ])
})
