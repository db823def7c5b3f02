// The agent's v1 API in a simulated world: what it refuses, and what it makes of programs in containers.

import t from 'tap'
import { MAX_GUESTS_OF_ONE } from '../../src/agent/api/guests.ts'
import type { Output } from '../../src/agent/attachment.ts'
import type { JoinedProcess, JoinSpec } from '../../src/agent/processes.ts'
import type { HttpResponse } from '../../src/actors/http.ts'
import { operatorToken, isOperatorToken } from '../../src/actors/shared-secret.ts'
import { deferred } from '../../src/base/deferred.ts'
import { encodeRecord, RecordDecoder } from '../../src/base/record-io.ts'
import type { ProcessIO } from '../../src/messages/agent-api.ts'
import { ProcessIoStream } from '../../src/agent/api/process-io.ts'
import { passOutput } from '../../src/cli/task/conversation.ts'
import { Detach } from '../../src/cli/task/detach.ts'
import { AWARE, command, podExecutor, type Scene, scene } from './world.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const STREAM = {
  'content-type': 'application/recordio',
  'message-content-type': 'application/json',
}
const SECRET = 'of this cluster, and long enough'
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Programs that join containers, as far as they can be without any. */
class Joins {
  readonly specs: JoinSpec[] = []
  readonly typed: string[] = []
  readonly sizes: object[] = []
  readonly killed: string[] = []
  ended = deferred<number>()
  says: Output[] = []
  hangs = false

  join = async (spec: JoinSpec): Promise<JoinedProcess> => {
    this.specs.push(spec)
    const { ended, says, hangs } = this
    const output = async function* () {
      yield* says
      if (hangs) await ended.promise
    }
    return {
      pid: 4_000_000 + this.specs.length,
      exited: this.ended.promise,
      output: output(),
      input: {
        write: async data => void this.typed.push(new TextDecoder().decode(data)),
        end: () => void this.typed.push('the end'),
        resize: async size => void this.sizes.push(size),
        close: () => {},
      },
    }
  }
}

async function apiScene(options: object = {}) {
  const joins = new Joins()
  const s = await scene({ options })
  Object.assign(s.processes, { join: joins.join })
  const killTree = s.processes.killTree.bind(s.processes)
  s.processes.killTree = (pid, signal) => {
    if (pid < 4_000_000) return killTree(pid, signal)
    joins.killed.push(signal)
    joins.ended.resolve(9)
  }
  s.master.run(AWARE, command('t1', 'sleep 1000'))
  await s.reaches('t1', 'TASK_RUNNING')
  const parent = { value: s.processes.launched[0]!.spec.containerId }
  return { s, joins, parent, id: (value: string) => ({ value, parent }) }
}

async function post(
  s: Scene,
  body: string | object,
  headers: Readonly<Record<string, string>> = JSON_TYPE,
  pieces?: AsyncIterable<Uint8Array>,
): Promise<HttpResponse & { text: string }> {
  const answer = s.agent.http({
    method: 'POST',
    path: '/api/v1',
    query: new URLSearchParams(),
    headers,
    body: bytes(typeof body === 'string' ? body : JSON.stringify(body)),
    ...(pieces && { pieces }),
  })
  await s.world.settle()
  const response = await answer
  const { body: said = '' } = response
  return { ...response, text: typeof said === 'string' ? said : new TextDecoder().decode(said) }
}

/** Everything of a stream, read as its client would. */
async function read(s: Scene, response: HttpResponse): Promise<string> {
  let said = ''
  const iterator = response.stream![Symbol.asyncIterator]()
  for (;;) {
    const next = iterator.next()
    await s.world.settle()
    const { done, value } = await next
    if (done) return said
    said += typeof value === 'string' ? value : new TextDecoder().decode(value)
  }
}

const session = (container_id: object, more: object = {}) => ({
  type: 'LAUNCH_NESTED_CONTAINER_SESSION',
  launch_nested_container_session: { container_id, command: { value: 'true' }, ...more },
})

