// network/ports and disk/du: what containers listen on, and what they take of the disk.

import { mkdirSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { type ContainerConfig, emptyPlan } from '../../src/agent/containerizer/container.ts'
import { diskIsolator, sizesIn } from '../../src/agent/containerizer/isolator-disk.ts'
import { listeningIn, portsIsolator } from '../../src/agent/containerizer/isolator-ports.ts'
import { measureDisk } from '../../src/agent/containerizer/system-watch.ts'
import { collectingLogger } from '../../src/base/log.ts'
import { World } from '../../src/sim/world.ts'
import { freePorts } from '../../bench/ports.ts'
import { place, skip } from './containers.ts'

const config = (containerId: string, more: object = {}): ContainerConfig => ({
  containerId,
  resources: { cpus: 1, memMb: 32, ...more },
  limits: {},
  info: undefined,
  sandbox: `/box/${containerId}`,
})

t.test('a container may listen where it was allowed to, and is told on otherwise', async t => {
  const log = collectingLogger()
  const world = new World({ log })
  const listening = new Map([
    ['1', 31_000],
    ['2', 31_001],
    ['3', 22],
  ])
  const open: Record<number, string[]> = { 10: ['1', '9'], 20: ['2'], 30: ['3'] }
  const asked: number[] = []
  const isolator = portsIsolator({
    sockets: {
      listening: () => Promise.resolve(listening),
      of: pid => (asked.push(pid), Promise.resolve(open[pid] ?? [])),
    },
    members: id => (id === 'a' ? [10] : id === 'b' ? [20, 30] : []),
    checked: [{ begin: 31_000, end: 32_000 }],
    enforces: true,
    intervalMs: 1_000,
    clock: world.clock,
    log,
  })
  void isolator.prepare(config('a', { ports: [{ begin: 31_000, end: 31_000 }] }), emptyPlan())
  void isolator.prepare(config('b'), emptyPlan())
  await world.advance(1_100)
  t.equal(isolator.limitation!('a'), undefined)
  t.match(isolator.limitation!('b'), {
    reason: 'REASON_CONTAINER_LIMITATION',
    message: 'Container is listening on unallocated port(s): 31001',
    resources: [{ name: 'ports', ranges: { range: [{ begin: 31_001, end: 31_001 }] } }],
  })
  t.strictSame(asked, [10, 20, 30])
  await world.advance(5_000)
  t.equal(asked.length, 3, 'whose a socket is, is asked once')
  isolator.update!('a', { cpus: 1, memMb: 32, ports: [] }, {})
  await world.advance(1_100)
  t.ok(isolator.limitation!('a'))
  void isolator.cleanup!('a')
  void isolator.cleanup!('b')
  t.equal(isolator.limitation!('a'), undefined)
})

t.test('the kernel says who listens', t => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:7918 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:7919 0100007F:7918 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
`
  t.strictSame([...listeningIn(table)], [['4711', 0x7918]])
  t.strictSame([...listeningIn('')], [])
  t.end()
})

t.test('sandboxes are measured, and held to their quota', async t => {
  const log = collectingLogger()
  const world = new World({ log })
  const sizes = new Map([['/box/a', 5 * 2 ** 20]])
  let fails = false
  const make = (enforces: boolean) =>
    diskIsolator({
      measure: () => (fails ? Promise.reject(new Error('no du')) : Promise.resolve(sizes)),
      enforces,
      intervalMs: 1_000,
      clock: world.clock,
      log,
    })
  const isolator = make(true)
  const lenient = make(false)
  for (const one of [isolator, lenient]) {
    void one.prepare(config('a', { diskMb: 4 }), emptyPlan())
    void one.prepare(config('none'), emptyPlan())
  }
  t.equal(isolator.limitation!('a'), undefined)
  await world.advance(1_100)
  t.match(isolator.limitation!('a'), {
    reason: 'REASON_CONTAINER_LIMITATION_DISK',
    message: 'Disk usage (5MB) exceeds quota (4MB)',
  })
  t.equal(lenient.limitation!('a'), undefined)
  t.equal(isolator.limitation!('none'), undefined, 'who asked for no disk is held to none')
  const statistics = {}
  isolator.usage!('a', 1, statistics)
  t.strictSame(statistics, { disk_used_bytes: 5 * 2 ** 20, disk_limit_bytes: 4 * 2 ** 20 })
  fails = true
  await world.advance(1_100)
  t.ok(isolator.limitation!('a'), 'what was measured last is what is known')
  t.strictSame(
    [...sizesIn('12\t/a b\x0034\t/c\nd\0garbage\0')],
    [
      ['/a b', 12],
      ['/c\nd', 34],
    ],
  )
})

t.test('du is asked for many at once', async t => {
  const top = t.testdir({ one: { file: 'x'.repeat(20_000) }, 'with\nline': {} })
  const sizes = await measureDisk(
    '/usr/bin/du',
    '/usr/bin/nice',
  )([`${top}/one`, `${top}/none`, `${top}/with\nline`])
  t.strictSame([...sizes.keys()], [`${top}/one`, `${top}/with\nline`])
  t.ok(sizes.get(`${top}/one`)! >= 20_000)
})

t.test('who listens elsewhere, or writes too much, is ended', skip, async t => {
  const [port = 0, other = 0] = await freePorts(2)
  const { run, top, processes, spec } = await place(
    t,
    'network/ports,disk/du',
    '--enforce_container_ports',
    '--container_ports_watch_interval=200ms',
    '--enforce_container_disk_quota',
    '--container_disk_watch_interval=200ms',
  )
  writeFileSync(
    `${top}/listen.cjs`,
    "require('node:net').createServer().listen(Number(process.argv[2]), '127.0.0.1')",
  )
  mkdirSync(`${top}/other`)
  const resources = { cpus: 0.5, memMb: 64, diskMb: 2, ports: [{ begin: port, end: port }] }
  const listen = (at: number) => `exec ${process.execPath} ${top}/listen.cjs ${at}`
  const good = await processes.launch({
    ...spec(listen(port), { resources, cwd: `${top}/other` }),
    containerId: 'good',
  })
  const ended = await run(listen(other), { resources })
  t.equal(ended.how, 'terminated with signal Killed')
  t.match(ended.limitation, {
    reason: 'REASON_CONTAINER_LIMITATION',
    message: `Container is listening on unallocated port(s): ${other}`,
  })
  const big = await run('head -c 4000000 /dev/zero >big; sleep 1000', { resources })
  t.match(big.limitation, {
    reason: 'REASON_CONTAINER_LIMITATION_DISK',
    message: /^Disk usage \(4MB\) exceeds quota \(2MB\)$/,
  })
  t.ok(processes.usage('good')?.disk_used_bytes)
  t.equal(processes.usage('good')?.disk_limit_bytes, 2 * 2 ** 20)
  processes.killTree(good.pid, 'SIGKILL')
  await good.exited
})
