// Actors on one and on two hosts: turns, order, timers, ends, links, and how an ask may end.

import t from 'tap'
import { Actor } from '../../src/actors/actor.ts'
import type { Timer } from '../../src/actors/clock.ts'
import { pid } from '../../src/actors/pid.ts'
import { AskError, serve } from '../../src/actors/protocol.ts'
import { silentLogger } from '../../src/base/log.ts'
import { World } from '../../src/sim/world.ts'
import { A, B, C, Chat, OtherChat, outcome, Probe, withStage } from './probe.ts'

t.test('tell and ask, near and far', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const near = probe(A)
    const far = probe(B)
    const froms: string[] = []
    const listener = probe(B, {
      note: (_self, _text, from) => {
        froms.push(from)
      },
    })
    const speaker = probe(A, {
      initialize: async self => {
        for (const to of [near.pid, far.pid, listener.pid]) {
          self.chat(to).tell('note', { text: 'one' })
          self.chat(to).tell('note', { text: 'two' })
        }
        const answers = await Promise.all([
          self.chat(near.pid).ask('echo', { text: 'near' }),
          self.chat(far.pid).ask('echo', { text: 'far' }),
        ])
        self.heard.push(...answers.map(answer => answer.text))
      },
    })
    await world.advance(10)
    t.strictSame(near.probe.heard, ['one', 'two'])
    t.strictSame(far.probe.heard, ['one', 'two'], 'in the order in which they were told')
    t.strictSame(speaker.probe.heard, ['near', 'far'])
    t.strictSame(froms, [speaker.pid, speaker.pid], 'the sender is known by its pid')

    const outside = runtime(A).ref(Chat, far.pid).ask('echo', { text: 'from no actor' })
    await world.advance(10)
    t.strictSame(await outside, { text: 'from no actor' })
  })
})

t.test('ids', async t => {
  await withStage(t, async ({ world, runtime }) => {
    const one = new Probe()
    t.equal(runtime(A).spawn(one), `probe(1)@${A}`)
    t.equal(runtime(A).spawn(new Probe()), `probe(2)@${A}`)
    t.equal(runtime(A).spawn(new Probe(), 'master'), `master@${A}`)
    t.throws(() => runtime(A).spawn(new Probe(), 'master'), { message: /'master' exists already/ })
    t.throws(() => runtime(A).spawn(one, 'again'), { message: /spawned once/ })
    t.throws(() => new Probe().self, { message: /not been spawned/ })
    await world.settle()
    t.strictSame(runtime(A).actors, ['probe(1)', 'probe(2)', 'master'], 'no trace of the refused')
  })
})

t.test('initialize comes first, then what waits, in order', async t => {
  await withStage(t, async ({ world, runtime }) => {
    const order: string[] = []
    const self = runtime(A).spawn(
      new Probe({
        initialize: () => void order.push('initialize'),
        note: (_, text) => void order.push(text),
        finalize: () => void order.push('finalize'),
      }),
    )
    const ref = runtime(A).ref(Chat, self)
    ref.tell('note', { text: 'one' })
    ref.tell('note', { text: 'two' })
    runtime(A).terminate(self, { drain: true })
    ref.tell('note', { text: 'too late' })
    const waited = runtime(A).wait(self)
    await world.settle()
    t.strictSame(order, ['initialize', 'one', 'two', 'finalize'])
    t.equal(await waited, true)
    t.equal(await runtime(A).wait(self), false, 'there is none any more')
    t.equal(await runtime(A).wait(pid('probe(1)', B)), false, 'it is not of this process')
  })
})

t.test('terminate drops what waits, and tells those who asked', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const { probe: actor, pid: self } = probe(A)
    await world.settle()
    const ref = runtime(A).ref(Chat, self)
    ref.tell('note', { text: 'dropped' })
    const asked = outcome(ref.ask('echo', { text: 'dropped' }))
    runtime(A).terminate(self)
    await world.settle()
    t.strictSame(actor.heard, [])
    t.equal(await asked, 'NO_SUCH_ACTOR', 'it was certainly not served')
    runtime(A).terminate(self)
    runtime(A).terminate(pid('probe(1)', B))
    await world.settle()
    t.strictSame(runtime(A).actors, [])
  })
})

