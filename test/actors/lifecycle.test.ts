// An actor's life and its company: ends and their reasons, waiting, forwarding, answers that come later, callbacks.

import t from 'tap'
import * as v from 'valibot'
import { Actor } from '../../src/actors/actor.ts'
import { type Pid, pid } from '../../src/actors/pid.ts'
import { call, cast, protocol, serve } from '../../src/actors/protocol.ts'
import { type Deferred, deferred } from '../../src/base/deferred.ts'
import { A, B, C, Chat, outcome, Probe, withStage } from './probe.ts'

t.test('whoever is linked is told why', async t => {
  await withStage(t, async ({ world, probe, runtime, restart }) => {
    for (const at of [A, B]) {
      const ends = probe(at)
      const fails = probe(at, {
        note: () => {
          throw new Error('a bug')
        },
      })
      const crashes = probe(C)
      const absent = pid('nobody', at)
      const witness = probe(A).probe
      await world.advance(10)
      for (const to of [absent, ends.pid, fails.pid, crashes.pid]) witness.link(to)
      await world.advance(10)
      runtime(at).terminate(ends.pid)
      await world.advance(10)
      runtime(at).ref(Chat, fails.pid).tell('note', { text: '' })
      await world.advance(10)
      restart(C)
      await world.advance(10)
      t.strictSame(
        witness.heard,
        [absent, ends.pid, fails.pid, crashes.pid].map(to => `exited ${to}`),
      )
      t.strictSame(witness.reasons, ['absent', 'ended', 'failed', 'unreachable'], at)
    }
  })
})

t.test('where nobody listens there is nobody; where nobody answers there may be', async t => {
  await withStage(t, async ({ world, probe }) => {
    const witness = probe(A).probe
    await world.advance(10)
    witness.link(pid('x', '10.0.9.9:5050'))
    await world.advance(10)
    t.strictSame(witness.reasons, ['absent'])
    world.network.partition([A], [B])
    witness.link(pid('x', B))
    await world.advance(60_000)
    t.strictSame(witness.reasons, ['absent', 'unreachable'])
  })
})

t.test('an actor ends another one at once, or when that has served what it has', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const now = probe(A)
    const later = probe(A)
    const killer = probe(A, {
      note: self => {
        for (const { pid: victim } of [now, later]) {
          self.chat(victim).tell('note', { text: 'last' })
        }
        self.terminate(now.pid)
        self.terminate(later.pid, { drain: true })
        self.chat(later.pid).tell('note', { text: 'too late' })
      },
    })
    await world.settle()
    runtime(A).ref(Chat, killer.pid).tell('note', { text: '' })
    await world.settle()
    t.strictSame([now.probe.heard, later.probe.heard], [[], ['last']])
    t.strictSame(runtime(A).actors, ['probe(3)'])
  })
})

t.test('an actor that has ended ends nobody, nor its successor under the same id', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const first = probe(A, {}, 'worker')
    const other = probe(A, {}, 'other')
    await world.settle()
    runtime(A).terminate(first.pid)
    await world.settle()
    probe(A, {}, 'worker')
    first.probe.terminate()
    first.probe.terminate(other.pid)
    await world.settle()
    t.strictSame(runtime(A).actors, ['other', 'worker'])
  })
})

t.test('wait ends with the actor, or after its time', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const target = probe(A)
    const waiter = probe(A, {
      note: async (self, text) => {
        const { pid: of } = target
        self.heard.push(`${text}: ${await self.waitFor(of, text === '' ? {} : { timeoutMs: 50 })}`)
      },
    })
    const short = runtime(A).wait(target.pid, { timeoutMs: 50 })
    const long = runtime(A).wait(target.pid, { timeoutMs: 500 })
    for (const text of ['', '50']) runtime(A).ref(Chat, waiter.pid).tell('note', { text })
    await world.advance(100)
    t.equal(await short, false, 'it lives')
    t.strictSame(waiter.probe.heard, ['', '50', '50: false'])
    runtime(A).terminate(target.pid)
    await world.settle()
    t.equal(await long, true)
    t.strictSame(waiter.probe.heard.slice(3), [': true'])
    runtime(A).ref(Chat, waiter.pid).tell('note', { text: '' })
    await world.settle()
    t.strictSame(waiter.probe.heard.slice(4), ['', ': false'], 'there is none')
    t.strictSame(world.leftovers(), [`${A}: actors probe(2)`], 'and no timer is left')
  })
})

