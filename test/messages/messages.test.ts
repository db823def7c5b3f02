import * as fc from 'fast-check'
import { Packr } from 'msgpackr'
import t from 'tap'
import * as v from 'valibot'
import { AgentMaster, MasterAgent } from '../../src/messages/agent-registration.ts'
import { ExecutorCall, ExecutorEvent } from '../../src/messages/executor-api.ts'
import { Files } from '../../src/messages/files.ts'
import { ContainerID, TaskID } from '../../src/messages/ids.ts'
import { LogReplica } from '../../src/messages/log.ts'
import { Resource } from '../../src/messages/resource.ts'
import { Call, Event } from '../../src/messages/scheduler-api.ts'
import { choice, compile, message, optional, text } from '../../src/messages/schema.ts'
import {
  isTerminal,
  TASK_STATES,
  TASK_STATUS_REASONS,
  TaskStatus,
} from '../../src/messages/status.ts'
import { Task } from '../../src/messages/task.ts'
import * as wire from './wire-examples.ts'

type Schema = v.GenericSchema<unknown, unknown>

const packr = new Packr({ useRecords: false, variableMapSize: true })
const overWire = (value: unknown): unknown => packr.unpack(packr.pack(value))

const examples: [string, Schema, unknown[]][] = [
  ['Call', Call, wire.calls],
  ['Event', Event, wire.events],
  ['ExecutorCall', ExecutorCall, wire.executorCalls],
  ['ExecutorEvent', ExecutorEvent, wire.executorEvents],
  ['Task', Task, [wire.taskRecord]],
  ...(['register_agent', 'reregister_agent', 'status_update'] as const).map(
    (name): [string, Schema, unknown[]] => [
      name,
      MasterAgent.entries[name].request,
      [wire.registration[name]],
    ],
  ),
]

t.test('what Mesos says on the wire is taken as it is', async t => {
  for (const [name, schema, messages] of examples) {
    for (const example of messages) {
      const decoded = overWire(example)
      const result = v.safeParse(schema, decoded)
      t.ok(result.success, `${name} ${JSON.stringify(example).slice(0, 60)}`, {
        issues: result.issues,
      })
      t.equal(result.output, decoded, 'and not copied')
      t.same(result.output, example)
    }
  }
  const types = (list: unknown[]) => new Set(list.map(m => (m as { type: string }).type))
  t.ok(types(wire.calls).size >= 13)
})

/** What is looked at of a schema; which fields there are depends on its type. */
interface Parts {
  type: string
  pipe?: unknown
  fallback?: unknown
  key: string
  entries: Record<string, Schema>
  options: readonly Schema[]
  wrapped: Schema
  item: Schema
  value: Schema
}

/** The same schema in pure valibot, without the predicate before it. */
function plain(schema: Schema): Schema {
  const s = schema as unknown as Parts
  if (s.pipe || s.fallback !== undefined || 'fallback' in s) return schema
  switch (s.type) {
    case 'loose_object':
      return v.looseObject(
        Object.fromEntries(Object.entries(s.entries).map(([key, entry]) => [key, plain(entry)])),
      )
    case 'variant':
      return v.variant(s.key, s.options.map(plain) as never)
    case 'optional':
      return v.optional(plain(s.wrapped))
    case 'array':
      return v.array(plain(s.item))
    case 'record':
      return v.record(v.string(), plain(s.value))
    default:
      return schema
  }
}

t.test('fast equals dumb', async t => {
  const junk = fc.constantFrom<unknown>(
    undefined,
    null,
    '',
    'x',
    '5',
    'Infinity',
    'NaN',
    -1,
    0,
    1.5,
    2 ** 60,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    true,
    [],
    {},
    [{}],
    { value: 'v' },
    { value: 3 },
    'TASK_NEW',
    'y'.repeat(5000),
  )
  const cases = examples.flatMap(([, schema, messages]) => {
    const reference = plain(schema)
    return messages.map(example => ({ schema, reference, example }))
  })
  let accepted = 0
  let refused = 0
  fc.assert(
    fc.property(
      fc.constantFrom(...cases),
      fc.infiniteStream(fc.nat(1000)),
      junk,
      ({ schema, reference, example }, path, value) => {
        const damaged = structuredClone(example)
        spoil(damaged, path, value)
        const copy = structuredClone(damaged)
        const expected = v.safeParse(reference, copy)
        if (compile(schema)(damaged)) {
          t.ok(expected.success, 'the predicate accepts only what valibot accepts')
          t.same(expected.output, damaged, 'and would not change')
        }
        const actual = v.safeParse(schema, damaged)
        t.equal(actual.success, expected.success)
        if (actual.success) t.same(actual.output, expected.output)
        else
          t.equal(
            v.getDotPath(actual.issues[0]),
            v.getDotPath(expected.issues?.[0] ?? actual.issues[0]),
          )
        if (actual.success) accepted++
        else refused++
      },
    ),
    { numRuns: 600, seed: 1 },
  )
  t.ok(accepted > 50 && refused > 50, `the cases are of both sorts: ${accepted}, ${refused}`)
})

