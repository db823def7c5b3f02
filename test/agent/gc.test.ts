// Old sandboxes are removed, and nothing else.

import { existsSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { collectingLogger } from '../../src/base/log.ts'
import type { Garbage, GarbageDisk } from '../../src/agent/gc/garbage-disk.ts'
import { allowedAgeMs, DEFAULT_GC, SandboxGc } from '../../src/agent/gc/sandbox-gc.ts'
import { SystemGarbageDisk } from '../../src/agent/gc/system-garbage-disk.ts'
import { World } from '../../src/sim/world.ts'
import { AWARE, command, scene } from './world.ts'

const DAY_MS = 24 * 60 * 60_000

class FakeDisk implements GarbageDisk {
  left: Garbage[] = []
  part = 0
  readonly removed: string[] = []
  fails: string | undefined

  find() {
    return Promise.resolve(this.left)
  }

  used() {
    return this.part < 0 ? Promise.reject(new Error('no disk')) : Promise.resolve(this.part)
  }

  remove(path: string) {
    if (path === this.fails) return Promise.reject(new Error('busy'))
    this.removed.push(path)
    return Promise.resolve()
  }
}

t.test('how long a sandbox is kept', t => {
  t.equal(allowedAgeMs(DEFAULT_GC, 0), 0.9 * 7 * DAY_MS)
  t.equal(allowedAgeMs(DEFAULT_GC, 0.9), 0)
  t.equal(allowedAgeMs(DEFAULT_GC, 1), 0)
  t.equal(allowedAgeMs({ ...DEFAULT_GC, headroom: 0 }, 0.5), 3.5 * DAY_MS)
  t.end()
})

t.test('by age, the oldest first, and sooner on a full disk', async t => {
  const log = collectingLogger()
  const world = new World({ log })
  const { clock } = world
  const disk = new FakeDisk()
  const gc = new SandboxGc({ ...DEFAULT_GC, headroom: 0, disk, clock, log })
  const now = clock.now()
  disk.left = [
    { path: '/young', endedAtMs: now - 6 * DAY_MS },
    { path: '/old', endedAtMs: now - 8 * DAY_MS },
    { path: '/older', endedAtMs: now - 9 * DAY_MS },
    { path: '/runs', endedAtMs: now - 99 * DAY_MS },
  ]
  await gc.begin(path => path === '/runs')
  gc.ended('/new')
  await world.advance(61_000)
  t.strictSame(disk.removed, ['/older', '/old'])
  disk.part = 0.5
  disk.fails = '/young'
  await world.advance(61_000)
  t.strictSame(disk.removed, ['/older', '/old'])
  t.ok(log.messages('warn').includes('an old directory could not be removed'))
  disk.part = -1
  await world.advance(61_000)
  disk.part = 1
  await world.advance(61_000)
  t.strictSame(disk.removed, ['/older', '/old', '/new'])
  gc.end()
  gc.ended('/later')
  await world.advance(10 * 60_000)
  t.equal(disk.removed.length, 3)
})

t.test('an agent gives up sandboxes when all is said of them', async t => {
  const disk = new FakeDisk()
  const world = new World({ log: collectingLogger() })
  const gc = new SandboxGc({ ...DEFAULT_GC, disk, clock: world.clock, log: collectingLogger() })
  const s = await scene({ options: { gc, measures: [metrics => gc.measure(metrics)] } })
  disk.part = 1
  s.master.acknowledges = false
  s.master.run(AWARE, command('a', 'true'))
  await s.reaches('a', 'TASK_STARTING')
  await world.advance(120_000)
  await s.world.advance(1_000)
  t.strictSame(disk.removed, [], 'its end is not acknowledged')
  for (let i = 0; i < 3; i++) {
    s.master.acknowledge(s.master.updates.at(-1))
    await s.world.advance(1_000)
  }
  await world.advance(120_000)
  t.match(disk.removed, [/executors.a.runs/])
  const metrics = JSON.parse((await s.get('/metrics/snapshot')).body)
  t.match(metrics, {
    'gc/path_removals_pending': 0,
    'gc/path_removals_succeeded': 1,
    'gc/path_removals_failed': 0,
  })
})

t.test('on a real disk', async t => {
  const workDir = t.testdir({ outside: { kept: '' } })
  const runs = (agent: string, executor: string) =>
    `${workDir}/slaves/${agent}/frameworks/F/executors/${executor}/runs`
  for (const run of [`${runs('S0', 'a')}/r1`, `${runs('S0', 'a')}/r2`, `${runs('S1', 'b')}/r3`]) {
    mkdirSync(`${run}/deep/er`, { recursive: true })
    writeFileSync(`${run}/deep/file`, '')
    symlinkSync(`${workDir}/outside`, `${run}/out`)
    symlinkSync('/no/such', `${run}/nowhere`)
    utimesSync(run, 1000, 1000)
  }
  symlinkSync('r2', `${runs('S0', 'a')}/latest`)
  symlinkSync('r3', `${runs('S1', 'b')}/latest`)
  // An agent died before it was put in its place.
  symlinkSync('r2', `${runs('S0', 'a')}/latest.4711.new`)
  symlinkSync('S1', `${workDir}/slaves/latest`)
  for (const agent of ['S0', 'S1'])
    mkdirSync(`${workDir}/meta/slaves/${agent}`, { recursive: true })
  symlinkSync('S1', `${workDir}/meta/slaves/latest`)
  const disk = new SystemGarbageDisk(workDir)
  const found = [...(await disk.find())].map(({ path }) => path.slice(workDir.length)).sort()
  t.strictSame(found, [
    '/meta/slaves/S0',
    '/slaves/S0/frameworks/F/executors/a/runs/r1',
    '/slaves/S0/frameworks/F/executors/a/runs/r2',
    '/slaves/S1/frameworks/F/executors/b/runs/r3',
  ])
  t.equal((await disk.find()).find(({ path }) => path.endsWith('r1'))?.endedAtMs, 1_000_000)
  const used = await disk.used()
  t.ok(used > 0 && used < 1)
  await disk.remove(`${runs('S0', 'a')}/r1`)
  t.strictSame(readdirSync(runs('S0', 'a')).sort(), ['latest', 'latest.4711.new', 'r2'])
  await disk.remove(`${runs('S0', 'a')}/r2`)
  t.strictSame(readdirSync(`${workDir}/slaves`).sort(), ['S1', 'latest'], 'what is empty goes, too')
  await disk.remove(`${workDir}/meta/slaves/S0`)
  t.strictSame(readdirSync(`${workDir}/meta/slaves`).sort(), ['S1', 'latest'])
  t.ok(existsSync(`${workDir}/outside/kept`), 'links are not followed')
})
