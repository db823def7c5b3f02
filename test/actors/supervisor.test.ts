// Who is started again, when, how often, and what becomes of a group that cannot be mended.

import t, { type Test } from 'tap'
import type { Actor } from '../../src/actors/actor.ts'
import { type Pid, pid } from '../../src/actors/pid.ts'
import { serve } from '../../src/actors/protocol.ts'
import { type Child, Supervisor, type SupervisorOptions } from '../../src/actors/supervisor.ts'
import { A, B, Chat, outcome, Probe, type ProbeOptions, type Stage, withStage } from './probe.ts'

/** Fails when it is told to, ends when it is told to. */
const OPTIONS: ProbeOptions = {
  note: (self, text) => {
    if (text === 'fail') throw new Error('as it was told')
    if (text === 'end') self.terminate()
  },
}

interface Family {
  readonly child: (id: string) => Child
  /** All that were ever started, by id. */
  readonly started: (id: string) => readonly Probe[]
  readonly tell: (id: string, text: string) => Promise<void>
  readonly echo: (id: string) => Promise<string>
}

function family({ world, runtime }: Stage): Family {
  const probes = new Map<string, Probe[]>()
  const start = (id: string) => (): Actor => {
    const probe = new Probe(OPTIONS)
    probes.set(id, [...(probes.get(id) ?? []), probe])
    return probe
  }
  const chat = (id: string) => runtime(A).ref(Chat, pid(id, A))
  return {
    child: id => ({ id, start: start(id) }),
    started: id => probes.get(id) ?? [],
    tell: (id, text) => {
      chat(id).tell('note', { text })
      return world.settle()
    },
    echo: async id => {
      const asked = outcome(chat(id).ask('echo', { text: 'here' }))
      await world.settle()
      return asked
    },
  }
}

async function supervised(
  t: Test,
  options: Omit<SupervisorOptions, 'children'>,
  work: (stage: Stage, family: Family, supervisor: Pid) => Promise<void>,
): Promise<void> {
  await withStage(t, async stage => {
    const f = family(stage)
    const children = ['one', 'two'].map(f.child)
    const supervisor = stage.runtime(A).spawn(new Supervisor({ children, ...options }))
    await stage.world.settle()
    await work(stage, f, supervisor)
  })
}

t.test('a child that fails is started again, under its id and as new', async t => {
  await supervised(t, { backoffMs: 10 }, async ({ world, probe, log }, f) => {
    await f.tell('one', 'what it knew')
    const witness = probe(B)
    witness.probe.link(pid('one', A))
    await world.advance(5)
    await f.tell('one', 'fail')
    t.equal(await f.echo('one'), 'NO_SUCH_ACTOR', 'for a moment nobody is there')
    await world.advance(10)
    t.equal(await f.echo('one'), 'here')
    t.strictSame(
      f.started('one').map(({ heard }) => heard),
      [['what it knew', 'fail'], []],
    )
    t.equal(f.started('two').length, 1, 'the other one has not noticed')
    t.strictSame(witness.probe.heard, [`exited one@${A}`])
    t.strictSame(witness.probe.reasons, ['failed'])
    t.strictSame(log.messages('warn'), ['a failed actor is started again'])
  })
})

t.test('a child that ends is not', async t => {
  await supervised(t, { backoffMs: 10 }, async ({ world, runtime }, f) => {
    await f.tell('one', 'end')
    runtime(A).terminate(pid('two', A))
    await world.advance(1_000)
    t.strictSame(runtime(A).actors, ['supervisor(1)'])
  })
})

t.test('each restart within the window waits twice as long, up to a limit', async t => {
  const options = { backoffMs: 100, maxBackoffMs: 300, windowMs: 10_000 }
  await supervised(t, options, async ({ world }, f) => {
    const waited: number[] = []
    for (let i = 0; i < 4; i++) {
      const startMs = world.clock.now()
      await f.tell('one', 'fail')
      while ((await f.echo('one')) !== 'here') await world.advance(50)
      waited.push(world.clock.now() - startMs)
    }
    t.strictSame(waited, [100, 200, 300, 300])
    await world.advance(10_000)
    await f.tell('two', 'fail')
    await world.advance(100)
    t.equal(await f.echo('two'), 'here', 'after a quiet window it is as the first')
  })
})