/** Walks down by chance and replaces what it comes to. */
function spoil(node: unknown, path: Iterator<number>, value: unknown): void {
  const fields = node as Record<string, unknown>
  const keys = Object.keys(fields)
  const key = keys[path.next().value % keys.length]
  if (key === undefined) return
  const child = fields[key]
  const isInner = typeof child === 'object' && child !== null && Object.keys(child).length > 0
  if (isInner && path.next().value % 8 !== 0) spoil(child, path, value)
  else fields[key] = value
}

t.test('what is unknown', async t => {
  const task = {
    task_id: { value: 't', brand: 'new' },
    state: 'TASK_RUNNING',
    from_the_future: [1],
  }
  t.same(v.parse(TaskStatus, task), task, 'unknown fields are kept')
  const status = v.parse(TaskStatus, { ...task, reason: 'REASON_FROM_THE_FUTURE' })
  t.equal(status.reason, undefined, 'an unknown name of an optional enum counts as absent')
  t.same((status as Record<string, unknown>)['from_the_future'], [1], 'and costs nothing else')
  t.notOk(v.is(TaskStatus, { ...task, state: 'TASK_FROM_THE_FUTURE' }))
  t.notOk(v.is(Call, { type: 'FROM_THE_FUTURE' }))
  t.notOk(v.is(Call, { type: 'ACCEPT' }), 'a call without its body')
  t.notOk(v.is(Call, null))
  t.notOk(v.is(Call, []))
})

t.test('numbers and texts have bounds', async t => {
  const mem = (value: unknown) => ({ name: 'mem', type: 'SCALAR', scalar: { value } })
  t.equal(
    v.parse(Resource, mem('5.5')).scalar?.value,
    5.5,
    'protobuf JSON has numbers as text, too',
  )
  for (const value of [
    '',
    ' ',
    'x',
    'Infinity',
    Number.POSITIVE_INFINITY,
    Number.NaN,
    null,
    undefined,
    true,
  ]) {
    t.notOk(v.is(Resource, mem(value)), `scalar ${String(value)}`)
  }
  const limit = (value: unknown) =>
    v.is(Task, { ...(wire.taskRecord as object), limits: { cpus: { value } } })
  t.ok(limit('Infinity'))
  t.ok(limit(Number.POSITIVE_INFINITY))
  t.notOk(limit(Number.NaN))
  const ports = (end: unknown) => ({
    name: 'ports',
    type: 'RANGES',
    ranges: { range: [{ begin: 1, end }] },
  })
  t.ok(v.is(Resource, ports(2)))
  t.equal(v.parse(Resource, ports('7')).ranges?.range?.[0]?.end, 7)
  for (const end of [-1, 1.5, 2 ** 53, '-1', '1.5'])
    t.notOk(v.is(Resource, ports(end)), `end ${end}`)
  t.ok(v.is(TaskID, { value: 'x'.repeat(4096) }))
  t.notOk(v.is(TaskID, { value: 'x'.repeat(4097) }))
  t.ok(v.is(ContainerID, { value: 'a', parent: { value: 'b', parent: { value: 'c' } } }))
  t.notOk(v.is(ContainerID, { value: 'a', parent: { value: 1 } }))
  const proto = JSON.parse('{"groups":{},"__proto__":{"value":1}}')
  t.notOk(compile(v.record(v.string(), v.looseObject({})))(proto), 'no such key passes untouched')
})