t.test('an actor ends itself after its turn', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const { pid: self, probe: actor } = probe(A, {
      echo: (self, text) => {
        self.terminate()
        self.heard.push('still in its turn')
        return text
      },
    })
    const ref = runtime(A).ref(Chat, self)
    const asked = outcome(ref.ask('echo', { text: 'last words' }))
    ref.tell('note', { text: 'too late' })
    await world.settle()
    t.equal(await asked, 'last words')
    t.strictSame(actor.heard, ['still in its turn'])
  })
})

t.test('delay', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const fired: string[] = []
    const start = world.clock.now()
    const at = (name: string) => () => {
      fired.push(`${name} ${world.clock.now() - start}`)
    }
    const { pid: self } = probe(A, {
      initialize: self => {
        self.delay(30, at('c'))
        self.delay(10, at('a'))
        self.delay(20, at('b'))
        self.delay(15, at('cancelled')).cancel()
        self.delay(1_000, at('dead'))
      },
      finalize: self => {
        self.delay(1, at('from the grave'))
      },
    })
    await world.advance(100)
    t.strictSame(fired, ['a 10', 'b 20', 'c 30'])
    runtime(A).terminate(self)
    await world.settle()
    t.strictSame(world.leftovers(), [], 'its timers end with it')
    await world.advance(2_000)
    t.equal(fired.length, 3)
  })
})

t.test('a continuation is a turn of its own', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const far = probe(B)
    const log: string[] = []
    const settled = Promise.resolve()
    const { pid: self } = probe(A, {
      echo: async (self, text) => {
        log.push(`${text} asks`)
        await self.chat(far.pid).ask('echo', { text })
        // Continuations of settled promises belong to the same turn, however many there are.
        for (let i = 0; i < 20; i++) await settled
        log.push(`${text} back`)
        await self.resume(Promise.resolve())
        log.push(`${text} done`)
        return text
      },
      note: async (_, text) => {
        log.push(`${text} begins`)
        for (let i = 0; i < 50; i++) await settled
        log.push(`${text} ends`)
      },
    })
    const ref = runtime(A).ref(Chat, self)
    const asked = outcome(ref.ask('echo', { text: 'echo' }))
    for (const text of ['n1', 'n2', 'n3']) ref.tell('note', { text })
    await world.advance(10)
    t.equal(await asked, 'echo')
    t.strictSame(log, [
      'echo asks',
      'n1 begins',
      'n1 ends',
      'n2 begins',
      'n2 ends',
      'n3 begins',
      'n3 ends',
      'echo back',
      'echo done',
    ])
  })
})

t.test('nothing continues after the end', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const far = probe(B)
    const log: string[] = []
    let finish = (): void => {}
    let fail: (error: Error) => void = () => {}
    const { pid: self } = probe(A, {
      note: async (self, text) => {
        log.push(text)
        if (text === 'ask') await self.chat(far.pid).ask('echo', { text })
        if (text === 'disk') await self.resume(new Promise<void>(resolve => (finish = resolve)))
        if (text === 'bad disk') {
          await self.resume(new Promise<void>((_, reject) => (fail = reject)))
        }
        log.push(`${text} continued`)
      },
    })
    const ref = runtime(A).ref(Chat, self)
    for (const text of ['ask', 'disk', 'bad disk']) ref.tell('note', { text })
    await world.settle()
    runtime(A).terminate(self)
    finish()
    fail(new Error('no space left'))
    await world.advance(100)
    t.strictSame(log, ['ask', 'disk', 'bad disk'])
  })
})

