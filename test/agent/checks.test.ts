// Health checks and checks: what they mean for a task, and that they ask the task they are for.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer as httpServer } from 'node:http'
import { createServer as tcpServer, type AddressInfo, type Server } from 'node:net'
import t, { type Test } from 'tap'
import { afterResult, UNKNOWN_HEALTH } from '../../src/agent/checks/health.ts'
import {
  checkProbe,
  checkStatus,
  healthProbe,
  isHealthy,
  paceOf,
} from '../../src/agent/checks/probe.ts'
import { BoundedProbes } from '../../src/agent/checks/probes.ts'
import { systemProbes } from '../../src/agent/checks/system-probes.ts'
import type { HealthCheck } from '../../src/messages/check.ts'
import { WELL } from '../../src/sim/virtual-probes.ts'
import { containerizer, place, scriptSpec, skip, until } from './containers.ts'
import { AWARE, command, framework, podExecutor, scene, type SceneOptions } from './world.ts'

const KEEPS = { ...framework('F1', 'PARTITION_AWARE'), checkpoint: true }
const forever: SceneOptions['program'] = ({ argv }) => (argv[2] === 'forever' ? {} : undefined)
const http = (more: HealthCheck = {}): { readonly health_check: HealthCheck } => ({
  health_check: { type: 'HTTP', http: { port: 8080, path: '/up' }, ...more },
})
const bad: typeof WELL = () => undefined

t.test('what results mean, one after the other', t => {
  const rule = { consecutiveFailures: 2 }
  const early = afterResult(UNKNOWN_HEALTH, false, true, rule)
  t.strictSame(early, { state: UNKNOWN_HEALTH, report: undefined }, 'it may fail at first')
  const good = afterResult(early.state, true, true, rule)
  t.strictSame(good.report, { healthy: true, kills: false })
  t.equal(afterResult(good.state, true, true, rule).report, undefined, 'health is said once')
  const sick = afterResult(good.state, false, true, rule)
  t.strictSame(sick.report, { healthy: false, kills: false }, 'who was healthy has no grace')
  const dying = afterResult(sick.state, false, false, rule)
  t.strictSame(dying.report, { healthy: false, kills: true })
  const back = afterResult(sick.state, true, false, rule)
  t.strictSame(back, {
    state: { failures: 0, healthy: true },
    report: { healthy: true, kills: false },
  })
  t.end()
})

t.test('probes, paces and results', t => {
  t.strictSame(paceOf({}), { delayMs: 15_000, intervalMs: 10_000, timeoutMs: 20_000 })
  t.equal(paceOf({ timeout_seconds: 0 }).timeoutMs, Number.POSITIVE_INFINITY)
  t.strictSame(
    healthProbe({ type: 'HTTP', http: { scheme: 'https', port: 1, protocol: 'IPv6' } }),
    {
      type: 'HTTP',
      scheme: 'https',
      host: '::1',
      port: 1,
      path: '/',
    },
  )
  t.match(healthProbe({ type: 'TCP', tcp: { port: 1 } }), { host: '127.0.0.1', port: 1 })
  t.match(checkProbe({ type: 'COMMAND', command: { command: { value: 'x' } } }), {
    command: { value: 'x' },
  })
  const status = (statusCode: number) => ({ type: 'HTTP' as const, statusCode })
  t.same(
    [199, 200, 399, 400].map(code => isHealthy(status(code), {})),
    [false, true, true, false],
  )
  t.ok(isHealthy(status(404), { http: { port: 1, statuses: [404] } }))
  t.notOk(isHealthy(status(200), { http: { port: 1, statuses: [404] } }))
  t.notOk(isHealthy(undefined, {}))
  t.strictSame(checkStatus('TCP', undefined), { type: 'TCP', tcp: {} })
  t.strictSame(checkStatus('COMMAND', { type: 'COMMAND', exitCode: 3 }), {
    type: 'COMMAND',
    command: { exit_code: 3 },
  })
  t.end()
})