t.test('what is no call', async t => {
  const { s } = await apiScene()
  t.equal((await s.get('/api/v1')).status, 405)
  const refusals: [string | object, Record<string, string>, number, RegExp][] = [
    ['{}', {}, 400, /Expecting 'Content-Type' to be present/],
    ['{}', { 'content-type': 'text/plain' }, 415, /Expecting 'Content-Type' of/],
    ['{}', { ...JSON_TYPE, accept: 'text/html' }, 406, /Expecting 'Accept' to allow/],
    ['{}', { ...JSON_TYPE, 'message-content-type': 'application/json' }, 415, /to be not set/],
    ['{', JSON_TYPE, 400, /Failed to parse body into JSON: /],
    ['{}', JSON_TYPE, 400, /Failed to validate agent::Call: 'type'/],
    [{ type: 'GET_METRICS' }, JSON_TYPE, 400, /GET_METRICS/],
    [{ type: 'WAIT_CONTAINER' }, JSON_TYPE, 400, /'wait_container'/],
  ]
  for (const [body, headers, status, said] of refusals) {
    const answer = await post(s, body, headers)
    t.equal(answer.status, status, String(said))
    t.match(answer.text, said)
  }
})

interface Known {
  readonly get_containers: { readonly containers: readonly { readonly container_id: object }[] }
}

t.test('what is known without a container', async t => {
  const { s, parent } = await apiScene()
  const ask = async (type: string, more: object = {}) =>
    JSON.parse((await post(s, { type, ...more })).text) as Known
  t.strictSame(await ask('GET_HEALTH'), { type: 'GET_HEALTH', get_health: { healthy: true } })
  t.match(await ask('GET_VERSION'), { get_version: { version_info: { version: '0.1.0' } } })
  t.match(await ask('GET_FLAGS'), { get_flags: { flags: { port: '5051' } } })
  t.match(await ask('GET_STATE'), { get_state: { id: 'S0' } })
  Object.assign(s.processes, { usage: () => ({ cpus_limit: 1 }) })
  t.match(await ask('GET_CONTAINERS'), {
    get_containers: {
      containers: [{ container_id: parent, resource_statistics: { cpus_limit: 1 } }],
    },
  })
  s.master.runGroup(AWARE, podExecutor(), [command('one', 'sleep 1000')])
  await s.reaches('one', 'TASK_RUNNING')
  t.equal((await ask('GET_CONTAINERS')).get_containers.containers.length, 1)
  const all = await ask('GET_CONTAINERS', { get_containers: { show_nested: true } })
  const [, nested] = all.get_containers.containers
  t.match(nested, { executor_id: { value: 'pod' }, container_id: { parent: { value: String } } })
  const answer = await post(s, session({ value: 'in', parent: nested!.container_id }))
  t.equal(answer.status, 200, 'it can be entered')
})

