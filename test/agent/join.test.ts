// Programs that join a container that runs, with somebody who talks to them, and containers with a terminal.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/actors/system-clock.ts'
import { emptyPlan } from '../../src/agent/containerizer/container.ts'
import type { Containerizer } from '../../src/agent/containerizer/containerizer.ts'
import { Entering } from '../../src/agent/containerizer/entering.ts'
import type { Launcher } from '../../src/agent/containerizer/launcher.ts'
import type { JoinedProcess, LaunchSpec } from '../../src/agent/processes.ts'
import { describeWaitStatus } from '../../src/agent/wait-status.ts'
import { nextContainerizer, place, skip, until } from './containers.ts'

const ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }
const WINDOW = { rows: 33, columns: 99 }
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const living = (mark: string): string[] =>
  execFileSync('ps', ['axo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter(line => line.startsWith(mark))

interface Place {
  readonly processes: Containerizer
  readonly spec: (script: string, more?: Partial<LaunchSpec>) => LaunchSpec
  readonly text: (name: string) => string
  readonly groups: () => string[]
}

async function posixPlace(t: Test): Promise<Place> {
  const top = mkdtempSync(`${tmpdir()}/mesos-test-`)
  mkdirSync(`${top}/box`)
  const processes = await nextContainerizer({ runtimeDir: `${top}/run`, workDir: top })
  t.teardown(async () => {
    await processes.close()
    rmSync(top, { recursive: true })
  })
  let count = 0
  const spec = (script: string, more: Partial<LaunchSpec> = {}): LaunchSpec => ({
    containerId: `p${++count}`,
    argv: ['/bin/sh', '-c', script],
    env: ENV,
    cwd: `${top}/box`,
    stdoutPath: `${top}/box/stdout`,
    stderrPath: `${top}/box/stderr`,
    ...more,
  })
  const text = (name: string) => readFileSync(`${top}/box/${name}`, 'utf8')
  return { processes, spec, text, groups: () => [] }
}

const ALL = 'cgroups/cpu,cgroups/mem,cgroups/pids,namespaces/pid,namespaces/ipc,filesystem/linux'
const PLACES: readonly [string, typeof skip, (t: Test) => Promise<Place>][] = [
  ['posix', { skip: false }, posixPlace],
  ['linux', skip, t => place(t, 'cgroups/cpu')],
  ['linux with namespaces', skip, t => place(t, ALL)],
]

/** Reads what it says, and lets somebody wait for a part of it. */
function listen(joined: JoinedProcess) {
  const said = { STDOUT: '', STDERR: '' }
  const ended = (async () => {
    for await (const { stream, data } of joined.output)
      said[stream] += new TextDecoder().decode(data)
  })()
  const hears = (part: string) => until(() => said.STDOUT.includes(part), part)
  return { said, ended, hears }
}

for (const [name, skipped, make] of PLACES) {
  t.test(`${name}: a program joins, reads, writes and ends`, skipped, async t => {
    const { processes, spec } = await make(t)
    const its = spec('export IN=side; sleep 1000')
    const task = await processes.launch({ ...its, env: { ...ENV, OF_TASK: 'yes' } })
    const joined = await processes.join({
      containerId: its.containerId,
      name: 'one',
      argv: ['/bin/sh', '-c', 'echo $A; echo loud >&2; pwd; cat; exit 7'],
      env: { ...ENV, A: 'given' },
    })
    const { said, ended } = listen(joined)
    await joined.input.write(bytes('read\n'))
    joined.input.end()
    t.equal(describeWaitStatus(await joined.exited), 'exited with status 7')
    await ended
    t.equal(said.STDOUT, `given\n${its.cwd}\nread\n`)
    t.equal(said.STDERR, 'loud\n')

    const killed = await processes.join({
      containerId: its.containerId,
      name: 'two',
      argv: ['/bin/sh', '-c', '(setsid sleep 31337 &) ; (sleep 31337 &); kill -9 $$'],
      env: ENV,
    })
    const listening = listen(killed)
    t.equal(describeWaitStatus(await killed.exited), 'terminated with signal Killed')
    await listening.ended
    await until(() => living('sleep 31337').length === 0, 'what it had started is gone')

    const asked = await processes.join({
      containerId: its.containerId,
      name: 'asked',
      argv: [
        '/bin/sh',
        '-c',
        "trap 'sleep 0.2; echo told; exit 9' TERM; echo ready; while :; do sleep 0.05; done",
      ],
      env: ENV,
    })
    const answer = listen(asked)
    await answer.hears('ready')
    processes.killTree(asked.pid, 'SIGTERM')
    t.equal(describeWaitStatus(await asked.exited), 'exited with status 9', 'it ends by itself')
    await answer.ended
    t.match(answer.said.STDOUT, 'told')

    const left = await processes.join({
      containerId: its.containerId,
      name: 'three',
      argv: ['/bin/sh', '-c', 'sleep 31338; true'],
      env: ENV,
    })
    const last = listen(left)
    await until(() => living('sleep 31338').length === 1, 'it runs')
    processes.killTree(task.pid, 'SIGKILL')
    await task.exited
    await left.exited
    await last.ended
    await until(() => living('sleep 31338').length === 0, 'it has ended with its container')
    await t.rejects(
      processes.join({ containerId: its.containerId, name: 'four', argv: ['true'], env: ENV }),
      { message: 'The container does not run, or cannot be entered.' },
    )
  })

  t.test(`${name}: it may have a terminal`, skipped, async t => {
    const { processes, spec } = await make(t)
    const its = spec('sleep 1000')
    const task = await processes.launch(its)
    const joined = await processes.join({
      containerId: its.containerId,
      name: 'one',
      argv: ['/bin/sh', '-i'],
      env: { ...ENV, PS1: '> ', SHELL: '/bin/false' },
      terminal: WINDOW,
    })
    const { said, ended, hears } = listen(joined)
    const type = (line: string) => joined.input.write(bytes(line))
    await type('stty size\n')
    await hears('33 99\r\n')
    await joined.input.resize({ rows: 11, columns: 22 })
    await type('stty size\n')
    await hears('11 22\r\n')
    // What is in front is interrupted, and nothing else.
    await type('sleep 31339\n')
    await until(() => living('sleep 31339').length === 1, 'it runs')
    await type('\u0003')
    await type('echo st=$?\n')
    await hears('st=130\r\n')
    await type('exit 5\n')
    t.equal(describeWaitStatus(await joined.exited), 'exited with status 5', said.STDOUT)
    await ended
    t.notMatch(said.STDOUT, /tty process group|job control/)
    processes.killTree(task.pid, 'SIGKILL')
    await task.exited
  })

  t.test(`${name}: a container with a terminal`, skipped, async t => {
    const { processes, spec, text } = await make(t)
    const container = { type: 'MESOS' as const, tty_info: { window_size: WINDOW } }
    const script =
      "stty size; trap 'echo told; exit 9' TERM; read a; echo got $a; while :; do sleep 0.05; done"
    const its = spec(script, { container, survives: true })
    t.equal(processes.input(its.containerId), undefined)
    const task = await processes.launch(its)
    await until(() => text('stdout').includes('33 99\r\n'), 'it has a terminal')
    const input = processes.input(its.containerId)!
    await input.write(bytes('word\n'))
    await until(() => text('stdout').includes('got word\r\n'), 'it has read')
    t.match(text('stdout'), 'word\r\ngot word', 'what is typed is shown')
    input.close()
    processes.killTree(task.pid, 'SIGTERM')
    t.match(describeWaitStatus(await task.exited), /exited with status 9/, text('stdout'))
    processes.forget(its.containerId)
  })
}

t.test('what never ran is not taken for a success', async t => {
  const container = { id: 'c', pid: 1, plan: emptyPlan(), cwd: '/', command: undefined }
  let released = ''
  const launcher = {
    entrance: () => ({ front: [], env: {}, pid: 1 }),
    launch: async () => ({
      pid: 2,
      exited: Promise.resolve(0),
      whyNeverRan: () => 'it could not enter its control group',
    }),
    release: async (id: string) => void (released = id),
  } as unknown as Launcher
  const entering = new Entering({
    launcher,
    clock: systemClock,
    run: async () => 0,
    find: () => ({ ...container, joined: new Set() }),
  })
  const joined = await entering.join({ containerId: 'c', name: 'n', argv: ['true'], env: {} })
  t.equal(describeWaitStatus(await joined.exited), 'exited with status 125')
  t.equal(released, 'c..n')
})
