// With real processes, in real directories.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { PosixProcesses } from '../../src/agent/posix-processes.ts'
import type { LaunchSpec } from '../../src/agent/processes.ts'
import { describeWaitStatus } from '../../src/agent/wait-status.ts'
import { silentLogger } from '../../src/base/log.ts'
import { HOST } from './posix-host.ts'

/** Looks again and again, for at most ten seconds: what is waited for are other processes. */
async function until(reached: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (reached()) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error(`not within ten seconds: ${what}`)
}

/** Gone, or at least nothing but an entry that its parent has not read. */
function isDead(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
  } catch {
    return true
  }
}

async function place(t: Test) {
  const top = t.testdir({ box: {}, run: {} })
  const processes = await PosixProcesses.start({ runtimeDir: `${top}/run`, log: silentLogger })
  t.teardown(() => processes.close())
  let count = 0
  const spec = (script: string, more: Partial<LaunchSpec> = {}): LaunchSpec => ({
    containerId: `c${++count}`,
    argv: ['/bin/sh', '-c', script],
    env: { PATH: '/usr/bin:/bin', GREETING: 'hello' },
    cwd: `${top}/box`,
    stdoutPath: `${top}/box/stdout`,
    stderrPath: `${top}/box/stderr`,
    ...more,
  })
  const text = (name: string): string => {
    try {
      return readFileSync(`${top}/box/${name}`, 'utf8')
    } catch {
      return ''
    }
  }
  const pidIn = async (name: string): Promise<number> => {
    await until(() => /^\d+\n/.test(text(name)), `a pid in ${name}`)
    return Number(text(name).split('\n')[0])
  }
  return { top, processes, spec, text, pidIn }
}

t.test(
  'a process runs in its sandbox with its own environment, and is on record while it lives',
  async t => {
    const { top, processes, spec, text } = await place(t)
    const script = 'pwd; env | sort; echo oops >&2; cat ../run/containers/c1/pid; exit 3'
    const process = await processes.launch(spec(script))
    const status = await process.exited
    t.equal(describeWaitStatus(status), 'exited with status 3')
    t.equal(status, 3 << 8)
    const lines = text('stdout').split('\n')
    t.equal(lines[0], `${top}/box`)
    t.strictSame(
      lines.slice(1, -3).map(line => line.split('=')[0]),
      ['GREETING', 'MESOS_CONTAINER_MARK', 'PATH', 'PWD'],
      'and its mark, and what every shell sets itself',
    )
    t.equal(lines.at(-3), String(process.pid))
    t.equal(text('stderr'), 'oops\n')
    await until(() => readdirSync(`${top}/run/containers`).length === 0, 'the record is gone')
  },
)

t.test('signals that end a process are named', async t => {
  const { processes, spec } = await place(t)
  const ended = async (script: string): Promise<string> =>
    describeWaitStatus(await (await processes.launch(spec(script))).exited)
  t.equal(await ended('kill -SEGV $$'), 'terminated with signal Segmentation fault')
  t.equal(await ended('kill -KILL $$'), 'terminated with signal Killed')
  t.equal(await ended('kill -USR1 $$'), 'terminated with signal User defined signal 1')
  t.equal(await ended('exec /no/such/program'), 'exited with status 127')
})

t.test('a program can have another name for itself', async t => {
  const { processes, spec, text } = await place(t)
  const named = await processes.launch(
    spec('', { argv: ['/bin/sh', '-c', 'echo $0'], argv0: 'other' }),
  )
  await named.exited
  t.equal(text('stdout'), existsSync('/bin/bash') ? 'other\n' : '/bin/sh\n')
})

t.test('what cannot be started is an error', async t => {
  const { top, processes, spec } = await place(t)
  await t.rejects(processes.launch(spec('true', { cwd: `${top}/none` })), /could not be started/)
  await t.rejects(processes.launch(spec('true', { stdoutPath: `${top}/none/x` })), /ENOENT/)
  const process = await processes.launch(spec('true'))
  t.equal(await process.exited, 0)
})