t.test('an actor that has ended does nothing', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const far = probe(B, {
      echo: (self, text) => {
        self.heard.push(text)
        return text
      },
    })
    const { pid: self, probe: actor } = probe(A)
    await world.settle()
    runtime(A).terminate(self)
    await world.settle()
    const { pending } = world.clock
    actor.chat(far.pid).tell('note', { text: 'from the grave' })
    void actor.chat(far.pid).ask('echo', { text: 'from the grave' }, { timeoutMs: 10 })
    actor.link(far.pid)
    actor.delay(10, () => actor.heard.push('fired'))
    actor.dispatch(() => actor.heard.push('dispatched'))
    t.equal(world.clock.pending, pending, 'not even a timer is set')
    await world.advance(100)
    t.strictSame([actor.heard, far.probe.heard], [[], []])
  })
})

t.test('how an ask ends', async t => {
  await withStage(t, async ({ world, probe, runtime, log }) => {
    const never = new Promise<string>(() => {})
    const slow = probe(B, { echo: () => never }, 'slow')
    probe(
      B,
      {
        echo: async () => {
          throw new Error('a bug')
        },
      },
      'failing',
    )
    const quick = probe(B, {}, 'quick')
    const asker = probe(A).probe
    await world.settle()
    const ask = (to: string, at = B) => asker.chat(pid(to, at)).ask('echo', { text: to })
    const asked = [
      ask('nobody'),
      ask('nobody', A),
      ask('failing'),
      asker.other(quick.pid).ask('echo', { text: 7 }),
      asker.other(quick.pid).ask('whisper', {}),
      asker.chat(slow.pid).ask('echo', { text: '' }, { timeoutMs: 50 }),
      ask('slow', '10.9.9.9:1'),
      ask('slow', 'not-listening:0'),
      asker.chat('' as never).ask('echo', { text: 'to nobody at all' }),
      asker.chat(quick.pid).ask('echo', { text: 'fine' }, { timeoutMs: 50 }),
    ].map(outcome)
    await world.advance(100)
    t.strictSame(await Promise.all(asked), [
      'NO_SUCH_ACTOR',
      'NO_SUCH_ACTOR',
      'FAILED',
      'REFUSED',
      'REFUSED',
      'TIMEOUT',
      'DISCONNECTED',
      'DISCONNECTED',
      'DISCONNECTED',
      'fine',
    ])
    t.strictSame(runtime(B).actors, ['slow', 'quick'], 'the one that threw has ended')
    t.match(log.messages('error'), ['the actor failed in one of its handlers and ends'])

    const hanging = outcome(ask('slow'))
    const abandoned = outcome(runtime(A).ref(Chat, slow.pid).ask('echo', { text: '' }))
    await world.advance(10)
    world.crash(B)
    await world.advance(10)
    t.equal(await hanging, 'DISCONNECTED')
    t.equal(await abandoned, 'DISCONNECTED')

    const local = probe(A, { echo: () => never })
    const ended = outcome(asker.chat(local.pid).ask('echo', { text: '' }))
    await world.settle()
    runtime(A).terminate(local.pid)
    await world.settle()
    t.equal(await ended, 'FAILED', 'it may have been served in part')
  })
})

t.test('an AskError says who, what and why', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    probe(B)
    const failures: AskError[] = []
    const asks = [
      runtime(A).ref(Chat, pid('nobody', B)).ask('echo', { text: '' }),
      runtime(A).ref(OtherChat, pid('probe(1)', B)).ask('echo', { text: 7 }),
      runtime(A).ref(Chat, pid('x', C)).ask('echo', { text: '' }, { timeoutMs: 100 }),
    ]
    for (const ask of asks) ask.catch((error: AskError) => failures.push(error))
    await world.advance(1_000)
    t.ok(failures.every(error => error instanceof AskError))
    t.match(
      failures.map(error => error.message),
      [
        `no connection to ${C}: connect ECONNREFUSED ${C}`,
        `there is no actor nobody@${B}`,
        /^test.chat\/echo: text: Invalid type/,
      ],
    )
  })
})

