import t from 'tap'
import { AssertionError } from '../../src/base/assert.ts'
import { megabytes } from '../../src/base/bytes.ts'
import { minutes, seconds } from '../../src/base/duration.ts'
import {
  defineFlags,
  type FlagInput,
  flag,
  parseFlags,
  printableFlags,
} from '../../src/base/flags.ts'
import { describeFlags, helpText } from '../../src/base/flags-help.ts'

interface Weights {
  readonly role: string
}

const flags = defineFlags({
  work_dir: flag.path({ required: true, help: 'Where the registry lives.' }),
  port: flag.integer({ default: 5050, min: 0, max: 65_535, help: 'Port to listen on.' }),
  hostname_lookup: flag.boolean({ default: true, help: 'Whether to look it up.' }),
  strict: flag.boolean({ help: 'Whether to be strict.' }),
  agent_ping_timeout: flag.duration({
    default: seconds(15),
    min: seconds(1),
    max: minutes(15),
    aliases: ['slave_ping_timeout'],
    help: 'How long an agent may take to answer a ping.',
    group: 'Agents',
  }),
  cache_size: flag.bytes({ default: megabytes(2048), max: megabytes(4096), help: 'Size of it.' }),
  headroom: flag.number({ default: 0.1, min: 0, help: 'Part of the disk kept free.' }),
  role_sorter: flag.choice(['drf', 'random'], { default: 'drf', help: 'Order of roles.' }),
  cluster: flag.string({ help: 'Name of the cluster.' }),
  roles: flag.list({
    help: 'Names of roles.',
    validate: r => (r.length > 3 ? 'too many' : undefined),
  }),
  weights: flag.json(asWeights, { help: 'Weights of roles.' }),
  credentials: flag.file({ help: 'File with credentials.' }),
  password: flag.string({
    secret: true,
    help: 'Password.',
    validate: p => (p === 'bad' ? p : undefined),
  }),
  registry_strict: flag.boolean({ deprecated: 'it has no effect.', help: 'Nothing.' }),
  runtime_dir: flag.path({ defaultText: '/var/run/mesos for root', help: 'Where sockets live.' }),
})

function asWeights(json: unknown): readonly Weights[] {
  if (!Array.isArray(json)) throw new Error('weights are a list')
  return json as Weights[]
}

const FILES: Readonly<Record<string, string>> = {
  '/port': '6060\n',
  '/two': 'a\n\n',
  '/weights.json': '[{"role":"dev"}]',
}

function parse(argv: readonly string[], rest: Partial<FlagInput> = {}) {
  const readFile = (path: string): string => {
    const content = FILES[path]
    if (content === undefined) throw new Error(`ENOENT: no such file '${path}'`)
    return content
  }
  return parseFlags(flags, { argv, env: {}, readFile, ...rest })
}

/** The values when all is well with a work_dir in front; fails loudly otherwise. */
function values(argv: readonly string[], rest: Partial<FlagInput> = {}) {
  const result = parse(['--work_dir=/w', ...argv], rest)
  if (!result.ok) throw new Error(result.errors.join('\n'))
  return result.values
}

function errors(argv: readonly string[], rest: Partial<FlagInput> = {}): readonly string[] {
  const result = parse(['--work_dir=/w', ...argv], rest)
  return result.ok ? [] : result.errors
}

t.test('defaults', async t => {
  t.same(values([]), {
    work_dir: '/w',
    port: 5050,
    hostname_lookup: true,
    strict: false,
    agent_ping_timeout: 15_000,
    cache_size: 2_147_483_648,
    headroom: 0.1,
    role_sorter: 'drf',
    cluster: undefined,
    roles: undefined,
    weights: undefined,
    credentials: undefined,
    password: undefined,
    registry_strict: false,
    runtime_dir: undefined,
  })
})