t.test('a task becomes healthy, sick, and is killed for it', async t => {
  const s = await scene({ program: forever })
  s.master.run(AWARE, command('t', 'forever', http()))
  await s.reaches('t', 'TASK_RUNNING')
  t.equal(s.master.last('t')?.healthy, undefined)
  await s.world.advance(14_900)
  t.equal(s.probes.asked.length, 0)
  await s.world.advance(200)
  t.match(s.probes.asked[0], { probe: { type: 'HTTP', port: 8080, path: '/up' } })
  t.match(s.master.last('t'), {
    state: 'TASK_RUNNING',
    healthy: true,
    reason: 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED',
  })
  const before = s.master.updates.length
  await s.world.advance(60_000)
  t.equal(s.probes.asked.length, 7)
  t.equal(s.master.updates.length, before, 'that it is still well is no news')
  s.probes.answers = () => 'never'
  await s.reaches('t', 'TASK_KILLED')
  const said = s.master
    .of('t')
    .slice(before)
    .map(({ status }) => [status.state, status.healthy])
  t.strictSame(said, [
    ['TASK_RUNNING', false],
    ['TASK_RUNNING', false],
    ['TASK_RUNNING', false],
    ['TASK_KILLED', false],
  ])
  t.equal(s.probes.pending, 0, 'what it waited for is given up')
  const asked = s.probes.asked.length
  await s.world.advance(60_000)
  t.equal(s.probes.asked.length, asked, 'it is not asked any more')
})

t.test('a task that is slow to come up has its grace period', async t => {
  const s = await scene({ program: forever })
  s.probes.answers = bad
  s.master.run(
    AWARE,
    command(
      't',
      'forever',
      http({
        delay_seconds: 0,
        interval_seconds: 1,
        grace_period_seconds: 5,
        consecutive_failures: 2,
      }),
    ),
  )
  await s.reaches('t', 'TASK_RUNNING')
  await s.world.advance(4_500)
  t.equal(s.master.last('t')?.healthy, undefined)
  t.ok(s.probes.asked.length >= 4)
  await s.reaches('t', 'TASK_KILLED')
})

t.test('a check tells of its result when that is another one, and kills nobody', async t => {
  const s = await scene({ program: forever })
  const check = {
    type: 'COMMAND' as const,
    command: {
      command: { value: 'look', environment: { variables: [{ name: 'A', value: 'b' }] } },
    },
    delay_seconds: 1,
    interval_seconds: 1,
  }
  s.master.run(AWARE, command('t', 'forever', { check }))
  await s.reaches('t', 'TASK_RUNNING')
  t.strictSame(s.master.last('t')?.check_status, { type: 'COMMAND', command: {} })
  await s.world.advance(1_500)
  t.match(s.master.last('t'), {
    reason: 'REASON_TASK_CHECK_STATUS_UPDATED',
    check_status: { command: { exit_code: 0 } },
  })
  t.equal(s.probes.asked[0]?.task.env['MESOS_EXECUTOR_ID'], 't')
  const before = s.master.updates.length
  await s.world.advance(5_000)
  t.equal(s.master.updates.length, before)
  s.probes.answers = ({ type }) => (type === 'COMMAND' ? { type, exitCode: 7 } : undefined)
  await s.world.advance(1_100)
  t.match(s.master.last('t')?.check_status, { command: { exit_code: 7 } })
  s.probes.answers = bad
  await s.world.advance(1_100)
  t.strictSame(s.master.last('t')?.check_status, { type: 'COMMAND', command: {} })
  s.master.kill(AWARE, 't')
  await s.reaches('t', 'TASK_KILLED')
  t.strictSame(s.master.last('t')?.check_status, { type: 'COMMAND', command: {} }, 'it is repeated')
})

t.test('in a group a sick task takes the others along', async t => {
  const s = await scene({ program: forever })
  s.probes.answers = bad
  s.master.runGroup(AWARE, podExecutor(), [
    command('sick', 'forever', http()),
    command('other', 'forever'),
  ])
  await s.reaches('sick', 'TASK_KILLED')
  await s.reaches('other', 'TASK_KILLED')
  t.equal(s.master.last('sick')?.healthy, false)
  t.equal(s.master.last('other')?.healthy, undefined)
})