t.test('task states', async t => {
  t.same(
    TASK_STATES.filter(state => !isTerminal(state)),
    [
      'TASK_STAGING',
      'TASK_STARTING',
      'TASK_RUNNING',
      'TASK_KILLING',
      'TASK_UNREACHABLE',
      'TASK_UNKNOWN',
    ],
  )
  t.equal(new Set(TASK_STATUS_REASONS).size, 35)
  t.notOk(TASK_STATUS_REASONS.some(reason => reason.includes('SLAVE')))
})

t.test('the log', async t => {
  const { promise, write, learned, chosen, recover } = LogReplica.entries
  const value = { type: 'APPEND' as const, bytes: new Uint8Array([1, 2]) }
  const action = { position: 3, promised: 2, performed: { proposal: 2, learned: true, value } }
  t.ok(v.is(promise.request, overWire({ proposal: 1 })))
  t.ok(v.is(promise.response, overWire({ type: 'accept', proposal: 1, position: 3, action })))
  t.ok(v.is(promise.response, { type: 'ignored' }))
  t.notOk(v.is(promise.response, { type: 'reject' }), 'a rejection names the higher proposal')
  const values = [value]
  const request = overWire({ proposal: 1, position: 0, values })
  t.ok(v.is(write.request, request))
  const bytes = Buffer.from([1, 2])
  t.same(v.parse(write.request, request).values, [{ type: 'APPEND', bytes }])
  const wrong = [{ type: 'APPEND', bytes: [1] }]
  t.notOk(v.is(write.request, { proposal: 1, position: 0, values: wrong }))
  t.notOk(v.is(write.request, { proposal: 1, position: 0, values: [] }))
  t.notOk(v.is(write.request, { proposal: 1, position: -1, values }))
  t.notOk(v.is(write.request, { proposal: 2 ** 53, position: 1, values }))
  t.ok(v.is(chosen.request, { proposal: 1, from: 5, to: 5 }))
  t.notOk(v.is(chosen.request, { proposal: 1, from: 5, to: 4 }))
  t.notOk(v.is(chosen.request, { proposal: 1, from: 0, to: 2 ** 40 }), 'that would take for ever')
  t.ok(v.is(learned.request, overWire({ action })))
  t.notOk(
    v.is(learned.request, {
      action: { ...action, performed: { ...action.performed, learned: false } },
    }),
  )
  t.ok(v.is(recover.response, { status: 'VOTING', begin: 0, end: 9 }))
  t.notOk(v.is(recover.response, { status: 'VOTING' }))
  t.ok(v.is(recover.response, { status: 'EMPTY' }))
})

t.test('other conversations', async t => {
  const info = {
    path: '/a',
    size: 1,
    nlink: 1,
    mtime: 1.5,
    mode: '-rw-r--r--',
    uid: 'root',
    gid: 'root',
  }
  t.ok(v.is(Files.entries.browse.response, { ok: true, files: [info] }))
  t.notOk(v.is(Files.entries.browse.response, { ok: true }))
  t.ok(v.is(Files.entries.read.response, { ok: false, code: 'NOT_FOUND', message: '' }))
  t.ok(v.is(Files.entries.read.request, { path: '/a', offset: -1 }))
  const { run_task, kill_task } = AgentMaster.entries
  t.notOk(v.is(run_task.request, { framework: {}, task: {} }))
  t.ok(v.is(kill_task.request, { framework_id: { value: 'f' }, task_id: { value: 't' } }))
  t.equal(AgentMaster.wire.ping, 'agent.master/ping')
})

t.test('types', async t => {
  const Example = message({ name: text, mode: choice(['A', 'B']), note: optional(text) })
  type Example = v.InferOutput<typeof Example>
  const short: Example = { name: 'x' }
  const long: Example = { name: 'x', mode: 'A', note: undefined }
  // @ts-expect-error a name that is not in the list
  const wrong: Example = { name: 'x', mode: 'C' }
  // @ts-expect-error a misspelt optional field
  const misspelt: Example = { name: 'x', noet: 'y' }
  t.same(
    [short, long, wrong, misspelt].map(value => v.is(Example, value)),
    [true, true, true, true],
  )
  const narrow = (event: Event) =>
    event.type === 'OFFERS' ? event.offers.offers?.[0]?.id.value : undefined
  t.equal(narrow({ type: 'OFFERS', offers: { offers: [] } }), undefined)
})