t.test(
  'too many restarts within the window: the supervisor fails, and ends its children',
  async t => {
    const options = { backoffMs: 0, maxRestarts: 2, windowMs: 1_000 }
    await supervised(t, options, async ({ world, probe, runtime, log }, f, supervisor) => {
      const witness = probe(A).probe
      witness.link(supervisor)
      for (const _ of [1, 2, 3, 4]) {
        await f.tell('one', 'fail')
        await world.advance(600)
      }
      t.equal(await f.echo('one'), 'here', 'four, but never three within a second')
      for (const _ of [1, 2]) await f.tell('one', 'fail')
      t.strictSame(witness.reasons, ['failed'])
      t.strictSame(runtime(A).actors, [witness.self.slice(0, -A.length - 1)])
      const report = log.records.findLast(({ fields }) => fields['actor'] === 'supervisor(1)')
      t.match(report?.fields['error'], {
        message:
          'one failed, after 2 restarts within 1000 ms: supervisor(1) gives up; why it failed is in the log, before this',
      })
    })
  },
)

t.test('a supervisor of supervisors starts the whole group anew', async t => {
  await withStage(t, async stage => {
    const { world, runtime } = stage
    const f = family(stage)
    const group = {
      id: 'group',
      start: () =>
        new Supervisor({ children: ['one', 'two'].map(f.child), maxRestarts: 0, backoffMs: 0 }),
    }
    runtime(A).spawn(new Supervisor({ children: [group], backoffMs: 0 }), 'top')
    await world.settle()
    await f.tell('one', 'fail')
    t.strictSame(runtime(A).actors.toSorted(), ['group', 'one', 'top', 'two'])
    t.equal(f.started('one').length, 2)
    t.equal(f.started('two').length, 2, 'its sister with it')
  })
})

t.test('a child that cannot even start is a failure like others', async t => {
  await withStage(t, async ({ world, runtime, log }) => {
    let starts = 0
    const child = {
      id: 'hopeless',
      start: () =>
        new Probe({
          initialize: () => {
            starts++
            throw new Error('no disk')
          },
        }),
    }
    runtime(A).spawn(new Supervisor({ children: [child], maxRestarts: 3 }))
    await world.advance(10_000)
    t.equal(starts, 4)
    t.strictSame(runtime(A).actors, [])
    t.equal(log.messages('error').length, 5, 'four reports of it, and one of its supervisor')
  })
})

t.test('a supervisor that ends takes its children with it, the last one first', async t => {
  await withStage(t, async stage => {
    const { world, runtime } = stage
    const order: string[] = []
    const child = (id: string): Child => ({
      id,
      start: () => new Probe({ ...OPTIONS, finalize: () => void order.push(id) }),
    })
    const children = ['one', 'two', 'three', 'waiting'].map(child)
    const self = runtime(A).spawn(new Supervisor({ children, backoffMs: 1_000 }))
    await world.settle()
    await family(stage).tell('waiting', 'fail')
    order.splice(0)
    runtime(A).terminate(self)
    await world.settle()
    t.strictSame(order, ['three', 'two', 'one'])
    await world.advance(2_000)
    t.strictSame(runtime(A).actors, [], 'and what waited is not started')
  })
})

t.test('a subclass serves messages, and adds and dismisses children', async t => {
  await withStage(t, async stage => {
    const { world, runtime } = stage
    const f = family(stage)
    class Pool extends Supervisor {
      override readonly serves = [
        serve(Chat, {
          echo: ({ text }) => ({ text: this.supervise(f.child(text)) }),
          note: ({ text }) => this.dismiss(text as Pid),
        }),
      ]
    }
    const pool = runtime(A).ref(Chat, runtime(A).spawn(new Pool({ backoffMs: 10 })))
    const add = async (id: string): Promise<string> => {
      const added = outcome(pool.ask('echo', { text: id }))
      await world.settle()
      return added
    }
    const one = await add('one')
    await add('two')
    await f.tell('one', 'fail')
    await f.tell('two', 'fail')
    pool.tell('note', { text: one })
    await world.advance(100)
    t.strictSame(runtime(A).actors, ['supervisor(1)', 'two'], 'not the one that was dismissed')
    for (const _ of [1, 2]) pool.tell('note', { text: `two@${A}` })
    await world.settle()
    t.strictSame(runtime(A).actors, ['supervisor(1)'])
    await add('three')
    t.equal(await add('three'), 'FAILED', 'a taken id is refused, and ends whoever takes it')
    await world.settle()
    t.strictSame(runtime(A).actors, [])
  })
})

t.test('numbers below nothing are refused', t => {
  t.throws(() => new Supervisor({ backoffMs: -1 }), { message: /backoffMs/ })
  t.end()
})
