// The code of docs/actors.md: every TypeScript block of that page stands in the example or in this file, and runs here.

import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import * as v from 'valibot'
import { Actor } from '../../src/actors/actor.ts'
import { json } from '../../src/actors/http.ts'
import { DEFAULT_LIMITS } from '../../src/actors/limits.ts'
import type { ExitReason } from '../../src/actors/mailbox.ts'
import { type Pid, pid } from '../../src/actors/pid.ts'
import { call, cast, protocol, serve } from '../../src/actors/protocol.ts'
import { Recorder } from '../../src/actors/recorder.ts'
import { silentLogger } from '../../src/base/log.ts'
import { replay } from '../../src/sim/replay.ts'
import { World } from '../../src/sim/world.ts'

const Lamp = protocol('lamp', {
  set: cast(v.object({ on: v.boolean() })),
  look: call(v.object({}), v.object({ on: v.boolean() })),
})

class Bulb extends Actor {
  override readonly idPrefix = 'bulb'
  #on = false
  readonly serves = [
    serve(Lamp, {
      set: ({ on }) => {
        this.#on = on
      },
      look: () => ({ on: this.#on }),
    }),
  ]
}

const Wiring = protocol('wiring', { plug: cast(v.object({ lamp: v.string() })) }, { local: true })

class Panel extends Actor {
  readonly seen: string[] = []
  bulb = '' as Pid
  readonly serves = [
    this.delegate(Lamp, () => this.bulb),
    serve(Wiring, {
      plug: ({ lamp }) => {
        this.bulb = pid(lamp, '10.0.0.1:1')
      },
    }),
  ]

  protected override async initialize(): Promise<void> {
    const bulb = this.spawn(new Bulb())
    this.bulb = bulb
    this.link(bulb)

    const flips = this.metrics.counter('panel/flips')
    this.route('/', 'Whether the light is on.', async () => {
      flips.increment()
      return json(await this.ref(Lamp, this.bulb).ask('look', {}))
    })
    this.route('/ticks', 'Three lines.', () => {
      const stream = this.stream()
      for (const n of [1, 2, 3]) stream.write(`${n}\n`)
      stream.end()
      return { status: 200, stream }
    })

    const later = this.defer((text: string) => this.seen.push(text))
    later('deferred')
    const timer = this.delay(1_000, () => this.seen.push('delayed'))
    this.dispatch(() => this.seen.push('dispatched'))
    this.seen.push(await this.resume(Promise.resolve('resumed')))
    await this.sleep(10)
    timer.cancel()

    this.refs(Lamp, [bulb, pid('bulb(1)', '10.0.0.2:1')]).tell('set', { on: true })
    this.terminate(bulb, { drain: true })
    if (await this.waitFor(bulb, { timeoutMs: 100 })) this.seen.push('waited')
  }

  protected override exited(_pid: Pid, why: ExitReason): void {
    this.seen.push(`exited: ${why}`)
    this.bulb = this.spawn(new Bulb())
  }
}

/** Linked to an actor that may come and go. */
class Watcher extends Actor {
  readonly serves = []
  readonly heard: ExitReason[] = []
  readonly #of: Pid

  constructor(of: Pid) {
    super()
    this.#of = of
  }

  protected override initialize(): void {
    this.link(this.#of)
  }

  protected override exited(pid: Pid, why: ExitReason): void {
    this.heard.push(why)
    this.delay(1_000, () => this.link(pid))
  }
}

/** Wants to know when a supervised bulb is back. */
class Keeper extends Actor {
  readonly serves = []
  readonly #of: Pid
  returns = 0

  constructor(of: Pid) {
    super()
    this.#of = of
  }

  override link(to: Pid): void {
    super.link(to)
    this.returns++
  }

  protected override initialize(): void {
    super.link(this.#of)
  }

  protected override async exited(lost: Pid): Promise<void> {
    while (!(await this.#answers(lost))) await this.sleep(100)
    this.link(lost)
  }

  #answers(of: Pid): Promise<boolean> {
    const asked = this.ref(Lamp, of).ask('look', {}, { timeoutMs: 1_000 })
    return asked.then(
      () => true,
      () => false,
    )
  }
}

t.test('who has to know that an actor is back asks until it answers', async t => {
  const world = new World({ log: silentLogger })
  const runtime = world.start('10.0.0.1:1')
  const bulb = runtime.spawn(new Bulb(), 'bulb')
  const keeper = new Keeper(bulb)
  world.start('10.0.0.2:1').spawn(keeper, 'keeper')
  await world.advance(100)
  runtime.terminate(bulb)
  await world.advance(1_000)
  t.equal(keeper.returns, 0)
  runtime.spawn(new Bulb(), 'bulb')
  await world.advance(1_000)
  t.equal(keeper.returns, 1)
  await world.stop()
})

t.test('an actor uses what an actor has', async t => {
  const world = new World({ log: silentLogger })
  const panel = new Panel()
  const here = world.start('10.0.0.1:1', { boot: runtime => void runtime.spawn(panel, 'panel') })
  const there = world.start('10.0.0.2:1', { boot: runtime => void runtime.spawn(new Bulb()) })
  await world.advance(200)
  const all = ['deferred', 'dispatched', 'exited: ended', 'resumed', 'waited']
  t.strictSame(panel.seen.toSorted(), all)
  const asked = there.ref(Lamp, pid('panel', '10.0.0.1:1')).ask('look', {})
  await world.advance(100)
  t.strictSame(await asked, { on: false })
  const own = there.ref(Lamp, pid('bulb(1)', '10.0.0.2:1')).ask('look', {})
  await world.advance(100)
  t.strictSame(await own, { on: true }, 'told by refs')
  const request = {
    method: 'GET',
    query: new URLSearchParams(),
    headers: {},
    body: new Uint8Array(),
  }
  const answer = here.http({ ...request, path: '/panel' })
  await world.advance(100)
  t.equal((await answer).body, '{"on":false}')
  const ticks = here.http({ ...request, path: '/panel/ticks' })
  await world.advance(100)
  const { stream } = await ticks
  let text = ''
  for await (const chunk of stream!) text += Buffer.from(chunk).toString()
  t.equal(text, '1\n2\n3\n')
  t.match(await here.metrics.snapshot(here.clock), { 'panel/flips': 1 })
  there.ref(Wiring, pid('panel', '10.0.0.1:1')).tell('plug', { lamp: 'x' })
  await world.advance(100)
  t.equal(here.dropped.unknown, 1, 'a local protocol is refused from elsewhere')
  await world.stop()
})

t.test('a watcher links again after a partition', async t => {
  const world = new World({ seed: 7, log: silentLogger })
  world.start('10.0.0.2:1', { boot: runtime => void runtime.spawn(new Bulb(), 'bulb') })
  const watcher = new Watcher(pid('bulb', '10.0.0.2:1'))
  world.start('10.0.0.1:1', { boot: runtime => void runtime.spawn(watcher) })
  await world.advance(1_000)

  const cut = world.network.partition(['10.0.0.1:1'], ['10.0.0.2:1'])
  await world.until(() => watcher.heard.length > 0, 'the watcher hears of it', 120_000)
  t.equal(watcher.heard[0], 'unreachable')

  cut.mend()
  await world.advance(30_000)
  watcher.heard.length = 0
  world.crash('10.0.0.2:1')
  await world.until(() => watcher.heard.length > 0, 'the link is there again')
  await world.stop()
})

t.test('what was recorded is replayed', async t => {
  const recorder = new Recorder()
  const world = new World({ log: silentLogger })
  const runtime = world.start('10.0.0.1:1')
  const bulb = runtime.ref(Lamp, runtime.spawn(new Bulb(), 'bulb', { record: recorder }))
  bulb.tell('set', { on: true })
  await world.stop()

  const { departure } = await replay(recorder.toBytes(), new Bulb())
  t.equal(departure, undefined)
})

t.test('the page shows this code, and no other', async t => {
  const squeezed = (code: string): string => code.replaceAll(/\s+/g, ' ').trim()
  const files = readdirSync('examples/counter').map(name => `examples/counter/${name}`)
  const sources = new Map(
    [...files, 'test/actors/page.test.ts'].map(path => [path, readFileSync(path, 'utf8')] as const),
  )
  const page = readFileSync('docs/actors.md', 'utf8')
  const blocks = [...page.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!)
  t.ok(blocks.length > 8, `${blocks.length} blocks`)
  for (const code of blocks) {
    const shown = [...sources.values()].some(text => squeezed(text).includes(squeezed(code)))
    t.ok(shown, `is run somewhere: ${code.slice(0, 60)}`)
  }
  for (const path of files) t.ok(page.includes(sources.get(path)!), `${path} is on the page, whole`)
  for (const name of Object.keys(DEFAULT_LIMITS))
    t.ok(page.includes(`\`${name}\``), `${name} is explained`)
})