t.test('a session: what it says, how it ended, and that it ends with its reader', async t => {
  const { s, joins, id } = await apiScene()
  joins.says = [
    { stream: 'STDOUT', data: bytes('out') },
    { stream: 'STDERR', data: bytes('err') },
  ]
  const launched = await post(
    s,
    session(id('one'), {
      command: { shell: false, value: 'prog', arguments: ['prog', 'a'] },
      container: { type: 'MESOS', tty_info: { window_size: { rows: 5, columns: 6 } } },
    }),
    { ...JSON_TYPE, accept: 'application/recordio' },
  )
  t.match(launched.headers, { 'content-type': 'application/recordio' })
  t.match(joins.specs[0], {
    argv: ['prog', 'a'],
    terminal: { rows: 5, columns: 6 },
    env: { MESOS_EXECUTOR_ID: 't1' },
  })
  const record = (type: string, data: string) =>
    new TextDecoder().decode(
      encodeRecord(JSON.stringify({ type: 'DATA', data: { type, data: btoa(data) } })),
    )
  const wait = { type: 'WAIT_NESTED_CONTAINER', wait_nested_container: { container_id: id('one') } }
  const waiting = await post(s, wait)
  joins.ended.resolve(768)
  t.equal(await read(s, launched), record('STDOUT', 'out') + record('STDERR', 'err'))
  const { wait_nested_container: end } = JSON.parse(await read(s, waiting))
  t.strictSame(end, { exit_status: 768 })
  t.strictSame(
    JSON.parse(await read(s, await post(s, wait))),
    JSON.parse(JSON.stringify({ type: 'WAIT_NESTED_CONTAINER', wait_nested_container: end })),
    'also later',
  )
  t.match((await post(s, session(id('one')))).text, /is known already/)
  const remove = { type: 'REMOVE_CONTAINER', remove_container: { container_id: id('one') } }
  t.equal((await post(s, remove)).status, 200)
  t.equal((await post(s, wait)).status, 404)

  joins.ended = deferred()
  joins.says = []
  joins.hangs = true
  joins.killed.length = 0
  const left = await post(s, session(id('two')))
  t.match(left.headers, { 'content-type': 'application/json' }, 'as Mesos does without an Accept')
  const iterator = left.stream![Symbol.asyncIterator]()
  const beat = iterator.next()
  await s.world.advance(30_000)
  t.match(new TextDecoder().decode((await beat).value as Uint8Array), 'HEARTBEAT')
  const removed = await post(s, {
    type: 'REMOVE_CONTAINER',
    remove_container: { container_id: id('two') },
  })
  t.equal(removed.status, 500, 'it runs')
  void iterator.return!()
  t.strictSame(joins.killed, ['SIGKILL'])
})

t.test('a nested container, and signals', async t => {
  const { s, joins, id, parent } = await apiScene()
  joins.hangs = true
  const launch = (more: object = {}) => ({
    type: 'LAUNCH_NESTED_CONTAINER',
    launch_nested_container: { container_id: id('n'), command: { value: 'x' }, ...more },
  })
  t.equal((await post(s, launch())).status, 200)
  t.equal((await post(s, launch())).status, 202)
  t.match(joins.specs[0]!.argv.slice(3), ['sh', 'n', '/bin/sh', '-c', 'x'])
  const kill = (signal?: number, value = 'n') => ({
    type: 'KILL_CONTAINER',
    kill_container: { container_id: id(value), ...(signal !== undefined && { signal }) },
  })
  t.equal((await post(s, kill(1))).status, 400)
  t.equal((await post(s, kill(15))).status, 200)
  t.equal((await post(s, kill())).status, 404, 'it has ended')
  t.strictSame(joins.killed, ['SIGTERM'])
  const task = { type: 'KILL_CONTAINER', kill_container: { container_id: parent } }
  t.match((await post(s, task)).text, /is ended by its scheduler/)
})

t.test('who waits for a task, and goes away, leaves nothing behind', async t => {
  const { s, parent } = await apiScene()
  const wait = { type: 'WAIT_CONTAINER', wait_container: { container_id: parent } }
  const iterator = (await post(s, wait)).stream![Symbol.asyncIterator]()
  void iterator.next()
  await s.world.advance(1_000)
  let isOver = false
  void iterator.return!().then(() => (isOver = true))
  await s.world.advance(1_000)
  t.ok(isOver, 'nobody looks any more whether it has ended')
})

t.test('output that nobody has begun to read is let go, too', async t => {
  const { s } = await apiScene()
  let isOpen = true
  const output = (async function* (): AsyncGenerator<Output> {
    try {
      yield { stream: 'STDOUT', data: bytes('unread') }
    } finally {
      isOpen = false
    }
  })()
  const stream = new ProcessIoStream(output, s.world.clock, () => {})
  await stream[Symbol.asyncIterator]().return!()
  await s.world.settle()
  t.notOk(isOpen)
})

t.test('what a command prints is not kept', async t => {
  let asked = 0
  class Left extends Promise<void> {
    // oxlint-disable-next-line unicorn/no-thenable
    override then<A, B>(...args: Parameters<typeof Promise.prototype.then<A, B>>) {
      asked++
      return super.then(...args)
    }
  }
  const beats = async function* (): AsyncGenerator<ProcessIO> {
    for (let i = 0; i < 100; i++) yield { type: 'CONTROL', control: { type: 'HEARTBEAT' } }
  }
  await passOutput(beats(), new Left(() => {}))
  t.ok(asked < 10, `a promise that lasts was raced with ${asked} times`)
})

