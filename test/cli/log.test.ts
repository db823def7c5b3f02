import t from 'tap'
import { readJson, readLine } from '../../src/cli/log-text.ts'
import { replay, stepText } from '../../src/cli/replay.ts'
import type { LogEntry } from '../../src/log/log.ts'
import { encodeEntry } from '../../src/master/registry/entry.ts'
import type { Entry, Operation } from '../../src/master/registry/operations.ts'
import type { AgentInfo } from '../../src/messages/agent.ts'

const TIME_MS = Date.UTC(2026, 0, 31, 13, 45, 0, 123)
const agent = (id: string): AgentInfo => ({
  id: { value: id },
  hostname: `${id}.example`,
  port: 5051,
  resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 4 } }],
})
const admit = (id: string): Operation => ({ type: 'admit_agent', info: agent(id) })
const recover: Operation = {
  type: 'recover',
  master: { id: 'M', ip: 0, port: 5050, pid: 'master@10.0.0.1:5050' },
}
const entry = (content: Partial<Entry>): Entry => ({
  version: 1,
  time_ms: TIME_MS,
  master_id: 'M',
  sequence: 0,
  ...content,
})
const appended = (position: number, content: Partial<Entry>, learned = true): LogEntry => ({
  position,
  promised: 1,
  performed: 1,
  learned,
  truncated: false,
  type: 'APPEND',
  bytes: encodeEntry(entry(content)) as Uint8Array<ArrayBuffer>,
})

async function steps(entries: readonly LogEntry[]) {
  const all = []
  for await (const step of replay(asyncOf(entries))) all.push(step)
  return all
}

async function* asyncOf<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

t.test('every operation is a step, with the registry as it is right after it', async t => {
  const all = await steps([
    { position: 0, promised: 1, performed: 1, learned: true, truncated: false, type: 'NOP' },
    appended(1, { operations: [recover] }),
    appended(2, { operations: [admit('S0'), admit('S1')], sequence: 1 }),
    appended(
      3,
      {
        operations: [
          { type: 'mark_agent_unreachable', agent_id: { value: 'S0' }, time_ms: TIME_MS },
        ],
        sequence: 3,
      },
      false,
    ),
  ])
  t.same(
    all.map(({ position, operation, registry }) => [
      position,
      operation.type,
      registry.agents.map(({ id }) => id?.value),
      registry.unreachable.length,
    ]),
    [
      [1, 'recover', [], 0],
      [2, 'admit_agent', ['S0'], 0],
      [2, 'admit_agent', ['S0', 'S1'], 0],
      [3, 'mark_agent_unreachable', ['S1'], 1],
    ],
  )
  t.same(all.map(stepText), [
    '1  2026-01-31 13:45:00.123Z  recover: master M at master@10.0.0.1:5050\n' +
      '    registry: 0 agents, 0 unreachable, 0 gone',
    '2  2026-01-31 13:45:00.123Z  admit_agent S0 (S0.example:5051, cpus:4)\n' +
      '    registry: 1 agent, 0 unreachable, 0 gone',
    '2  2026-01-31 13:45:00.123Z  admit_agent S1 (S1.example:5051, cpus:4)\n' +
      '    registry: 2 agents, 0 unreachable, 0 gone',
    '3  2026-01-31 13:45:00.123Z  mark_agent_unreachable S0 since 2026-01-31 13:45:00.123Z (not known to be chosen)\n' +
      '    registry: 1 agent, 1 unreachable, 0 gone',
  ])
})

t.test('a log without its beginning is replayed from its first snapshot on', async t => {
  const snapshot = { agents: [agent('S7')], unreachable: [], gone: [] }
  const all = await steps([
    appended(8, { operations: [admit('S6')], sequence: 90 }),
    appended(9, { snapshot, sequence: 91 }),
    appended(10, { operations: [admit('S8')], sequence: 91 }),
  ])
  t.same(
    all.map(({ position, operation, registry }) => [
      position,
      operation.type,
      registry.agents.length,
    ]),
    [
      [9, 'snapshot', 1],
      [10, 'admit_agent', 2],
    ],
  )
})

t.test('each kind of entry has its line and its object', async t => {
  const base = { promised: 2, performed: 1, learned: true, truncated: false }
  const foreign = new Uint8Array([1, 2, 3])
  const entries: LogEntry[] = [
    { ...base, position: 0, type: 'NOP', tombstone: true, truncated: true },
    appended(1, { operations: [recover, admit('S0')] }),
    { ...base, position: 2, type: 'TRUNCATE', to: 1 },
    { ...base, position: 3, type: 'APPEND', bytes: foreign },
    { position: 4, promised: 7, learned: false, truncated: false },
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
  t.match(entries.map(readJson), [
    { position: 0, type: 'NOP', tombstone: true, truncated: true },
    {
      position: 1,
      type: 'APPEND',
      entry: { operations: [{ type: 'recover' }, { type: 'admit_agent' }] },
    },
    { position: 2, type: 'TRUNCATE', to: 1 },
    { position: 3, type: 'APPEND', size: 3, bytes: 'AQID' },
    { position: 4, type: null, performed: null, learned: false },
  ])
})
