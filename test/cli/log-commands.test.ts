// The sub-commands of mesos-log as people run them, on logs that a log wrote, whole and damaged.

import { spawn } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { verifyLog } from '../../src/cli/log/verify.ts'
import type { Operation } from '../../src/master/registry/operations.ts'
import type { ReplicaRecord } from '../../src/log/storage.ts'
import { encodeEntry } from '../../src/master/registry/entry.ts'
import {
  admit,
  agent,
  directory,
  entriesOf,
  entry,
  recover,
  TIME_MS,
  unreachable,
  VOTING,
  writeLog,
  writeRecords,
  written,
} from './logs.ts'

interface Outcome {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

function mesosLog(...args: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [resolve('dist/mesos-log.js'), ...args], {
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [out, err] = ['', '']
  child.stdout.on('data', chunk => (out += String(chunk)))
  child.stderr.on('data', chunk => (err += String(chunk)))
  return new Promise(done => child.once('close', status => done({ status, out, err })))
}

const operations: readonly Operation[] = [
  recover('M'),
  admit('S0'),
  admit('S1'),
  unreachable('S0'),
  {
    type: 'update_agent',
    info: agent('S1', 8),
    cause: { by: 'slave(1)@S1.example:5051', why: 're-registration' },
  },
]

/** A work_dir whose log has these operations at positions 1 to 5. */
async function workDir(t: Test, of: readonly Operation[] = operations): Promise<string> {
  const dir = directory(t)
  await writeLog(join(dir, 'replicated_log'), async writer => {
    for (const bytes of entriesOf(of)) await writer.append(bytes)
  })
  return dir
}

const segmentsIn = (dir: string): string[] =>
  readdirSync(dir)
    .filter(name => name.endsWith('.log'))
    .sort()
    .map(name => join(dir, name))

t.test('replay picks by position and by text, for people and for programs', async t => {
  const where = `--work_dir=${await workDir(t)}`
  const [range, grep, json, none] = await Promise.all([
    mesosLog('replay', where, '--from=2', '--to=3'),
    mesosLog('replay', where, '--grep=health check|cpus:4 → cpus:8'),
    mesosLog('replay', where, '--from=4', '--json'),
    mesosLog('replay', where, '--grep=no such'),
  ])
  t.match(range.out, /^2 .*admit_agent S0[^]*\n3 .*admit_agent S1[^]*registry: 2 agents/)
  t.notMatch(range.out, /recover|unreachable S0/)
  t.match(
    grep.out,
    /^4 .*\n.*health check timed out\n[^]*\n5 .*\n.*re-registration[^]*~ agent S1: resources cpus:4 → cpus:8/,
  )
  t.equal(grep.out.match(/^\d/gm)?.length, 2)
  const [gone] = json.out
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as unknown)
  t.match(gone, {
    position: 4,
    time_ms: TIME_MS + 3000,
    cause: { why: 'health check timed out' },
    changes: [
      { change: 'removed', what: 'agent', id: 'S0' },
      { change: 'added', what: 'unreachable', id: 'S0' },
    ],
    counts: { agents: 1, unreachable: 1 },
  })
  t.same(none, { status: 0, out: '', err: '' })
  const [pattern, both] = await Promise.all([
    mesosLog('replay', where, '--grep=('),
    mesosLog('replay', where, '--serve', '--json', '--from=9', '--to=1'),
  ])
  t.match(pattern, { status: 1, err: /'--grep'.*Unterminated group/ })
  t.match(both, {
    status: 1,
    err: /'--from': 9 is behind '--to'[^]*'--json' is for printing/,
  })
})

t.test('stat, export, dump-state and diff', async t => {
  const dir = await workDir(t)
  const where = `--work_dir=${dir}`
  const file = join(dir, 'out.jsonl')
  const [stat, exported, toFile, end, at2, early] = await Promise.all([
    mesosLog('stat', where, '--json'),
    mesosLog('export', `--path=${dir}/replicated_log`),
    mesosLog('export', where, `--output=${file}`, '--from=2', '--to=2'),
    mesosLog('dump-state', where),
    mesosLog('dump-state', where, '--at=2'),
    mesosLog('dump-state', where, '--at=0'),
  ])
  t.match(JSON.parse(stat.out), {
    ...{ status: 'VOTING', promised: 1, begin: 0, end: 5, learned: 5 },
    entries: { NOP: 1, APPEND: 5 },
    operations: { recover: 1, admit_agent: 2, mark_agent_unreachable: 1, update_agent: 1 },
    ...{ snapshots: 0, last_snapshot: null, first_time_ms: TIME_MS, last_time_ms: TIME_MS + 4000 },
    segments: [{ file: 'segment-00000000000000000001.log', first: 0, last: 5 }],
  })
  const lines = exported.out
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as unknown)
  t.match(lines[0], { format: 'mesos-log-export', version: 1, begin: 0, end: 5, complete: true })
  t.match(lines.slice(1), [
    { position: 0, type: 'NOP' },
    ...operations.map(({ type }, i) => ({ position: i + 1, entry: { operations: [{ type }] } })),
  ])
  t.same(toFile, { status: 0, out: '', err: '' })
  t.equal(readFileSync(file, 'utf8').trim().split('\n').length, 2)
  t.match(JSON.parse(end.out), {
    ...{ position: 5, written_at: 5, learned: true, sequence: 5 },
    registry: { agents: [{ id: { value: 'S1' } }], unreachable: [{ id: { value: 'S0' } }] },
  })
  t.match(JSON.parse(at2.out), { position: 2, registry: { agents: [{ id: { value: 'S0' } }] } })
  t.match(early, { status: 1, err: /nothing is known of the registry before position 1/ })

  const [changed, same, beyond, nowhere, bad] = await Promise.all([
    mesosLog('diff', where, '2', '5'),
    mesosLog('diff', where, '3', '3'),
    mesosLog('diff', where, '1', '9'),
    mesosLog('diff', '1', '2'),
    mesosLog('diff', where, '1'),
  ])
  t.match(changed, { status: 1, out: /- agent S0[^]*\+ agent S1 .*cpus:8[^]*\+ unreachable S0/ })
  t.match(same, { status: 0, out: /The registry is the same/ })
  t.match(beyond, { status: 2, err: /position 9 is not written yet/ })
  t.match(nowhere, { status: 2, err: /give '--work_dir' or '--path'/ })
  t.match(bad, { status: 2, err: /Argument <B> is missing/ })
})