t.test('a pipe in the place of a file of output stops nobody', async t => {
  const { processes, spec } = await place(t)
  const given = spec('true')
  execFileSync('mkfifo', [given.stdoutPath])
  await t.rejects(async () => processes.launch(given), /ENXIO/)
})

t.test('a kill reaches the whole tree, wherever its parts went', async t => {
  const { processes, spec, pidIn } = await place(t)
  const process = await processes.launch(
    spec(
      `sleep 1000 & echo $! >group
       setsid sh -c 'echo $$ >session; sleep 1000 & echo $! >below; wait' &
       wait`,
    ),
  )
  const pids = [process.pid, await pidIn('group'), await pidIn('session'), await pidIn('below')]
  processes.killTree(process.pid, 'SIGTERM')
  t.equal(describeWaitStatus(await process.exited), 'terminated with signal Terminated')
  for (const pid of pids) await until(() => isDead(pid), `${pid} is dead`)
})

t.test('a process that does not listen is killed with what it has', async t => {
  const { processes, spec, pidIn } = await place(t)
  const process = await processes.launch(
    spec(
      `trap '' TERM
       setsid sh -c 'trap "" TERM; echo $$ >stubborn; while :; do sleep 1000; done' &
       echo $$ >own; while :; do sleep 1000; done`,
    ),
  )
  const pids = [await pidIn('own'), await pidIn('stubborn')]
  t.equal(pids[0], process.pid)
  processes.killTree(process.pid, 'SIGTERM')
  processes.killTree(process.pid, 'SIGKILL')
  t.equal(describeWaitStatus(await process.exited), 'terminated with signal Killed')
  for (const pid of pids) await until(() => isDead(pid), `${pid} is dead`)
})

/** Ends up as nobody's child that anybody knows, in a session and a group of its own; writes its pid to `name`. */
const escaping = (name: string): string =>
  `setsid sh -c '(setsid sh -c "echo \\$\\$ >${name}; exec sleep 1000" &); exec sleep 1000' &`

t.test('a kill reaches those whose parents have gone, in sessions of their own', async t => {
  const { processes, spec, pidIn } = await place(t)
  const other = await processes.launch(spec(`${escaping('others')} exec sleep 1000`))
  const process = await processes.launch(spec(`${escaping('escaped')} exec sleep 1000`))
  const pids = [process.pid, await pidIn('escaped')]
  const others = [other.pid, await pidIn('others')]
  processes.killTree(process.pid, 'SIGTERM')
  t.equal(describeWaitStatus(await process.exited), 'terminated with signal Terminated')
  for (const pid of pids) await until(() => isDead(pid), `${pid} is dead`)
  t.strictSame(others.map(isDead), [false, false], 'another container has nothing to do with it')
  processes.killTree(other.pid, 'SIGKILL')
  for (const pid of others) await until(() => isDead(pid), `${pid} is dead`)
})

t.test('what leaves the session does not outlive the end of its container either', async t => {
  const { processes, spec, pidIn } = await place(t)
  const living = await processes.launch(spec(`${escaping('living')} exec sleep 1000`))
  const kept = await pidIn('living')
  const process = await processes.launch(
    spec(`${escaping('left')} while ! [ -s left ]; do sleep 0.01; done`),
  )
  t.equal(await process.exited, 0)
  const left = await pidIn('left')
  await until(() => isDead(left), 'it is dead')
  t.notOk(isDead(kept), 'what belongs to a container that lives, lives')
  processes.killTree(living.pid, 'SIGKILL')
})

