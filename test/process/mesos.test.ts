// The command `mesos` against real processes, and the example of a supervised actor.

import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { pid } from '../../src/actors/pid.ts'
import { LogService } from '../../src/log/log.ts'
import { Registrar, type RegistrarOptions } from '../../src/master/registrar.ts'
import { replicatedLog } from '../../src/master/registry-log.ts'
import { replay } from '../../src/sim/replay.ts'
import { RealCluster } from './real-cluster.ts'

function cluster(t: Test): RealCluster {
  const made = new RealCluster()
  // A test that has ended takes no more assertions, but an error.
  t.teardown(async () => {
    const left = await made.stop()
    if (left.length > 0) throw new Error(`left behind:\n${left.join('\n')}`)
  })
  return made
}

async function outcome(on: RealCluster, args: readonly string[], env: Record<string, string> = {}) {
  const command = on.command('mesos', args, env)
  await command.exited
  return { status: command.exit?.code, said: command.stderr, printed: command.stdout }
}

t.test('mesos actors shows the actors of a master, of an agent, and one of them', async t => {
  const real = cluster(t)
  await real.startMaster()
  await real.startAgent()
  const list = await outcome(real, ['actors', `--master=${real.address}`])
  t.equal(list.status, 0, list.said)
  t.match(list.printed, /^ID +WAITING +LAST +TYPE +COUNT +WHAT +FROM\n/)
  for (const id of ['master', 'registrar\\(1\\)', 'log\\(1\\)', 'log-replica\\(1\\)']) {
    t.match(
      list.printed,
      new RegExp(`^${id} +\\d+ +\\d\\d:\\d\\d:\\d\\d\\.\\d{3} +[A-Z]+ +\\d`, 'm'),
    )
  }
  const one = await outcome(real, ['actors', 'master'], { MESOS_MASTER: real.address })
  t.match(one.printed, /^master: \d+ waiting\n[^]*MESSAGE +\d+ +\S+register\S* +slave\(1\)@127/)

  const rows = JSON.parse(
    (await outcome(real, ['actors', '--master', real.address, '--json'])).printed,
  )
  const [agent] = rows
    .find(({ id }: { id: string }) => id === 'master')
    .recent.flatMap(({ from = '' }) => /^slave\(1\)@(.*)$/.exec(from)?.[1] ?? [])
  t.ok(agent, 'JSON for scripts')
  const away = await outcome(real, ['actors', `--address=${agent}`])
  t.match(away.printed, /^slave\(1\) /m)

  const nobody = await outcome(real, ['actors', 'nobody', `--master=${real.address}`])
  t.equal(nobody.status, 1)
  t.match(nobody.said, /There is no actor 'nobody' at 127[^]*List them with/)
})

t.test('mesos actors says what is wrong with an address', async t => {
  const real = cluster(t)
  const wrong = await outcome(real, ['actors', '--master=zk://x'])
  t.equal(wrong.status, 1)
  t.match(wrong.said, /'--master': it needs the path of a node/)
  const other = await outcome(real, ['actors', '--address=zk://x/mesos'])
  t.match(other.said, /'--address': 'zk:\/\/x\/mesos' is not host:port/)
  const silent = await outcome(real, ['actors', '--address=127.0.0.1:1'])
  t.equal(silent.status, 1)
  t.match(silent.said, /No answer from 127\.0\.0\.1:1: .*\nGive the host:port/)
  for (const [answer, status, words] of [
    ['{"a":1}', 200, /is no list of actors/],
    ['no JSON', 200, /is no list of actors/],
    ['disabled', 403, /answered 403: disabled/],
  ] as const) {
    const server = await serving(t, answer, status)
    const { port } = server.address() as AddressInfo
    const odd = await outcome(real, ['actors', `--address=127.0.0.1:${port}`])
    t.equal(odd.status, 1)
    t.match(odd.said, words)
  }
})

async function serving(t: Test, body: string, status: number): Promise<Server> {
  const server = createServer((_, response) => response.writeHead(status).end(body))
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => server.close())
  return server
}

