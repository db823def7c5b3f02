import fc from 'fast-check'
import t from 'tap'
import { encode } from '../../src/actors/codec.ts'
import {
  decodeEntry,
  encodeEntry,
  openEntry,
  Replay,
  unpack,
} from '../../src/master/registry/entry.ts'
import type { Entry, Operation } from '../../src/master/registry/operations.ts'
import { Registry, RegistryError } from '../../src/master/registry/registry.ts'

const agent = (id: string, hostname = `${id}.example`) => ({ id: { value: id }, hostname })
const master = { id: 'm1', ip: 1, port: 5050 }

t.test('what the registry wrote it can read, however large', t => {
  const attribute = { name: 'a', type: 'TEXT' as const, text: { value: 'x' } }
  const attributes = Array.from({ length: 600_000 }, () => attribute)
  const infos = [{ ...agent('S0'), attributes }]
  const snapshot = { master, agents: infos, unreachable: [], gone: [] }
  for (const version of [1, 2] as const) {
    const entry: Entry = { version, time_ms: 1, master_id: 'm', snapshot, sequence: 7 }
    t.equal(decodeEntry(encodeEntry(entry)).snapshot?.agents[0]?.attributes?.length, 600_000)
  }
  t.end()
})

t.test('a snapshot is unpacked in pieces, and a piece that is none is named', t => {
  const agents = Array.from({ length: 1_700 }, (_, i) => agent(`S${i}`))
  const unreachable = [{ id: { value: 'U' }, time_ms: 3 }]
  const snapshot = { master, agents, unreachable, gone: [] }
  const entry: Entry = { version: 2, time_ms: 1, master_id: 'm', snapshot, sequence: 7 }
  const bytes = encodeEntry(entry)
  t.equal([...unpack(openEntry(bytes))].length, 5)
  t.same(decodeEntry(bytes), entry)
  for (const [piece, message] of [
    [[{ hostname: 7 }], /^not a registry entry: 0.hostname/],
    ['text', /^not a registry entry/],
  ] as const) {
    const packed = { ...snapshot, agents: [encode(piece)], unreachable: [] }
    t.throws(() => decodeEntry(encode({ ...entry, snapshot: packed })), { message })
  }
  t.end()
})

t.test('agents are admitted, leave, and come back', async t => {
  const r = new Registry()
  t.ok(r.apply({ type: 'recover', master }))
  t.ok(r.apply({ type: 'admit_agent', info: agent('S0') }))
  t.ok(r.apply({ type: 'admit_agent', info: agent('S1') }))
  t.ok(r.apply({ type: 'update_agent', info: agent('S1', 'moved') }))
  t.ok(r.apply({ type: 'mark_agent_unreachable', agent_id: { value: 'S0' }, time_ms: 7 }))
  t.same(r.snapshot(), {
    master,
    agents: [agent('S1', 'moved')],
    unreachable: [{ id: { value: 'S0' }, time_ms: 7 }],
    gone: [],
  })
  t.ok(r.apply({ type: 'mark_agent_reachable', info: agent('S0') }))
  t.notOk(r.apply({ type: 'mark_agent_reachable', info: agent('S0') }), 'it is reachable already')
  t.ok(
    r.apply({ type: 'mark_agent_reachable', info: agent('from-before') }),
    'unknown ids are taken',
  )
  t.ok(r.apply({ type: 'remove_agent', agent_id: { value: 'S1' } }))
  t.ok(r.apply({ type: 'mark_agent_gone', agent_id: { value: 'S0' }, time_ms: 9 }))
  t.notOk(r.apply({ type: 'mark_agent_gone', agent_id: { value: 'S0' }, time_ms: 10 }))
  t.same([...r.agents.keys()], ['from-before'])
  t.same([...r.gone], [['S0', 9]])
  const ids = (...values: string[]) => values.map(value => ({ value }))
  t.ok(r.apply({ type: 'prune', unreachable: ids('x'), gone: ids('S0') }))
  t.notOk(r.apply({ type: 'prune', unreachable: ids('x'), gone: ids('S0') }))
})

