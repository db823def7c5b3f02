import { spawnSync } from 'node:child_process'
import t from 'tap'
import { UserError } from '../../src/base/errors.ts'
import { LogLines } from '../../src/base/log.ts'
import { createLogger, type LoggerOptions, PipeDestination } from '../../src/base/logger.ts'

// Text is in local time; 2024-11-23T05:53:02.123456Z.
process.env['TZ'] = 'UTC'
const NOW = 1_732_341_182_123.456

function make(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  const log = createLogger({
    level: 'info',
    format: 'text',
    name: 'mesos-master',
    destination,
    now: () => NOW,
    ...options,
  })
  return { log, lines }
}

t.test('text is one line in the form of glog', async t => {
  const { log, lines } = make()
  log
    .child({ actor: 'master' })
    .info({ agent_id: 'S1', pid: 'slave(1)@1.2.3.4:5051' }, 'registered')
  log.warn('disk is filling up')
  log.debug('below the level')
  log.child({ actor: 'a' }).child({ n: 1 }).error({ m: 2 }, 'both bindings')
  t.same(lines, [
    'I1123 05:53:02.123456 master: registered agent_id=S1 pid=slave(1)@1.2.3.4:5051\n',
    'W1123 05:53:02.123456 mesos-master: disk is filling up\n',
    'E1123 05:53:02.123456 a: both bindings n=1 m=2\n',
  ])
})

t.test('values of every kind', async t => {
  const { log, lines } = make()
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  log.info(
    {
      number: 1.5,
      yes: true,
      nothing: null,
      absent: undefined,
      big: 3n,
      blank: 'two words',
      empty: '',
      quote: 'a"b',
      id: { value: 'F-0000' },
      object: { a: [1] },
      bytes: new Uint8Array(3),
      circle,
      long: 'x'.repeat(3_000),
    },
    'all',
  )
  t.equal(
    lines
      .join('')
      .replace(/^.*?: /, '')
      .replace(/x{2000}…/, '<cut>'),
    'all number=1.5 yes=true nothing=null big=3 blank="two words" empty="" quote="a\\"b" ' +
      'id=F-0000 object={"a":[1]} bytes=<3 bytes> circle=<object> long=<cut>\n',
  )
})

t.test('nobody can forge a line', async t => {
  const { log, lines } = make()
  log.info({ name: 'x\nE1123 forged', esc: '\u001b[2J\u009b' }, 'hello\nI1123 forged')
  t.equal(lines.join('').split('\n').length, 2)
  t.notMatch(lines[0], /\p{Cc}(?!$)/u)
  t.match(lines[0], 'hello\\nI1123 forged name="x\\nE1123 forged" esc="\\u001b[2J\\u009b"')
})

t.test('errors bring their stack, operating errors their hint', async t => {
  const { log, lines } = make()
  const bug = new Error('boom', { cause: new TypeError('because') })
  const user = new UserError('path_missing', 'no /x', { hint: 'Create it.' })
  log.error({ err: bug }, 'failed')
  log.error(bug, 'the error alone')
  log.error({ error: user }, 'refused')
  t.match(lines[0], /: failed err=boom\n {4}Error: boom\n {8}at /)
  t.match(lines[0], /\n {4}caused by\n {4}TypeError: because\n {8}at /)
  t.match(lines[1], /: the error alone err=boom\n {4}Error: boom\n/)
  t.equal(lines[2]?.replace(/^.*?: /, ''), 'refused error="no /x"\n    Create it.\n')
})

t.test('a field of several lines stands below its record, and nobody can forge one', async t => {
  const field = { id: 'x', last_events: new LogLines(['one', 'two\nE1123 forged']) }
  const { log, lines } = make()
  log.error(field, 'failed')
  t.equal(
    lines[0]?.replace(/^.*?: /, ''),
    'failed id=x\n    last_events:\n      one\n      two\\nE1123 forged\n',
  )
  const json = make({ format: 'json' })
  json.log.error(field, 'failed')
  t.match(JSON.parse(json.lines[0]!), { id: 'x', last_events: ['one', 'two\nE1123 forged'] })
})

t.test("json is pino's", async t => {
  const { log, lines } = make({ format: 'json' })
  const child = log.child({ actor: 'master' })
  child.info({ agent_id: { value: 'S1' } }, 'registered')
  child.debug('below the level')
  child.error({ err: new Error('boom'), other: new TypeError('odd') }, 'failed')
  log.warn('plain')
  const [first, second, third, ...rest] = lines.map(line => JSON.parse(line) as object)
  t.same(rest, [])
  t.same(first, {
    level: 30,
    time: Math.floor(NOW),
    name: 'mesos-master',
    actor: 'master',
    agent_id: { value: 'S1' },
    msg: 'registered',
  })
  t.match(second, {
    level: 50,
    err: { type: 'Error', message: 'boom', stack: /at / },
    other: { type: 'TypeError', message: 'odd' },
  })
  t.match(third, { level: 40, msg: 'plain' })
  t.equal(child.level, 'info')
})

t.test('silence', async t => {
  for (const format of ['text', 'json'] as const) {
    const { log, lines } = make({ format, level: 'silent' })
    log.error({ a: 1 }, 'nobody hears')
    t.same(lines, [])
  }
})

t.test('lines reach standard error before a sudden end', async t => {
  if (process.argv[2] === 'die') {
    const log = createLogger({ level: 'info', format: 'text', name: 'dying' })
    for (let i = 0; i < 1_000; i++) log.info({ i, filler: 'x'.repeat(100) }, 'last words')
    process.kill(process.pid, 'SIGKILL')
  }
  const child = spawnSync(process.execPath, [...process.execArgv, process.argv[1]!, 'die'])
  t.equal(child.signal, 'SIGKILL')
  t.equal(String(child.stderr).match(/dying: last words i=\d+/g)?.length, 1_000)
})

t.test('the level changes for a log and all its children', async t => {
  for (const format of ['text', 'json'] as const) {
    const { log, lines } = make({ format, level: 'warn' })
    const child = log.child({ actor: 'a' })
    child.info('before')
    log.setLevel!('debug')
    t.equal(child.level, 'debug')
    child.debug('during')
    child.setLevel!('error')
    log.warn('after')
    child.child({ n: 1 }).error('always')
    t.equal(lines.length, 2, format)
    t.match(lines[0], 'during')
    t.match(lines[1], 'always')
  }
})

t.test(
  'a reader that hangs costs one wait, not one for each line; what it missed is counted',
  async t => {
    let room = 10
    let waits = 0
    let read = ''
    const pipe = new PipeDestination(
      bytes => {
        if (room === 0) throw Object.assign(new Error('full'), { code: 'EAGAIN' })
        const taken = Buffer.from(bytes).subarray(0, room)
        read += taken.toString()
        room -= taken.length
        return taken.length
      },
      () => void waits++,
    )
    pipe.write('first\n')
    pipe.write('second is cut in two\n')
    t.equal(waits, 199)
    for (let i = 0; i < 50; i++) pipe.write(`${i}\n`)
    t.equal(waits, 199, 'no more waits')
    room = 10_000
    pipe.write('again\n')
    t.equal(read, 'first\nseco\n(51 lines were lost: nobody read them)\nagain\n')
    room = 3
    pipe.write('all\n')
    room = 10_000
    pipe.write('well\n')
    t.match(read, /all\n\(1 lines were lost: nobody read them\)\nwell\n$/)
  },
)