t.test('diff of two replicas: behind is no harm, two truths are', async t => {
  const [a, b, broken] = [directory(t), directory(t), directory(t)]
  const bytes = entriesOf([recover('M'), admit('S0'), admit('S1')])
  const other = entriesOf([recover('M'), admit('S0'), admit('S9')])
  const log = (of: readonly Uint8Array[], count = of.length) => [
    [VOTING, ...of.slice(0, count).map((each, i) => written(i + 1, each))],
  ]
  await writeRecords(join(a, 'replicated_log'), log(bytes))
  await writeRecords(join(b, 'replicated_log'), log(bytes, 2))
  await writeRecords(broken, log(other))
  const [behind, upTo2, two] = await Promise.all([
    mesosLog('diff', a, b),
    mesosLog('diff', `${a}@2`, `${b}@2`),
    mesosLog('diff', a, broken, '--json'),
  ])
  t.match(behind, {
    status: 1,
    out: /first differ at position 3 \(A: chosen, B: nothing\); that breaks no agreement[^]*- agent S1/,
  })
  t.match(upTo2, {
    status: 0,
    out: /The replicas hold the same values\.\nThe registry is the same/,
  })
  t.equal(two.status, 1)
  t.match(JSON.parse(two.out), {
    ...{ differs: true, agreement: false },
    broken: { position: 3, a: 'chosen', b: 'chosen', broken: true },
    changes: [
      { change: 'removed', id: 'S1' },
      { change: 'added', id: 'S9' },
    ],
  })
})

t.test(
  'verify finds nothing in what a log wrote, over segments, elections and snapshots',
  async t => {
    const dir = directory(t)
    const options = { segmentBytes: 1000, retainBytes: 2000 }
    const many = entriesOf(Array.from({ length: 30 }, (_, i) => admit(`S${i}`)))
    // Each is a new election, which fills what the one before may have left.
    for (const from of [0, 10, 20]) {
      await writeLog(
        dir,
        async writer => {
          await Promise.all(many.slice(from, from + 10).map(bytes => writer.append(bytes)))
        },
        options,
      )
    }
    await writeLog(
      dir,
      async writer => {
        const agents = many.map((_, i) => agent(`S${i}`))
        const snapshot = { agents, unreachable: [], gone: [] }
        const position = await writer.append(encodeEntry(entry({ snapshot, sequence: 30 })))
        await writer.truncate(position!)
        await writer.append(encodeEntry(entry({ operations: [unreachable('S3')], sequence: 30 })))
      },
      options,
    )
    const [verified, stat] = await Promise.all([
      mesosLog('verify', `--path=${dir}`, '--json'),
      mesosLog('stat', `--path=${dir}`),
    ])
    t.equal(verified.status, 0)
    const report = JSON.parse(verified.out) as { segments: unknown[] }
    t.match(report, {
      ...{ ok: true, problems: [], begin: 31, promised: 4 },
      registry: { agents: 29, unreachable: 1, operations: 31 },
    })
    t.ok(report.segments.length > 1)
    t.match(stat.out, /snapshots +1, the last at 31/)
  },
)