t.test('a waiting actor that ends leaves no timer', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const target = probe(A)
    const waiter = probe(A, {
      initialize: async self => {
        self.heard.push(String(await self.waitFor(target.pid, { timeoutMs: 60_000 })))
      },
    })
    await world.settle()
    runtime(A).terminate(waiter.pid)
    await world.settle()
    t.strictSame(world.leftovers(), [`${A}: actors probe(1)`])
    runtime(A).terminate(target.pid)
    await world.settle()
    t.strictSame(waiter.probe.heard, [], 'it has ended before')
  })
})

t.test('sleep lets others be served, and never comes back after the end', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const { probe: actor, pid: self } = probe(A, {
      note: async (self, text) => {
        await self.sleep(10)
        self.heard.push(`${text} slept`)
        await self.sleep(1_000)
        self.heard.push(`${text} slept long`)
      },
    })
    for (const text of ['a', 'b']) runtime(A).ref(Chat, self).tell('note', { text })
    await world.advance(10)
    t.strictSame(actor.heard, ['a', 'b', 'a slept', 'b slept'])
    runtime(A).terminate(self)
    await world.advance(2_000)
    t.equal(actor.heard.length, 4)
    t.strictSame(world.leftovers(), [])
  })
})

t.test('a deferred callback is an event of its actor, whoever calls it', async t => {
  await withStage(t, async ({ world, probe, runtime, log }) => {
    let callback = (_status: number, _signal: string): void => {}
    const { probe: actor, pid: self } = probe(A, {
      initialize: self => {
        callback = self.defer((status: number, signal: string) => {
          if (signal === 'bad') throw new Error('a bug')
          self.heard.push(`${status} ${signal}`)
        })
      },
      note: (self, text) => {
        callback(1, text)
        self.heard.push('its turn ends first')
      },
    })
    await world.settle()
    callback(0, 'outside')
    t.strictSame(actor.heard, [], 'not within the call')
    runtime(A).ref(Chat, self).tell('note', { text: 'inside' })
    await world.settle()
    t.strictSame(actor.heard, ['0 outside', 'inside', 'its turn ends first', '1 inside'])
    callback(2, 'bad')
    callback(3, 'dropped')
    await world.settle()
    t.strictSame(runtime(A).actors, [], 'what it throws ends the actor')
    callback(4, 'from the grave')
    await world.settle()
    t.equal(actor.heard.length, 4)
    t.equal(log.messages('error').length, 1)
  })
})

t.test('a question may be answered in a later turn', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const open: Deferred<string>[] = []
    const keeper = probe(B, {
      echo: () => {
        const answer = deferred<string>()
        open.push(answer)
        return answer.promise
      },
      note: (_, text) => open.shift()?.resolve(text),
    })
    const ask = (): Promise<string> =>
      outcome(runtime(A).ref(Chat, keeper.pid).ask('echo', { text: '' }))
    const first = ask()
    const second = ask()
    await world.advance(10)
    runtime(A).ref(Chat, keeper.pid).tell('note', { text: 'at last' })
    await world.advance(10)
    t.equal(await first, 'at last')
    runtime(B).terminate(keeper.pid)
    await world.advance(10)
    t.equal(await second, 'FAILED', 'its end answers what is open')
  })
})

const Text = v.object({ text: v.string() })
const Loud = protocol('test.loud', {
  shout: call(Text, Text),
  late: call(Text, Text),
  hiss: cast(Text),
})