t.test('values have the types of their definitions', async t => {
  const v = values(['--port=1', '--weights=[]'])
  const typed: [string, number, boolean, 'drf' | 'random', string | undefined] = [
    v.work_dir,
    v.port,
    v.strict,
    v.role_sorter,
    v.cluster,
  ]
  const lists: [readonly string[] | undefined, readonly Weights[] | undefined] = [
    v.roles,
    v.weights,
  ]
  t.same(typed, ['/w', 1, false, 'drf', undefined])
  t.same(lists, [undefined, []])
  //@ts-expect-error a flag without a default may be absent
  const cluster: string = v.cluster
  t.equal(cluster, undefined)
  //@ts-expect-error no such flag
  t.equal(v.prot, undefined)
})

t.test('each kind from the command line', async t => {
  const argv = [
    '--port=1',
    '--no-hostname_lookup',
    '--strict',
    '--agent_ping_timeout=1.5mins',
    '--cache_size=10MB',
    '--headroom=.25',
    '--role_sorter=random',
    '--cluster=a=b c',
    '--roles=a, b,,c',
    '--weights=[{"role":"x"}]',
    '--credentials=/etc/c',
  ]
  t.match(values(argv), {
    port: 1,
    hostname_lookup: false,
    strict: true,
    agent_ping_timeout: 90_000,
    cache_size: 10_485_760,
    headroom: 0.25,
    role_sorter: 'random',
    cluster: 'a=b c',
    roles: ['a', 'b', 'c'],
    weights: [{ role: 'x' }],
    credentials: '/etc/c',
  })
})

t.test('a value may stand beside its flag, but not for a boolean', async t => {
  t.match(values(['--port', '7', '--cluster', 'x']), { port: 7, cluster: 'x' })
  const input = { positionals: [{ name: 'master', help: 'h' }] }
  const result = parse(['--work_dir', '/w', '--strict', 'host:5050'], input)
  t.match(result, { ok: true, values: { strict: true }, positional: ['host:5050'] })
  t.same(errors(['--port', '--strict']), [
    "Flag '--port' has no value; write for example '--port=5050'.",
  ])
  t.match(values(['--strict=true', '--hostname_lookup=0']), {
    strict: true,
    hostname_lookup: false,
  })
})

t.test('the environment, below the command line', async t => {
  const env = { MESOS_PORT: '1', MESOS_CLUSTER: 'env', MESOS_NATIVE_JAVA_LIBRARY: 'x', PORT: '2' }
  t.match(values(['--cluster=line'], { env }), { port: 1, cluster: 'line' })
  t.match(parse([], { env: { MESOS_WORK_DIR: '/e' } }), { ok: true, values: { work_dir: '/e' } })
  t.match(errors([], { env: { MESOS_PORT: 'x' } }), [
    /^Environment variable 'MESOS_PORT': 'x' is not an integer; expected an integer from 0 to 65535/,
  ])
})

t.test('deprecated names and flags work and warn', async t => {
  t.match(parse(['--work_dir=/w', '--slave_ping_timeout=20secs', '--registry_strict']), {
    ok: true,
    values: { agent_ping_timeout: 20_000, registry_strict: true },
    warnings: [
      "Flag '--slave_ping_timeout' is deprecated; use '--agent_ping_timeout'.",
      "Flag '--registry_strict': it has no effect.",
    ],
  })
  t.match(parse(['--work_dir=/w'], { env: { MESOS_SLAVE_PING_TIMEOUT: '30secs' } }), {
    values: { agent_ping_timeout: 30_000 },
    warnings: [/^Environment variable 'MESOS_SLAVE_PING_TIMEOUT' is deprecated/],
  })
})