t.test('checks go on after their agent', async t => {
  const s = await scene({ program: forever })
  s.master.run(KEEPS, command('t', 'forever', http()))
  await s.reaches('t', 'TASK_RUNNING')
  await s.world.advance(20_000)
  t.equal(s.master.last('t')?.healthy, true)
  const before = s.master.updates.length
  s.crashAgent()
  await s.world.advance(1_000)
  await s.restartAgent()
  const asked = s.probes.asked.length
  await s.world.advance(30_000)
  t.ok(s.probes.asked.length > asked)
  t.equal(s.master.updates.length, before, 'it is as well as it was')
  s.probes.answers = bad
  await s.reaches('t', 'TASK_KILLED')
})

t.test(
  'no more tasks are asked at a time than may be, and each framework has its share',
  async t => {
    const answers = new Map<string, () => void>()
    const bounded = new BoundedProbes(
      {
        ask: (_probe, { containerId }, _stop, begun) => {
          begun()
          return new Promise(resolve => answers.set(containerId, () => resolve(undefined)))
        },
      },
      3,
      2,
    )
    const begun: string[] = []
    const asked: Promise<unknown>[] = []
    const probe = { type: 'TCP' as const, host: 'x', port: 1 }
    const ask = (framework: string, containerId: string, stop = new AbortController()) => {
      const task = { containerId, framework, env: {} }
      asked.push(bounded.ask(probe, task, stop.signal, () => begun.push(containerId)))
      return stop
    }
    const settled = () => new Promise(resolve => setImmediate(resolve))
    const answer = async (containerId: string) => {
      answers.get(containerId)!()
      await settled()
    }
    for (const id of ['a1', 'a2', 'a3', 'a4']) ask('a', id)
    ask('b', 'b1')
    const givenUp = ask('b', 'b2')
    ask('b', 'b3')
    await settled()
    t.strictSame(begun, ['a1', 'a2', 'b1'], 'who hangs keeps nobody else from being asked')
    givenUp.abort()
    await answer('b1')
    t.strictSame(begun, ['a1', 'a2', 'b1', 'b3'], 'who has given up is not asked')
    await answer('a1')
    t.equal(begun.at(-1), 'a3')
    for (const id of ['a2', 'a3', 'a4', 'b3']) await answer(id)
    await Promise.all(asked)
    t.equal(begun.length, 6)
  },
)

t.test('a check that has to wait for its turn has not failed for that', async t => {
  const s = await scene({ program: forever })
  let go: (() => void) | undefined
  s.probes.ask = (_probe, _task, stop, begun) =>
    new Promise(resolve => {
      go = begun
      stop.addEventListener('abort', () => resolve(undefined))
    })
  s.master.run(
    AWARE,
    command('t', 'forever', http({ consecutive_failures: 1, timeout_seconds: 1 })),
  )
  await s.reaches('t', 'TASK_RUNNING')
  await s.world.advance(600_000)
  t.equal(s.master.last('t')?.healthy, undefined)
  go!()
  await s.reaches('t', 'TASK_KILLED')
})

/** Whether there is a process with this command line. */
function runs(words: string): boolean {
  return readdirSync('/proc').some(name => {
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() === words
    } catch {
      return false
    }
  })
}