/** Hands everything over: some of it as it is, some of it changed. */
class Front extends Actor {
  readonly #to: Pid
  readonly serves = [
    this.delegate(Chat, () => this.#to),
    serve(Loud, {
      shout: ({ text }, _from, envelope) =>
        this.ref(Chat, this.#to).forward(envelope, 'echo', { text: text.toUpperCase() }),
      hiss: ({ text }, _from, envelope) =>
        this.ref(Chat, this.#to).forward(envelope, 'note', { text: `${text}sss` }),
      late: async ({ text }, _from, envelope) => {
        await this.sleep(10)
        return this.ref(Chat, this.#to).forward(envelope, 'echo', { text })
      },
    }),
  ]

  constructor(to: Pid) {
    super()
    this.#to = to
  }
}

t.test('what is forwarded is answered straight to whoever asked', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    for (const [front, back, asker] of [
      [A, A, A],
      [A, B, A],
      [B, A, A],
      [B, C, A],
    ] as const) {
      const froms: string[] = []
      const never = new Promise<string>(() => {})
      const behind = probe(back, {
        note: (_, _text, from) => void froms.push(from),
        echo: (_self, text, from) => {
          froms.push(from)
          if (text === 'slow') return never
          if (text === 'later') return behind.probe.sleep(100).then(() => text)
          return text
        },
      })
      const facade = runtime(front).spawn(new Front(behind.pid))
      const speaker = probe(asker).probe
      await world.settle()
      const chat = speaker.chat(facade)
      const loud = speaker.any(Loud, facade)
      chat.tell('note', { text: 'told' })
      loud.tell('hiss', { text: 'p' })
      const asked = [
        chat.ask('echo', { text: 'delegated' }),
        loud.ask('shout', { text: 'aloud' }),
        loud.ask('late', { text: 'late' }),
      ].map(outcome)
      await world.advance(30)
      t.strictSame(await Promise.all(asked), ['delegated', 'ALOUD', 'late'])
      t.strictSame(behind.probe.heard, ['told', 'psss'])
      const seen = front === back ? speaker.self : facade
      t.strictSame(new Set(froms), new Set([seen]), `${asker} to ${front} to ${back}`)

      const slow = outcome(chat.ask('echo', { text: 'slow' }))
      const later = outcome(chat.ask('echo', { text: 'later' }))
      await world.advance(10)
      runtime(front).terminate(facade)
      await world.advance(150)
      t.equal(await later, 'later', 'also when the one between has ended')
      runtime(back).terminate(behind.pid)
      await world.advance(10)
      t.equal(await slow, 'FAILED', 'the end of the last one is the end of the question')
    }
  })
})

t.test('what cannot be forwarded fails where it was asked', async t => {
  await withStage(t, async ({ world, runtime }) => {
    for (const at of [A, B]) {
      const front = runtime(A).spawn(new Front(pid('nobody', at)))
      const asked = outcome(runtime(A).ref(Chat, front).ask('echo', { text: '' }))
      runtime(A).ref(Chat, front).tell('note', { text: '' })
      await world.advance(10)
      t.equal(await asked, at === A ? 'NO_SUCH_ACTOR' : 'DISCONNECTED')
    }
  })
})

t.test('an answer or a question that cannot be sent fails where it was asked', async t => {
  const noText = (value: unknown) => value as string
  await withStage(t, async ({ world, probe, runtime }) => {
    const answers = probe(A, {
      echo: (_, text) => noText(text === 'symbol' ? Symbol('no') : 5),
    })
    const ask = (text: unknown) =>
      outcome(
        runtime(B)
          .ref(Chat, answers.pid)
          .ask('echo', { text: noText(text) }),
      )
    t.throws(() => ask(Symbol('no')), /Unknown type/, 'such a question never leaves')
    const asked = [ask('number'), ask('symbol')]
    await world.advance(100)
    t.equal(await asked[0], 'FAILED', 'an answer of another shape is the answerer’s fault')
    t.equal(await asked[1], 'FAILED', 'an answer that cannot be encoded ends who gave it')
    const late = ask('late')
    await world.advance(100)
    t.equal(await late, 'NO_SUCH_ACTOR')
  })
})

t.test('code that is no actor tells many at once', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const all = [probe(A), probe(B), probe(B)]
    const many = runtime(A).refs(
      Chat,
      all.map(one => one.pid),
    )
    many.tell('note', { text: 'to all' })
    await world.advance(100)
    t.strictSame(
      all.map(one => one.probe.heard),
      [['to all'], ['to all'], ['to all']],
    )
  })
})