t.test('what does not fit is refused, and changes nothing', async t => {
  const r = new Registry()
  r.apply({ type: 'admit_agent', info: agent('S0') })
  r.apply({ type: 'admit_agent', info: agent('S1') })
  r.apply({ type: 'mark_agent_gone', agent_id: { value: 'S1' }, time_ms: 1 })
  const before = r.snapshot()
  const cases: [Operation, RegExp][] = [
    [{ type: 'admit_agent', info: agent('S0') }, /^Agent S0 is already admitted$/],
    [{ type: 'admit_agent', info: agent('S1') }, /marked gone/],
    [{ type: 'admit_agent', info: { hostname: 'nameless' } }, /must have an id/],
    [{ type: 'update_agent', info: agent('S9') }, /^Agent S9 is not admitted$/],
    [{ type: 'mark_agent_unreachable', agent_id: { value: 'S9' }, time_ms: 1 }, /not admitted/],
    [{ type: 'mark_agent_reachable', info: agent('S1') }, /marked gone/],
    [{ type: 'remove_agent', agent_id: { value: 'S9' } }, /not known/],
    [{ type: 'mark_agent_gone', agent_id: { value: 'S9' }, time_ms: 1 }, /not known/],
    [{ type: 'drain_agent', agent_id: { value: 'S9' }, config: {}, time_ms: 1 }, /not known/],
    [{ type: 'mark_agent_drained', agent_id: { value: 'S0' } }, /^Agent S0 is not DRAINING$/],
    [{ type: 'deactivate_agent', agent_id: { value: 'S1' } }, /not known/],
    [{ type: 'start_maintenance', machine_ids: [{ ip: '10.0.0.9' }] }, /not part of/],
  ]
  for (const [operation, message] of cases) {
    t.throws(() => r.apply(operation), new RegistryError(''), operation.type)
    t.throws(() => r.apply(operation), { message })
  }
  t.same(r.snapshot(), before)
})

t.test(
  'who is out of service stays so while it is away, and is forgotten with the agent',
  async t => {
    const r = new Registry()
    const agent_id = { value: 'S0' }
    r.apply({ type: 'admit_agent', info: agent('S0') })
    t.ok(r.apply({ type: 'deactivate_agent', agent_id }))
    t.notOk(r.apply({ type: 'deactivate_agent', agent_id }))
    t.ok(r.apply({ type: 'drain_agent', agent_id, config: { mark_gone: true }, time_ms: 5 }))
    t.throws(() => r.apply({ type: 'reactivate_agent', agent_id }), { message: /DRAINING state/ })
    r.apply({ type: 'mark_agent_unreachable', agent_id, time_ms: 7 })
    r.apply({ type: 'mark_agent_drained', agent_id })
    const drain_info = { state: 'DRAINED', config: { mark_gone: true } }
    t.same(r.snapshot().deactivated, [{ id: agent_id, drain_info, since_ms: 5 }])
    t.same(Registry.of(r.snapshot()).snapshot(), r.snapshot())
    r.apply({ type: 'prune', unreachable: [agent_id], gone: [] })
    t.equal(r.snapshot().deactivated, undefined)
  },
)

t.test('machines go down and up as their schedule allows', async t => {
  const r = new Registry()
  const [one, two] = [{ hostname: 'One', ip: '10.0.0.1' }, { hostname: 'two' }]
  const unavailability = { start: { nanoseconds: 1 } }
  const schedule = { windows: [{ machine_ids: [one, two], unavailability }] }
  r.apply({ type: 'update_maintenance_schedule', schedule })
  t.ok(r.apply({ type: 'start_maintenance', machine_ids: [{ ...one, hostname: 'one' }] }))
  t.same(r.snapshot(), { agents: [], unreachable: [], gone: [], schedule, down: [one] })
  t.same(Registry.of(r.snapshot()).snapshot(), r.snapshot())
  for (const bad of [
    { type: 'start_maintenance', machine_ids: [one] },
    { type: 'stop_maintenance', machine_ids: [two] },
    { type: 'update_maintenance_schedule', schedule: {} },
  ] as const) {
    t.throws(() => r.apply(bad as never), new RegistryError(''), bad.type)
  }
  t.ok(r.apply({ type: 'stop_maintenance', machine_ids: [one] }))
  t.same(r.snapshot().schedule, { windows: [{ machine_ids: [two], unavailability }] })
  r.apply({ type: 'update_maintenance_schedule', schedule: {} })
  t.same(r.snapshot(), new Registry().snapshot())
})