t.test('content of files', async t => {
  t.equal(values(['--port=file:///port']).port, 6060)
  t.equal(values([], { env: { MESOS_PORT: 'file:///port' } }).port, 6060)
  t.equal(values(['--cluster=file:///two']).cluster, 'a\n', 'one line ending is dropped')
  t.same(values(['--weights=/weights.json']).weights, [{ role: 'dev' }])
  t.same(values(['--weights=file:///weights.json']).weights, [{ role: 'dev' }])
  t.equal(values(['--credentials=file:///c']).credentials, '/c', 'a file flag names the file')
  t.same(errors(['--port=file:///none']), [
    "Flag '--port': cannot read the file '/none': ENOENT: no such file '/none'.",
  ])
})

t.test('unknown flags, with the nearest known one', async t => {
  t.same(parse(['--work_dri=/w']), {
    ok: false,
    errors: ["Unknown flag '--work_dri'; did you mean '--work_dir'?"],
  })
  t.same(errors(['--work-dir=/w', '--no-strcit', '--quux', '-p', '--hepl']), [
    "Unknown flag '--work-dir'; did you mean '--work_dir'?",
    "Unknown flag '--no-strcit'; did you mean '--no-strict'?",
    "Unknown flag '--quux'; '--help' lists all flags.",
    "Unknown flag '-p'; '--help' lists all flags.",
    "Unknown flag '--hepl'; did you mean '--help'?",
  ])
})

t.test('values that do not parse: flag, value, what is expected, an example', async t => {
  const cases: Readonly<Record<string, string>> = {
    '--port=70000':
      "'70000' is too large; expected an integer from 0 to 65535, for example '--port=5050'.",
    '--port=-1':
      "'-1' is too small; expected an integer from 0 to 65535, for example '--port=5050'.",
    '--port=99999999999999999999':
      "'99999999999999999999' is too large; expected an integer from 0 to 65535, for example '--port=5050'.",
    '--strict=yes':
      "'yes' is neither true nor false; expected true or false, for example '--strict=true'.",
    '--agent_ping_timeout=20':
      "'20' is not a duration: it has no unit; expected a duration from 1secs to 15mins. " +
      'Write for example 20secs; the units are ns, us, ms, secs, mins, hrs, days, weeks.',
    '--agent_ping_timeout=1hrs':
      "'1hrs' is too large; expected a duration from 1secs to 15mins, for example '--agent_ping_timeout=15secs'.",
    '--cache_size=9GB':
      "'9GB' is too large; expected a size, at most 4GB, for example '--cache_size=2GB'.",
    '--headroom=x':
      "'x' is not a number; expected a number, at least 0, for example '--headroom=0.1'.",
    '--role_sorter=dfr':
      "'dfr' is not known; expected one of drf, random, for example '--role_sorter=drf'.",
    '--roles=a,b,c,d': "too many; expected words separated by commas, for example '--roles=a,b'.",
    '--weights={}':
      'weights are a list; expected JSON, or the absolute path of a file with JSON, ' +
      `for example '--weights={"key":"value"}'.`,
    '--credentials=':
      "it is empty; expected the path of a file, for example '--credentials=/etc/mesos/file'.",
  }
  for (const [word, message] of Object.entries(cases)) {
    t.same(errors([word]), [`Flag '${word.replace(/=.*/, '')}': ${message}`])
  }
  t.match(errors(['--weights={']), [/^Flag '--weights': it is not JSON: /])
})

t.test('other misuse, all reported together', async t => {
  t.same(
    parse(['--no-port', '--no-strict=1', '--cluster=a', '--cluster=b', 'stray', '--role_sorter=x']),
    {
      ok: false,
      errors: [
        "Flag '--no-port' is only for true-or-false flags; write '--port=…'.",
        "Flag '--no-strict' takes no value.",
        "Flag '--cluster' is given more than once.",
        "Flag '--work_dir' is required; write for example '--work_dir=/var/lib/mesos' or set MESOS_WORK_DIR.",
        "Flag '--role_sorter': 'x' is not known; expected one of drf, random, for example '--role_sorter=drf'.",
        "Unexpected argument 'stray'.",
      ],
    },
  )
  t.same(errors(['--slave_ping_timeout=2secs', '--agent_ping_timeout=2secs']), [
    "Flag '--agent_ping_timeout' is given more than once.",
  ])
})