t.test('there is an end to how many are in one container', async t => {
  const { s, joins, id } = await apiScene()
  joins.hangs = true
  for (let i = 0; i < MAX_GUESTS_OF_ONE; i++) {
    t.equal((await post(s, session(id(`s${i}`)))).status, 200)
  }
  t.match((await post(s, session(id('more')))).text, /too many such programs already: 64/)
})

t.test('what cannot be launched', async t => {
  const { s, id, parent } = await apiScene()
  const refusals: [object, number, RegExp][] = [
    [session({ value: 'x' }), 400, /it has no parent/],
    [session(id('../x')), 400, /letters, digits/],
    [session({ value: 'x', parent: { value: 'other' } }), 404, /Unable to locate executor/],
    [session({ value: 'x', parent: { value: 'y', parent } }), 404, /Unable to locate/],
    [session(id('x'), { command: {} }), 400, /nothing to run/],
    [session(id('x'), { command: { value: 'a', user: 'root' } }), 400, /command.user/],
    [session(id('x'), { container: { type: 'MESOS', volumes: [] } }), 400, /container.volumes/],
    [
      session(id('x'), {
        container: { type: 'MESOS', tty_info: { window_size: { rows: 0, columns: 70_000 } } },
      }),
      400,
      /1 to 65535/,
    ],
  ]
  for (const [call, status, said] of refusals) {
    const answer = await post(s, call)
    t.equal(answer.status, status, answer.text)
    t.match(answer.text, said)
  }
})

t.test('input comes in records', async t => {
  const { s, joins, id, parent } = await apiScene()
  joins.hangs = true
  await post(s, session(id('one')))
  const attach = (...attached: object[]) =>
    (async function* () {
      for (const attach_container_input of attached) {
        const call = { type: 'ATTACH_CONTAINER_INPUT', attach_container_input }
        const record = encodeRecord(JSON.stringify(call))
        // In pieces that end anywhere.
        yield record.subarray(0, 2)
        yield record.subarray(2)
      }
    })()
  const named = { type: 'CONTAINER_ID', container_id: id('one') }
  const io = (process_io: object) => ({ type: 'PROCESS_IO', process_io })
  const data = (text: string, type = 'STDIN') =>
    io({ type: 'DATA', data: { type, data: btoa(text) } })
  const size = { rows: 3, columns: 4 }
  const answer = await post(
    s,
    '',
    STREAM,
    attach(
      named,
      data('typed'),
      io({ type: 'CONTROL', control: { type: 'TTY_INFO', tty_info: { window_size: size } } }),
      io({ type: 'CONTROL', control: { type: 'HEARTBEAT' } }),
      data(''),
    ),
  )
  t.equal(answer.status, 200, answer.text)
  t.strictSame(joins.typed, ['typed', 'the end'])
  t.strictSame(joins.sizes, [size])
  const refusals: [AsyncIterable<Uint8Array>, number, RegExp][] = [
    [attach(data('first')), 400, /one container id/],
    [attach(named, named), 400, /one container id/],
    [attach(named, data('x', 'STDOUT')), 400, /data of STDIN/],
    [attach({ type: 'CONTAINER_ID', container_id: id('none') }), 404, /cannot be found/],
    [attach({ type: 'CONTAINER_ID', container_id: parent }), 400, /has no terminal/],
    [attach({ type: 'NONSENSE' }), 400, /Failed to validate/],
  ]
  for (const [pieces, status, said] of refusals) {
    const refused = await post(s, '', STREAM, pieces)
    t.equal(refused.status, status, refused.text)
    t.match(refused.text, said)
  }
  const broken = (async function* () {
    yield* attach(named)
    throw new Error('the connection is broken')
  })()
  t.equal((await post(s, '', STREAM, broken)).status, 200)
  const endless = (async function* () {
    yield bytes('99999999\n')
  })()
  t.match((await post(s, '', STREAM, endless)).text, /99999999 bytes, more than/)
  const { 'message-content-type': _, ...untyped } = STREAM
  t.match((await post(s, '', untyped, endless)).text, /'Message-Content-Type' to be set/)
})