t.test('a program that could not be put on record never ran, and that is known', async t => {
  const { top, processes, spec, text } = await place(t)
  const [lease] = readdirSync(`${top}/run/leases`)
  rmSync(`${top}/run/leases/${lease}`)
  const process = await processes.launch(spec('echo ran'))
  t.equal(await process.exited, 125 << 8)
  t.match(process.whyNeverRan?.(), /could not be put on record: .*\/run\/containers\/c1\/pid/)
  t.equal(text('stdout'), '')
  writeFileSync(`${top}/run/leases/${lease}`, '')
  const other = await processes.launch(spec('exit 125'))
  t.equal(await other.exited, 125 << 8)
  t.equal(other.whyNeverRan?.(), undefined, 'it may exit as it likes')
})

t.test('what a process leaves in its group ends with it', async t => {
  const { processes, spec, pidIn } = await place(t)
  const process = await processes.launch(spec('sleep 1000 & echo $! >left'))
  t.equal(await process.exited, 0)
  const left = await pidIn('left')
  await until(() => isDead(left), 'it is dead')
})

t.test('closing ends all', async t => {
  const { top, processes, spec } = await place(t)
  const process = await processes.launch(spec('sleep 1000'))
  let isReported = false
  void process.exited.then(() => (isReported = true))
  await processes.close()
  await until(() => isDead(process.pid), 'it is dead')
  t.notOk(isReported, 'and nothing is said of it')
  t.strictSame(readdirSync(`${top}/run/leases`), [])
})

/** A process of its own with a PosixProcesses in it, which runs scripts and prints their pids. */
async function host(
  t: Test,
  runtimeDir: string,
  box: string,
  ...scripts: string[]
): Promise<ChildProcess> {
  await mkdir(box, { recursive: true })
  const child = spawn(process.execPath, [HOST, runtimeDir, box, ...scripts], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  await new Promise(resolve => child.stdout.once('data', resolve))
  return child
}

t.test('nothing outlives an agent that is killed', async t => {
  const { top, pidIn } = await place(t)
  const agent = await host(
    t,
    `${top}/run`,
    `${top}/box`,
    `setsid sh -c 'echo $$ >session; sleep 1000' & echo $$ >main; wait`,
    `trap '' TERM; sleep 1000 & echo $! >child; wait; wait`,
    // What started below a process that is gone is found by the session.
    `(set -m; sleep 1000 & echo $! >job) ; exec sleep 1000`,
    // What left the session as well is found by its mark.
    `${escaping('escaped')} exec sleep 1000`,
  )
  const pids = await Promise.all(['session', 'main', 'child', 'job', 'escaped'].map(pidIn))
  const [lease] = readdirSync(`${top}/run/leases`).filter(token =>
    readFileSync(`${top}/run/leases/${token}`, 'utf8').startsWith(`${agent.pid} `),
  )
  agent.kill('SIGKILL')
  for (const pid of pids) await until(() => isDead(pid), `${pid} is dead`)
  await until(() => readdirSync(`${top}/run/containers`).length === 0, 'no records are left')
  t.notOk(existsSync(`${top}/run/leases/${lease}`))
})

t.test('if the guard is killed with its agent, the next agent ends what they left', async t => {
  const { top, pidIn } = await place(t)
  const agent = await host(t, `${top}/run2`, `${top}/box`, 'echo $$ >main; sleep 1000')
  const pid = await pidIn('main')
  const guard = readdirSync('/proc').find(name => {
    if (!/^\d+$/.test(name)) return false
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(`mesos-guard\0${top}/run2\0`)
    } catch {
      return false
    }
  })
  t.ok(guard)
  // Stopped first, so that it cannot start another guard.
  agent.kill('SIGSTOP')
  process.kill(Number(guard), 'SIGKILL')
  agent.kill('SIGKILL')
  await new Promise(resolve => agent.once('exit', resolve))
  t.notOk(isDead(pid))
  const next = await PosixProcesses.start({ runtimeDir: `${top}/run2`, log: silentLogger })
  t.teardown(() => next.close())
  await until(() => isDead(pid), 'the task is dead')
})