t.test('verify names every damage by file and byte, and goes on behind it', async t => {
  const dir = directory(t)
  await writeLog(
    dir,
    async writer => {
      const many = Array.from({ length: 30 }, (_, i) => admit(`S${i}`))
      for (const bytes of entriesOf(many)) await writer.append(bytes)
    },
    { segmentBytes: 1500 },
  )
  const files = segmentsIn(dir)
  t.ok(files.length > 3)
  const flip = (file: string, at: number): void => {
    const bytes = readFileSync(file)
    bytes[at] = bytes[at]! ^ 1
    writeFileSync(file, bytes)
  }
  flip(files[0]!, 700)
  flip(files[2]!, 45)
  const { status, out } = await mesosLog('verify', `--path=${dir}`)
  t.equal(status, 1)
  for (const file of [files[0]!, files[2]!]) {
    const name = file.split('/').at(-1)!
    const [, byte] = new RegExp(`${name} .*DAMAGED at byte (\\d+)`).exec(out) ?? []
    t.match(out, `PROBLEM: ${file} is damaged at byte ${byte}:`)
  }
  t.match(out, new RegExp(`${files[1]!.split('/').at(-1)} .* whole\n`))
  t.match(out, /2 problems\.\n$/)
  // What lies before the damage is still shown, and the status says that it is not all.
  const [read, exported] = await Promise.all([
    mesosLog('replay', `--path=${dir}`, '--to=1'),
    mesosLog('export', `--path=${dir}`),
  ])
  t.match(read, { status: 1, out: /^1 .*admit_agent S0/, err: /is damaged at byte/ })
  t.match(exported.out, /"complete":false/)

  const copy = join(dir, 'copy')
  mkdirSync(copy)
  for (const file of files) cpSync(file, join(copy, file.split('/').at(-1)!))
  rmSync(segmentsIn(copy)[1]!)
  t.match(await mesosLog('verify', `--path=${copy}`), {
    status: 1,
    out: /PROBLEM: .*0003\.log is there, but not the segment before it, .*0002\.log/,
  })
})

t.test('a torn tail is told, and is no problem', async t => {
  const dir = await workDir(t)
  const [file] = segmentsIn(join(dir, 'replicated_log'))
  const stat = await mesosLog('stat', `--work_dir=${dir}`, '--json')
  truncateSync(file!, (JSON.parse(stat.out) as { bytes: number }).bytes - 3)
  const { status, out, err } = await mesosLog('verify', `--work_dir=${dir}`)
  t.equal(status, 0)
  t.match(out, /whole up to byte \d+\n[^]*All is well/)
  t.match(err, /of a write that was not completed/)
})

t.test('verify finds what has right checksums and should not be there', async t => {
  const [first, second] = entriesOf([recover('M'), admit('S0')])
  const cases: readonly (readonly [string, readonly ReplicaRecord[], RegExp])[] = [
    [
      'a hole',
      [VOTING, written(1, first!), written(4, second!)],
      /positions 2 to 3 are missing though position 4 is known to be chosen/,
    ],
    [
      'two truths',
      [VOTING, written(1, first!), written(1, second!, { proposal: 2 })],
      /byte \d+: another value is learned at position 1/,
    ],
    [
      'a broken promise',
      [
        VOTING,
        { type: 'promise', position: 1, promised: 5 },
        written(1, first!, { learned: false }),
      ],
      /byte \d+: position 1 is accepted under proposal 1 though 5 was promised/,
    ],
    [
      'a promise that sinks',
      [{ type: 'metadata', status: 'VOTING', promised: 3 }, VOTING, written(1, first!)],
      /byte \d+: its promise sinks from 3 to 1/,
    ],
    [
      'a vote of one that may not',
      [written(1, first!, { learned: false })],
      /byte \d+: a replica that is EMPTY votes at position 1/,
    ],
    [
      'a registry with a gap',
      [
        VOTING,
        written(1, first!),
        written(2, encodeEntry(entry({ operations: [admit('S3')], sequence: 7 }))),
      ],
      /cannot be replayed beyond position 2: it says that 7 operations came before it, but 1 did/,
    ],
    [
      'an operation that does not fit',
      [
        VOTING,
        written(1, first!),
        written(2, encodeEntry(entry({ operations: [unreachable('S3')], sequence: 1 }))),
      ],
      /cannot be replayed beyond position 2: Agent S3 is not admitted/,
    ],
    [
      'bytes that are no entry',
      [VOTING, written(1, first!), written(2, new Uint8Array([1, 2]))],
      /cannot be replayed beyond position 2: it is no entry of a registry/,
    ],
  ]
  const check = async ([name, records, words]: (typeof cases)[number]): Promise<void> => {
    const dir = directory(t)
    await writeRecords(dir, [records])
    const { problems } = await verifyLog(dir)
    t.match(problems.map(({ message }) => message).join('\n'), words, name)
  }
  await Promise.all(cases.map(check))
})