t.test('what a task says from now on', async t => {
  const { s, parent } = await apiScene()
  const { cwd } = s.processes.launched[0]!.spec
  s.files.append(`${cwd}/stdout`, 'before\n')
  const attach = {
    type: 'ATTACH_CONTAINER_OUTPUT',
    attach_container_output: { container_id: parent },
  }
  const response = await post(s, attach)
  const iterator = response.stream![Symbol.asyncIterator]()
  const first = iterator.next()
  await s.world.advance(50)
  s.files.append(`${cwd}/stdout`, 'after\n')
  await s.world.advance(500)
  t.match(new TextDecoder().decode((await first).value as Uint8Array), btoa('after\n'))
  const last = iterator.next()
  s.processes.launched[0]!.end(0)
  await s.reaches('t1', 'TASK_FINISHED')
  await s.world.advance(1_000)
  t.equal((await last).done, true)
  t.equal((await post(s, attach)).status, 404)
})

t.test('with a secret only who knows it is heard', async t => {
  const { s } = await apiScene({ isOperator: (token: string) => isOperatorToken(SECRET, token) })
  const health = { type: 'GET_HEALTH' }
  const refused = await post(s, health)
  t.equal(refused.status, 401)
  t.match(refused.headers, { 'www-authenticate': /Bearer/ })
  const ask = (token: string) => post(s, health, { ...JSON_TYPE, authorization: `Bearer ${token}` })
  t.equal((await ask('x')).status, 401)
  t.equal((await ask(operatorToken(`${SECRET}!`))).status, 401)
  t.equal((await ask(operatorToken(SECRET))).status, 200)
})

t.test('records', async t => {
  const decoder = new RecordDecoder(10)
  const take = (text: string) => decoder.take(bytes(text)).map(one => new TextDecoder().decode(one))
  t.strictSame(take('3\nabc5\nde'), ['abc'])
  t.strictSame(take('fgh\n\n1'), ['defgh'])
  t.ok(decoder.isWithin)
  t.strictSame(take('\nx'), ['x'])
  t.notOk(decoder.isWithin)
  t.strictSame(take('0\n1\ny'), ['', 'y'])
  t.throws(() => take('11\n'), /11 bytes, more than 10/)
  t.throws(() => new RecordDecoder(10).take(bytes('x')), /does not begin with its length/)
  t.throws(() => new RecordDecoder(10).take(bytes('1'.repeat(20))), /does not begin/)
})

t.test('a record in as many pieces as it has bytes is not put together anew with each', async t => {
  const length = 20_000
  const record = encodeRecord('x'.repeat(length))
  const decoder = new RecordDecoder(length)
  const concat = Buffer.concat.bind(Buffer)
  let copied = 0
  Buffer.concat = (list, ...more) => {
    for (const one of list) copied += one.length
    return concat(list, ...more)
  }
  const records: Uint8Array[] = []
  try {
    for (const byte of record) records.push(...decoder.take(Uint8Array.of(byte)))
  } finally {
    Buffer.concat = concat
  }
  t.strictSame(
    records.map(one => one.length),
    [length],
  )
  t.notOk(decoder.isWithin)
  t.ok(copied < 4 * record.length, `copied ${copied} bytes`)
})

t.test('Ctrl-p Ctrl-q, in whatever pieces', async t => {
  const detach = new Detach()
  t.strictSame([...detach.take(Uint8Array.of(1, 0x10))], [1])
  t.strictSame([...detach.take(Uint8Array.of(2))], [0x10, 2], 'it was no part of it')
  t.strictSame([...detach.take(Uint8Array.of(0x10, 0x10))], [0x10])
  t.notOk(detach.isDone)
  t.strictSame([...detach.take(Uint8Array.of(0x11, 5))], [])
  t.ok(detach.isDone)
})