t.test('mesos NAME is mesos-NAME: beside it, or on the PATH', async t => {
  const real = cluster(t)
  const bin = join(real.dir, 'bin')
  mkdirSync(bin)
  const write = (name: string, text: string, mode: number): void => {
    writeFileSync(join(bin, name), text)
    chmodSync(join(bin, name), mode)
  }
  write('mesos-greet', '#!/bin/sh\necho "hello $1"; exit 7\n', 0o755)
  write('mesos-notes', 'no program', 0o644)
  write('mesos-broken', '#!/no/such/interpreter\n', 0o755)
  write('mesos-die', '#!/bin/sh\nkill -TERM $$\n', 0o755)
  const env = { PATH: `${process.env['PATH']}:${join(real.dir, 'none')}:${bin}` }
  t.same(await outcome(real, ['greet', 'you'], env), {
    status: 7,
    said: '',
    printed: 'hello you\n',
  })
  t.equal((await outcome(real, ['die'], env)).status, 143)
  const log = await outcome(real, ['log', '--version'], env)
  t.match(log.printed, /^mesos-log \d/)

  const help = await outcome(real, ['help'], env)
  t.equal(help.status, 0)
  t.match(
    help.printed,
    /^Usage: mesos <command>[^]*\n {2}actors .*mailboxes[^]*\n {2}greet +mesos-greet\n/,
  )
  t.notMatch(help.printed, /notes/)
  t.match(
    (await outcome(real, ['help', 'actors'], env)).printed,
    /^Usage: mesos actors .*--address/s,
  )
  t.match((await outcome(real, ['--version'], env)).printed, /^mesos \d/)

  for (const [args, words] of [
    [[], /^Usage: mesos <command>/],
    [
      ['gret'],
      /^'gret' is not a valid command \(or cannot be found\)\. Did you mean 'greet'\?\nTry 'mesos help'/,
    ],
    [['notes'], /^'notes' is not a valid command/],
    [['../mesos-log'], /is not a valid command/],
    [['--master=x', 'actors'], /^Not expecting '--master=x' before command/],
    [['broken'], /mesos-broken cannot be run/],
  ] as const) {
    const { status, said, printed } = await outcome(real, args, env)
    t.same([status, printed], [1, ''])
    t.match(said, words)
  }
})

t.test('a signal to mesos is passed on to the program that it runs', async t => {
  const real = cluster(t)
  mkdirSync(join(real.dir, 'work'))
  const args = ['master', '--ip=127.0.0.1', '--port=0', `--work_dir=${join(real.dir, 'work')}`]
  const master = real.command('mesos', args)
  await master.says(/leading/)
  master.kill('SIGTERM')
  await master.exited
  t.same(master.exit, { code: 0, signal: null })
  t.match(master.stderr, /ending .*SIGTERM/)
})

t.test('an actor of a running process is recorded, and replayed in a test', async t => {
  const real = cluster(t)
  const env = { LIBPROCESS_RECORD: 'registrar(1), nobody', LIBPROCESS_RECORD_DIR: real.dir }
  const args = ['--ip=127.0.0.1', '--port=0', `--work_dir=${real.dir}`]
  const master = real.command('mesos-master', args, env)
  const [, address] = await master.says(/leading .*address=(\S+)/)
  const path = join(real.dir, `registrar(1)@${address}.record`)
  t.match(master.stderr, `this actor is recorded, with all that it is told recorded=registrar(1)`)
  master.kill('SIGTERM')
  await master.exited
  t.equal(statSync(path).mode & 0o777, 0o600)
  const record = readFileSync(path)
  const logPid = pid('log(1)', address!)
  const options = { logPid, fetchTimeoutMs: 60_000, storeTimeoutMs: 20_000 }
  const registrar = (more: Partial<RegistrarOptions> = {}): Registrar =>
    new Registrar({ ...options, makeLog: ref => replicatedLog(ref(LogService, logPid)), ...more })
  const { events, ...rest } = await replay(record, registrar())
  t.ok(events > 5, `${events} events`)
  t.strictSame(rest, { truncated: false })
  t.ok((await replay(record, registrar({ storeTimeoutMs: 1 }))).departure)
})

t.test(
  'a record that cannot be written is complained of, and the process ends as ever',
  async t => {
    const real = cluster(t)
    const env = { LIBPROCESS_RECORD: 'master', LIBPROCESS_RECORD_DIR: join(real.dir, 'none') }
    const args = ['--ip=127.0.0.1', '--port=0', `--work_dir=${real.dir}`]
    const master = real.command('mesos-master', args, env)
    await master.says(/leading/)
    master.kill('SIGTERM')
    await master.exited
    t.equal(master.exit?.code, 0)
    t.match(master.stderr, /the record could not be written recorded=master error="ENOENT/)
  },
)