t.test('a second failure does not go unhandled while the first is awaited', async t => {
  await withStage(t, async ({ world, probe }) => {
    const { probe: actor } = probe(A, {
      initialize: async self => {
        const first = self.chat(pid('x', B)).ask('echo', { text: '' }, { timeoutMs: 50 })
        const second = self.chat(pid('x', A)).ask('echo', { text: '' })
        self.heard.push(await outcome(first), await outcome(second))
      },
    })
    probe(B, { echo: () => new Promise(() => {}) }, 'x')
    await world.advance(100)
    t.strictSame(actor.heard, ['TIMEOUT', 'NO_SUCH_ACTOR'])
  })
})

t.test('a throwing handler ends its actor, and its actor only', async t => {
  await withStage(t, async ({ world, probe, runtime, log }) => {
    const boom = (): never => {
      throw new Error('boom')
    }
    const victims = [
      probe(A, { note: boom }, 'synchronous'),
      probe(A, { note: async () => boom() }, 'asynchronous'),
      probe(A, { initialize: boom }, 'initialize'),
      probe(A, { note: self => void self.delay(1, boom) }, 'timer'),
      probe(A, { note: self => self.link(pid('nobody', A)), exited: boom }, 'exited'),
      probe(A, { note: self => self.resume(Promise.reject(new Error('disk'))) }, 'resume'),
      probe(A, { note: self => self.terminate(), finalize: boom }, 'finalize'),
    ]
    const witness = probe(B, {
      initialize: self => {
        for (const { pid: victim } of victims) self.link(victim)
      },
    })
    await world.advance(10)
    for (const { pid: victim } of victims) {
      runtime(A).ref(Chat, victim).tell('note', { text: '' })
    }
    await world.advance(10)
    t.strictSame(runtime(A).actors, [])
    t.strictSame(
      [...witness.probe.heard].sort(),
      victims.map(({ pid: victim }) => `exited ${victim}`).sort(),
    )
    t.equal(log.messages('error').length, victims.length)
    t.strictSame(world.fatalities, [])
  })
})

t.test('failureEnds process', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const vital = probe(A, {
      failureEnds: 'process',
      note: () => {
        throw new Error('the registry is gone')
      },
    })
    const watcher = probe(B, { initialize: self => self.link(vital.pid) })
    await world.advance(10)
    runtime(A).ref(Chat, vital.pid).tell('note', { text: '' })
    await world.advance(10)
    t.match(world.fatalities, [{ actor: vital.pid, error: { message: 'the registry is gone' } }])
    t.strictSame(watcher.probe.heard, [`exited ${vital.pid}`], 'its process is gone')
  })
})

t.test('links', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const near = probe(A, {}, 'near')
    const far = probe(B, {}, 'far')
    const deadNear = pid('dead', A)
    const deadFar = pid('dead', B)
    const watch = { initialize: (self: Probe) => link(self) }
    const link = (self: Probe): void => {
      for (const to of [near.pid, far.pid, deadNear, deadFar]) {
        self.link(to)
        self.link(to)
      }
    }
    const one = probe(A, watch)
    const two = probe(A, watch)
    await world.advance(10)
    const dead = [`exited ${deadNear}`, `exited ${deadFar}`]
    t.strictSame(one.probe.heard.splice(0), dead, 'at once for those that are dead')
    t.strictSame(two.probe.heard.splice(0), dead)

    two.probe.unlink(near.pid)
    two.probe.unlink(far.pid)
    two.probe.unlink(far.pid)
    runtime(A).terminate(near.pid)
    runtime(B).terminate(far.pid)
    await world.advance(10)
    t.strictSame(one.probe.heard.splice(0), [`exited ${near.pid}`, `exited ${far.pid}`])
    t.strictSame(two.probe.heard, [], 'not the one that unlinked')

    one.probe.link(far.pid)
    one.probe.link(near.pid)
    await world.advance(10)
    const again = [`exited ${near.pid}`, `exited ${far.pid}`]
    t.strictSame(one.probe.heard.splice(0), again, 'a link can be made again')

    one.probe.dispatch(() => {
      one.probe.link(near.pid)
      one.probe.unlink(near.pid)
    })
    await world.advance(10)
    t.strictSame(one.probe.heard, [], 'nothing is heard after unlink')

    probe(B, {}, 'far')
    one.probe.link(far.pid)
    two.probe.link(far.pid)
    await world.advance(10)
    t.strictSame(one.probe.heard, [], 'the new one lives')
    runtime(A).terminate(pid('probe(1)', A))
    await world.advance(10)
    runtime(B).terminate(far.pid)
    await world.advance(10)
    t.strictSame(two.probe.heard, [`exited ${far.pid}`], 'others keep their links')
  })
})