t.test('initialize, and benchmark what was initialized', async t => {
  const dir = directory(t)
  const log = join(dir, 'log')
  t.match(await mesosLog('initialize', `--path=${log}`), { status: 0, out: /is VOTING/ })
  t.match(await mesosLog('initialize', `--path=${log}`), { status: 1, err: /The log is not empty/ })
  writeFileSync(join(dir, 'sizes'), '100B\n2KB\n\n1B\n')
  const measured = await mesosLog(
    ...['benchmark', `--path=${log}`, '--no-initialize', '--type=one', '--outstanding=2'],
    ...[`--input=${dir}/sizes`, `--output=${dir}/appends`, '--json', '--logging_level=error'],
  )
  t.match(JSON.parse(measured.out), { appends: 3, bytes: 2149, latency_ms: { p50: Number } })
  t.same(
    readFileSync(join(dir, 'appends'), 'utf8')
      .trim()
      .split('\n')
      .map(line => line.split('\t')[1]),
    ['100', '2048', '1'],
  )
  const exported = await mesosLog('export', `--path=${log}`)
  const sizes = exported.out.match(/"type":"APPEND".*"size":\d+/g)?.map(s => Number(/\d+$/.exec(s)))
  t.same(sizes, [100, 2048, 1])
  t.match(exported.out, /"bytes":"\/{132}/, 'all ones')
  t.match(await mesosLog('verify', `--path=${log}`), { status: 0, out: /holds something else/ })

  const moved = (masters: string, self: string) =>
    mesosLog('relocate', `--path=${log}`, `--masters=${masters}`, `--self=${self}`)
  t.match(await moved('a:1', 'b:1'), { status: 1, err: /b:1 is none of --masters/ })
  t.match(await moved('a:1,b:1,c:1', 'a:1'), {
    status: 1,
    err: /The log has a quorum of 1, and these are 3/,
  })
  t.match(await moved('a:1', 'a:1'), { status: 0, out: /belongs to a:1 now/ })

  const registry = join(await workDir(t), 'replicated_log')
  t.match(await mesosLog('benchmark', `--path=${registry}`), {
    status: 1,
    err: /holds the registry of a master: nothing is appended/,
  })
  writeFileSync(join(dir, 'sizes'), '100B\n2 apples\n')
  t.match(await mesosLog('benchmark', `--path=${log}`, `--input=${dir}/sizes`), {
    status: 1,
    err: /sizes, line 2: '2 apples' is not a size/,
  })
})

t.test('a command line that cannot be is refused with what to do', async t => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['verify'], /'--work_dir' and '--path' is required/],
    [['benchmark', '--path=x', '--input=/nowhere'], /'--input': .*nowhere/],
    [['benchmark', '--path=x', '--replicas=1.1.1.1:1,1.1.1.2:1'], /give '--port'/],
    [['replica', '--path=x', '--quorum=1', '--replicas=1.1.1.1:1,1.1.1.2:1'], /from 2 to 2/],
    [['replica', '--path=x', '--servers=a:1'], /'--znode' is required.*\n.*'--quorum' is required/],
    [
      ['replica', '--path=x', '--servers=a:1', '--znode=/', '--quorum=1'],
      /'\/' itself is not supported/,
    ],
    [['replay', '--path=x', '--serve=here'], /is not an address/],
    [['verfy'], /Did you mean 'verify'/],
  ]
  const check = async ([args, words]: (typeof cases)[number]): Promise<void> => {
    const { status, err } = await mesosLog(...args)
    t.equal(status, 1, args.join(' '))
    t.match(err, words)
  }
  await Promise.all(cases.map(check))
})