t.test('what is answered, or its actor has ended, cannot be forwarded any more', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const behind = probe(A)
    class Doubtful extends Actor {
      readonly serves = [
        serve(Chat, {
          echo: (body, _from, envelope) => {
            const other = this.ref(Chat, behind.pid)
            this.delay(10, () => other.forward(envelope, 'echo', { text: 'again' }))
            this.late = () => other.forward(envelope, 'note', { text: 'from the grave' })
            return body
          },
          note: () => {},
        }),
      ]
      late = (): void => {}
    }
    const actor = new Doubtful()
    const self = runtime(A).spawn(actor)
    const asked = outcome(runtime(A).ref(Chat, self).ask('echo', { text: 'once' }))
    await world.advance(100)
    t.equal(await asked, 'once')
    runtime(A).terminate(self)
    await world.settle()
    actor.late()
    await world.settle()
    t.strictSame(behind.probe.heard, [])
  })
})

t.test('a protocol is delegated to whoever is the right one at that moment', async t => {
  await withStage(t, async ({ world, runtime }) => {
    const workers = [new Probe(), new Probe()]
    const pids = workers.map(worker => runtime(A).spawn(worker))
    class Balancer extends Actor {
      #next = 0
      readonly serves = [this.delegate(Chat, () => pids[this.#next++ % 2]!)]
    }
    const balancer = runtime(A).ref(Chat, runtime(A).spawn(new Balancer()))
    for (const text of ['1', '2', '3', '4']) balancer.tell('note', { text })
    await world.settle()
    t.strictSame(
      workers.map(({ heard }) => heard),
      [
        ['1', '3'],
        ['2', '4'],
      ],
    )
  })
})

t.test('a link that doubts its connection finds out soon, and harms none that lives', async t => {
  await withStage(
    t,
    async ({ world, probe, runtime }) => {
      const far = probe(B)
      const [believer, doubter] = [probe(A).probe, probe(A).probe]
      believer.link(far.pid)
      doubter.link(far.pid)
      doubter.link(probe(A).pid, { reconnect: true })
      doubter.link(pid('x', C), { reconnect: true })
      await world.advance(100)
      doubter.heard.splice(0)
      for (const _ of [1, 2]) doubter.link(far.pid, { reconnect: true })
      await world.advance(60_000)
      t.strictSame([believer.heard, doubter.heard], [[], []], 'it lives')

      world.network.partition([A], [B])
      doubter.link(far.pid, { reconnect: true })
      await world.advance(9_000)
      t.strictSame(doubter.heard, [], 'it may only be slow')
      await world.advance(2_000)
      const exited = [`exited ${far.pid}`]
      t.strictSame([believer.heard, doubter.heard], [exited, exited], 'the connection is given up')
      t.strictSame(doubter.reasons.at(-1), 'unreachable')

      world.network.heal()
      await world.advance(1_000)
      doubter.link(far.pid, { reconnect: true })
      await world.advance(1_000)
      runtime(B).terminate(far.pid)
      await world.advance(100)
      t.strictSame(doubter.reasons.at(-1), 'ended', 'a link made anew goes over a new connection')
    },
    { limits: { pingIntervalMs: 60_000, silenceLimitMs: 300_000 } },
  )
})