t.test('local messages share nothing in a world', async t => {
  await withStage(t, async ({ world, runtime }) => {
    class Keeper extends Actor {
      readonly kept: object[] = []
      readonly answer = { text: 'kept' }
      readonly serves = [
        serve(Chat, { note: message => void this.kept.push(message), echo: () => this.answer }),
      ]
    }
    const keeper = new Keeper()
    const self = runtime(A).spawn(keeper)
    const message = { text: 'x', tags: ['a'] }
    runtime(A).ref(Chat, self).tell('note', message)
    const asked = runtime(A).ref(Chat, self).ask('echo', { text: '' })
    await world.settle()
    message.tags.push('b')
    t.strictSame(keeper.kept, [{ text: 'x', tags: ['a'] }], 'nor the message')
    t.not(await asked, keeper.answer, 'nor the answer')
    t.strictSame(await asked, { text: 'kept' })
    t.throws(() => runtime(A).ref(OtherChat, self).tell('note', { text: 7 }), {
      name: 'ValiError',
    })
    await world.settle()
  })
})

t.test('what was told is what arrives, whatever the sender does later in its turn', async t => {
  await withStage(t, async ({ world, probe }) => {
    const far = probe(B)
    probe(A, {
      initialize: self => {
        const message = { text: 'as it was' }
        self.chat(far.pid).tell('note', message)
        message.text = 'changed'
      },
    })
    await world.advance(10)
    t.strictSame(far.probe.heard, ['as it was'])
  })
})

t.test('a busy actor leaves the others of its process their turns', async t => {
  for (const wait of [undefined, Promise.resolve()]) {
    await withStage(t, async ({ world, probe, runtime }) => {
      const order: string[] = []
      const busy = probe(A, {
        note: (self, text) => {
          order.push('busy')
          if (order.length < 10_000) self.chat(self.self).tell('note', { text })
          return wait
        },
      })
      runtime(A).ref(Chat, busy.pid).tell('note', { text: 'again' })
      runtime(A).ref(Chat, busy.pid).tell('note', { text: 'and again' })
      const other = probe(A, { note: () => void order.push('other') })
      runtime(A).ref(Chat, other.pid).tell('note', { text: 'me' })
      await world.settle()
      t.ok(order.indexOf('other') < 10, `its turn came after ${order.indexOf('other')} others`)
      t.ok(order.length >= 10_000)
    })
  }
})

t.test('/__processes__ shows the mailboxes', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const { pid: self } = probe(A, {}, 'master')
    await world.settle()
    runtime(A).ref(Chat, self).tell('note', { text: '' })
    const response = await runtime(A).http({
      method: 'GET',
      path: '/__processes__',
      query: new URLSearchParams(),
      headers: {},
      body: new Uint8Array(),
    })
    t.strictSame(JSON.parse(String(response.body)), [
      { id: 'master', events: [{ type: 'MESSAGE', name: 'test.chat/note', from: '' }], recent: [] },
    ])
  })
})

t.test('a timer that has fired can still be cancelled by an event before its own', async t => {
  const world = new World({ log: silentLogger })
  const seen: string[] = []
  class Canceller extends Actor {
    readonly serves = []
    protected override initialize(): void {
      const timers: Timer[] = []
      this.delay(10, () => {
        seen.push('first')
        timers[0]!.cancel()
      })
      timers.push(this.delay(10, () => seen.push('second')))
      this.delay(11, () => seen.push('third'))
    }
  }
  world.start('10.0.0.1:1').spawn(new Canceller())
  await world.advance(20)
  t.same(seen, ['first', 'third'])
})