async function listening(t: Test, server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('real requests and connections', async t => {
  const probes = systemProbes({})
  const task = { containerId: 'c', framework: 'f', env: {} }
  let asked = ''
  const server = httpServer((request, answer) => {
    asked = request.url ?? ''
    if (asked === '/away') answer.writeHead(302, { location: 'http://192.0.2.1/' }).end()
    else if (asked === '/endless') {
      answer.writeHead(201)
      answer.write('x'.repeat(1000))
    } else if (asked !== '/silent') answer.writeHead(503).end()
  })
  const port = await listening(t, server)
  t.teardown(() => server.closeAllConnections())
  const of = (path: string, stop = new AbortController().signal) =>
    probes.ask(
      { type: 'HTTP', scheme: 'http', host: '127.0.0.1', port, path },
      task,
      stop,
      () => {},
    )
  t.strictSame(await of('/down'), { type: 'HTTP', statusCode: 503 })
  t.strictSame(await of('/away'), { type: 'HTTP', statusCode: 302 }, 'it is not led away')
  t.strictSame(await of('/endless'), { type: 'HTTP', statusCode: 201 })
  const stop = new AbortController()
  const silent = of('/silent', stop.signal)
  await until(() => asked === '/silent', 'it is asked')
  stop.abort()
  t.equal(await silent, undefined)
  const tcp = (at: number) =>
    probes.ask(
      { type: 'TCP', host: '127.0.0.1', port: at },
      task,
      new AbortController().signal,
      () => {},
    )
  const open = await listening(t, tcpServer())
  t.strictSame(await tcp(open), { type: 'TCP', succeeded: true })
  t.strictSame(await tcp(1), { type: 'TCP', succeeded: false })
  t.equal(
    await probes.ask(
      { type: 'HTTP', scheme: 'http', host: '127.0.0.1', port: 1, path: '/' },
      task,
      new AbortController().signal,
      () => {},
    ),
    undefined,
  )
})

t.test('commands look at the task from inside of its container', skip, async t => {
  const { processes, spec, top } = await place(
    t,
    'cgroups/pids,namespaces/pid,namespaces/ipc,linux/capabilities',
    '--bounding_capabilities={"capabilities":["CHOWN"]}',
  )
  const { pid, exited } = await processes.launch({
    ...spec('touch ready; sleep 1000'),
    containerId: 'c',
  })
  await until(() => existsSync(`${top}/box/ready`), 'it runs')
  const never = new AbortController().signal
  const env = { PATH: '/usr/bin:/bin', A: 'b' }
  const run = (value: string, stop = never) =>
    processes.exec({ containerId: 'c', argv: ['/bin/sh', '-c', value], env }, stop)
  const script = `[ $(ls -d /proc/[0-9]* | wc -l) -lt 8 ] && grep -q sleep /proc/[0-9]*/comm && [ "$A" = b ] && [ "$PWD" = ${top}/box ] &&
    grep -q 'CapEff:.0000000000000001' /proc/self/status && grep -q mesos_test /proc/self/cgroup`
  t.equal(await run(script), 0)
  t.equal(await run('exit 3'), 3 << 8)
  const stop = new AbortController()
  const slow = run('sleep 999.125 & sleep 998', stop.signal)
  await until(() => runs('sleep 999.125'), 'it runs')
  stop.abort()
  t.equal(await slow, 9)
  await until(() => !runs('sleep 999.125'), 'all of it is killed')
  processes.killTree(pid, 'SIGKILL')
  await exited
  await t.rejects(run('true'), /does not run/)
})

t.test('so they do under the posix launcher', skip, async t => {
  const top = t.testdir({ box: {} })
  const processes = await containerizer(`${top}/run`)
  t.teardown(() => processes.close())
  const { pid, exited } = await processes.launch(
    scriptSpec(`${top}/box`, 'c', 'echo here >file; sleep 1000'),
  )
  const probes = systemProbes(processes)
  const task = { containerId: 'c', framework: 'f', env: { PATH: '/usr/bin:/bin', A: 'b' } }
  const ask = (value: string) =>
    probes.ask(
      { type: 'COMMAND', command: { value } },
      task,
      new AbortController().signal,
      () => {},
    )
  await until(() => existsSync(`${top}/box/file`), 'it runs')
  t.strictSame(await ask('[ $A = b ] && grep -q here file && [ -n "$MESOS_CONTAINER_MARK" ]'), {
    type: 'COMMAND',
    exitCode: 0,
  })
  t.strictSame(await ask('kill -9 $$'), { type: 'COMMAND', exitCode: -1 })
  processes.killTree(pid, 'SIGKILL')
  await exited
  t.equal(await ask('true'), undefined)
})

t.test('an agent that is restarted knows when a task began that was checked since', async t => {
  const s = await scene({ program: forever })
  const check = { type: 'TCP' as const, tcp: { port: 1 }, delay_seconds: 50 }
  const max_completion_time = { nanoseconds: 60e9 }
  s.master.run(KEEPS, command('t', 'forever', { check, max_completion_time }))
  await s.reaches('t', 'TASK_RUNNING')
  await s.world.advance(52_000)
  t.match(s.master.last('t')?.check_status, { tcp: { succeeded: true } })
  s.crashAgent()
  await s.restartAgent()
  await s.world.advance(12_000)
  t.match(s.master.last('t'), {
    state: 'TASK_FAILED',
    reason: 'REASON_MAX_COMPLETION_TIME_REACHED',
  })
})