const id = fc.integer({ min: 0, max: 4 }).map(n => `S${n}`)
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ type: fc.constant('admit_agent' as const), info: id.map(value => agent(value)) }),
  fc.record({
    type: fc.constant('update_agent' as const),
    info: id.map(value => agent(value, 'moved')),
  }),
  fc.record({
    type: fc.constant('mark_agent_unreachable' as const),
    agent_id: id.map(value => ({ value })),
    time_ms: fc.nat(),
  }),
  fc.record({
    type: fc.constant('mark_agent_reachable' as const),
    info: id.map(value => agent(value)),
  }),
  fc.record({ type: fc.constant('remove_agent' as const), agent_id: id.map(value => ({ value })) }),
  fc.record({
    type: fc.constant('mark_agent_gone' as const),
    agent_id: id.map(value => ({ value })),
    time_ms: fc.nat(),
  }),
  fc.record({
    type: fc.constant('drain_agent' as const),
    agent_id: id.map(value => ({ value })),
    config: fc.record({ mark_gone: fc.boolean() }),
    time_ms: fc.nat(),
  }),
  fc.record({
    type: fc.constantFrom('mark_agent_drained' as const, 'reactivate_agent' as const),
    agent_id: id.map(value => ({ value })),
  }),
)

t.test('replaying the log, from the beginning or from a snapshot, gives the registry', async t => {
  const property = fc.property(
    fc.array(operation, { maxLength: 40 }),
    fc.nat(),
    fc.constantFrom(1 as const, 2 as const),
    (operations, at, version) => {
      const live = new Replay()
      const log: Uint8Array[] = []
      const envelope = { version, time_ms: 1, master_id: 'm1' }
      operations.forEach((each, i) => {
        const { sequence } = live
        try {
          if (!live.registry.apply(each)) return
        } catch (error) {
          if (error instanceof RegistryError) return
          throw error
        }
        live.sequence++
        log.push(encodeEntry({ ...envelope, operations: [each], sequence }))
        if (i === at % 40) {
          log.push(
            encodeEntry({
              ...envelope,
              snapshot: live.registry.snapshot(),
              sequence: live.sequence,
            }),
          )
        }
      })
      const last = log.findLastIndex(bytes => decodeEntry(bytes).snapshot)
      for (const from of [0, Math.max(0, last)]) {
        const replay = new Replay()
        for (const bytes of log.slice(from)) replay.apply(decodeEntry(bytes))
        t.same(replay.registry.snapshot(), live.registry.snapshot())
        if (from === 0 || last >= 0) t.equal(replay.sequence, live.sequence)
      }
    },
  )
  fc.assert(property, { numRuns: 50 })
})

t.test('replay says what each operation did', async t => {
  const replay = new Replay()
  const entry: Entry = {
    version: 1,
    time_ms: 1,
    master_id: 'm1',
    sequence: 0,
    operations: [
      { type: 'recover', master },
      { type: 'admit_agent', info: agent('S0') },
    ],
  }
  t.match(replay.apply(entry), [
    { operation: { type: 'recover' }, changed: true },
    { operation: { type: 'admit_agent' }, changed: true },
  ])
  t.equal(replay.sequence, 2)
})

t.test('what is no entry is named, not guessed at', async t => {
  const good = { version: 1, time_ms: 1, master_id: 'm1', sequence: 0 }
  t.match(decodeEntry(encode(good)), good)
  for (const [bad, message] of [
    [{ ...good, version: 3 }, /^not a registry entry: version/],
    [{ ...good, sequence: -1 }, /sequence/],
    [{ ...good, operations: [{ type: 'admit_agent', info: {} }] }, /hostname/],
    [{ ...good, operations: [{ type: 'unknown' }] }, /type/],
    ['text', /not a registry entry/],
  ] as const) {
    t.throws(() => decodeEntry(encode(bad)), { message })
  }
})
