import t from 'tap'
import { MemoryDisk } from '../../src/sim/memory-storage.ts'
import { Cluster } from './cluster.ts'

const failed = (c: Cluster, error: object): object => [
  { actor: 'registrar(1)@10.0.0.1:5050', error },
  ...c.world.fatalities.slice(1),
]

t.test('a log that ends takes the master with it, though nothing is to be written', async t => {
  const disk = new MemoryDisk()
  const c = await Cluster.start({ disk })
  t.same(c.world.fatalities, [])
  // What is learned is noted, and goes to disk a moment later.
  disk.failure = new Error('input/output error')
  await c.world.advance(500)
  t.match(
    c.world.fatalities,
    failed(c, { code: 'store_failed', message: /log\(1\)@10\.0\.0\.1:5050, has ended/ }),
  )
})

t.test('a write that takes too long ends the master, naming the flag', async t => {
  for (const [flags, limitMs, text] of [
    [{}, 20_000, '20secs'],
    [{ registry_store_timeout: '3secs' }, 3_000, '3secs'],
  ] as const) {
    const disk = new MemoryDisk()
    const c = await Cluster.start({ disk, flags })
    await c.settle()
    disk.syncMs = 1_000_000
    c.agent().register()
    await c.world.advance(limitMs - 100)
    t.same(c.world.fatalities, [], text)
    await c.world.advance(200)
    t.match(
      c.world.fatalities,
      failed(c, {
        code: 'timeout',
        message: `not written to the replicated log within ${text}`,
        hint: '--registry_store_timeout',
      }),
    )
  }
})

t.test('a registry that cannot be read in time ends the master, naming the flag', async t => {
  for (const [flags, limitMs, text] of [
    [{}, 60_000, '1mins'],
    [{ registry_fetch_timeout: '3secs' }, 3_000, '3secs'],
  ] as const) {
    const options = { disk: new MemoryDisk(), flags, syncMs: 1 }
    const c = await Cluster.start(options)
    c.crashMaster()
    options.syncMs = 1_000_000
    await c.startMaster()
    await c.world.advance(limitMs - 100)
    t.same(c.world.fatalities, [], text)
    await c.world.advance(200)
    t.match(
      c.world.fatalities,
      failed(c, {
        code: 'timeout',
        message: `not read from the replicated log within ${text}`,
        hint: '--registry_fetch_timeout',
      }),
    )
  }
})

t.test('what is slow, but not too slow, is waited for', async t => {
  const disk = new MemoryDisk()
  const c = await Cluster.start({ disk })
  await c.settle()
  disk.syncMs = 6_000
  const agent = c.agent()
  agent.register()
  await c.world.advance(60_000)
  t.ok(agent.id)
  t.same(c.world.fatalities, [])
})