t.test('arguments told by their place', async t => {
  const positionals = [
    { name: 'master', help: 'Its address.', required: true },
    { name: 'files', help: 'More.', rest: true },
  ]
  t.match(parse(['--work_dir=/w', 'm', '-', '--', '--port'], { positionals }), {
    ok: true,
    positional: ['m', '-', '--port'],
  })
  t.same(errors([], { positionals }), ['Argument <master> is missing: Its address.'])
})

t.test('help and version go before every error', async t => {
  t.same(parse(['--nonsense', '--help']), { ok: false, wants: 'help', errors: [] })
  t.same(parse(['-h']), { ok: false, wants: 'help', errors: [] })
  t.same(parse(['--version']), { ok: false, wants: 'version', errors: [] })
  t.match(parse(['--work_dir=/w', '--', '--help']), { ok: false, errors: [/--help/] })
})

t.test('a secret is never shown', async t => {
  const v = values(['--password=hunter2'])
  t.notMatch(JSON.stringify(printableFlags(flags, v)), /hunter2/)
  t.equal(v.password, 'hunter2')
  t.same(errors(['--password=bad']), [
    "Flag '--password': the value is wrong; expected text, for example '--password=text'.",
  ])
})

t.test('printed as in /state', async t => {
  const v = values(['--roles=a,b', '--weights=[{"role":"x"}]', '--password=p'])
  t.same(printableFlags(flags, v), {
    work_dir: '/w',
    port: '5050',
    hostname_lookup: 'true',
    strict: 'false',
    agent_ping_timeout: '15secs',
    cache_size: '2GB',
    headroom: '0.1',
    role_sorter: 'drf',
    roles: 'a,b',
    weights: '[{"role":"x"}]',
    password: '<secret>',
    registry_strict: 'false',
  })
})

t.test('help names every flag with type, default and variable', async t => {
  const text = helpText({
    name: 'mesos-master',
    summary: 'Shares out a cluster.',
    flags,
    positionals: [{ name: 'files', help: 'Files to read.', rest: true }],
    examples: ['mesos-master --work_dir=/var/lib/mesos'],
  })
  t.match(text, /^Usage: mesos-master \[flags\] \[<files>\.\.\.\]\n\nShares out a cluster\.\n/)
  for (const row of describeFlags(flags)) {
    t.ok(text.includes(`  ${row.usage}\n      ${row.help}`), row.name)
    t.ok(text.includes(row.env), row.env)
  }
  t.match(text, '[path; required; MESOS_WORK_DIR]')
  t.match(text, '[integer; default 5050; MESOS_PORT]')
  t.match(text, '[path; default /var/run/mesos for root; MESOS_RUNTIME_DIR]')
  t.match(text, 'formerly --slave_ping_timeout]')
  t.match(text, '--[no-]strict\n')
  t.match(text, 'Nothing. Deprecated: it has no effect.')
  t.ok(text.indexOf('\nAgents\n') > text.indexOf('\nFlags\n'))
  t.match(text, '\nExamples\n  mesos-master --work_dir=/var/lib/mesos\n')
  t.same(
    text.split('\n').filter(line => line.length > 100),
    [],
  )
})

t.test('definitions are checked', async t => {
  const help = 'h'
  t.throws(() => defineFlags({ 'work-dir': flag.string({ help }) }), AssertionError)
  t.throws(() => defineFlags({ help: flag.string({ help }) }), AssertionError)
  t.throws(() => defineFlags({ no_x: flag.boolean({ help }) }), AssertionError)
  t.throws(
    () => defineFlags({ a: flag.string({ help }), b: flag.string({ help, aliases: ['a'] }) }),
    AssertionError,
  )
  t.throws(
    () => defineFlags({ a: flag.string({ help, required: true, default: 'x' }) }),
    AssertionError,
  )
})
