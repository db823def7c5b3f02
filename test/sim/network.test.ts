// The simulated network: what it does to single messages, to connections, and to links.

import t from 'tap'
import type { Channel } from '../../src/actors/transport.ts'
import { silentLogger } from '../../src/base/log.ts'
import { SeededRandom } from '../../src/base/random.ts'
import type { NetworkTape } from '../../src/sim/network-tape.ts'
import { VirtualClock } from '../../src/sim/virtual-clock.ts'
import { VirtualNetwork } from '../../src/sim/virtual-network.ts'
import { World } from '../../src/sim/world.ts'
import { A, B, C, Chat, Probe, withStage } from '../actors/probe.ts'

interface Pair {
  readonly clock: VirtualClock
  readonly network: VirtualNetwork
  /** What B got, in order, and the reason of the end. */
  readonly got: string[]
  /** Why A's end was closed. */
  readonly closed: string[]
  readonly send: (byte: number) => void
  readonly close: (reason: string) => void
}

/** A has dialled B. */
async function pair(
  options: { readonly seed?: number; readonly latencyMs?: readonly [number, number] } = {},
  replay?: NetworkTape,
): Promise<Pair> {
  const clock = new VirtualClock()
  const network = new VirtualNetwork({
    clock,
    random: new SeededRandom(options.seed ?? 1),
    latencyMs: options.latencyMs ?? [1, 50],
    ...(replay && { replay }),
  })
  const got: string[] = []
  const closed: string[] = []
  network.transport(B).onChannel(() => ({
    message: bytes => void got.push(String(bytes[0])),
    closed: reason => void got.push(reason),
  }))
  let channel: { send(b: Uint8Array): void; close(r: string): void } | undefined
  network.transport(A).dial(B, {
    opened: opened => (channel = opened),
    message: () => {},
    closed: reason => void closed.push(reason),
  })
  await clock.advance(200)
  return {
    clock,
    network,
    got,
    closed,
    send: byte => channel!.send(new Uint8Array([byte])),
    close: reason => channel!.close(reason),
  }
}

t.test('nothing overtakes what waited in a cut link', async t => {
  const { clock, network, got, send, close } = await pair()
  const expected: string[] = []
  for (let i = 0; i < 200; i++) {
    if (i % 20 === 5) network.partition([A], [B], { oneWay: true })
    if (i % 20 === 15) network.heal()
    send(i)
    expected.push(String(i))
    await clock.advance(1)
  }
  close('the end')
  send(7)
  await clock.advance(200)
  t.strictSame(got, [...expected, 'the end'])
  t.equal(network.connections, 0)
})

t.test('what is not read stays with its sender, and an end comes behind it', async t => {
  const clock = new VirtualClock()
  const network = new VirtualNetwork({ clock, random: new SeededRandom(1), latencyMs: [1, 5] })
  const got: string[] = []
  let reader: Channel | undefined
  network.transport(B).onChannel(channel => {
    reader = channel
    return {
      message: bytes => {
        got.push(String(bytes[0]))
        if (bytes[0] === 2) channel.pause(true)
      },
      closed: reason => void got.push(reason),
    }
  })
  let writer: Channel | undefined
  network.transport(A).dial(B, {
    opened: opened => (writer = opened),
    message: () => {},
    closed: () => {},
  })
  await clock.advance(200)
  for (let i = 0; i < 5; i++) writer!.send(new Uint8Array([i]))
  t.equal(writer!.bufferedBytes, 5, 'nothing has arrived')
  await clock.advance(200)
  t.strictSame([got, writer!.bufferedBytes], [['0', '1', '2'], 2])
  writer!.close('the end')
  await clock.advance(200)
  t.strictSame(got, ['0', '1', '2'])
  reader!.pause(false)
  await clock.advance(200)
  t.strictSame(got, ['0', '1', '2', '3', '4', 'the end'])
})

t.test('a link is whole when the last of its cuts is mended', async t => {
  const { clock, network, got, send } = await pair()
  const one = network.partition([A], [B, C])
  const other = network.partition([B], [A])
  send(1)
  one.mend()
  one.mend()
  await clock.advance(100)
  t.strictSame(got, [])
  other.mend()
  await clock.advance(100)
  t.strictSame(got, ['1'])
  const third = network.partition([A], [B])
  network.heal()
  third.mend()
  network.partition([B], [A], { oneWay: true })
  send(2)
  await clock.advance(100)
  t.strictSame(got, ['1', '2'], 'the other direction is cut')
})

t.test('nothing arrives over a clogged link until it is free, and then all of it', async t => {
  const { clock, network, got, send } = await pair()
  network.clog([A], [B], 1_000)
  send(1)
  send(2)
  await clock.advance(999)
  t.strictSame(got, [])
  send(3)
  await clock.advance(100)
  t.strictSame(got, ['1', '2', '3'])
})

t.test('a connection that breaks loses what is on its way, and both sides hear of it', async t => {
  const { clock, network, got, closed, send } = await pair()
  send(1)
  await clock.advance(100)
  send(2)
  network.reset(A)
  send(3)
  await clock.advance(100)
  t.strictSame(got, ['1', 'connection reset'])
  t.strictSame(closed, ['connection reset'])
  t.equal(network.connections, 0)
})

t.test('a message that is lost takes its connection with it', async t => {
  const { clock, network, got, closed, send } = await pair()
  send(1)
  await clock.advance(100)
  network.lossRate = 1
  send(2)
  await clock.advance(100)
  t.strictSame([got, closed], [['1', 'connection reset'], ['connection reset']])
})

t.test('a device that is lost is noticed on its own side only', async t => {
  const { clock, network, got, closed, send } = await pair()
  network.cutOff(A)
  send(1)
  await clock.advance(100)
  t.strictSame([got, closed], [[], ['network is down']])
})

t.test('what a network did it does again from its tape, whatever its seed', async t => {
  const run = async (seed: number, replay?: NetworkTape) => {
    const { clock, network, got, send } = await pair({ seed }, replay)
    const tape = network.record()
    const lines: string[] = []
    for (let i = 0; i < 50; i++) {
      send(i)
      await clock.advance(5)
      lines.push(`${clock.now()} ${got.length}`)
    }
    return { lines, tape: JSON.parse(JSON.stringify(tape)) as NetworkTape }
  }
  // The dial comes before the recording, so it is not on the tape: its one delay is put there.
  const first = await run(1)
  const whole: NetworkTape = {
    ...first.tape,
    [`${A}>${B}`]: {
      ...first.tape[`${A}>${B}`]!,
      delaysMs: [1, ...first.tape[`${A}>${B}`]!.delaysMs],
    },
  }
  t.strictSame((await run(2, whole)).lines, first.lines)
  t.notSame((await run(2)).lines, first.lines)
})

t.test('a tape has the messages that rules lost', async t => {
  const run = async (replay?: NetworkTape) => {
    const world = new World({ log: silentLogger, ...(replay && { replay }) })
    const tape = world.network.record()
    const far = new Probe()
    const near = new Probe()
    world.start(B).spawn(far)
    world.start(A).spawn(near)
    await world.settle()
    let nth = 0
    if (!replay) world.network.drop(({ message }) => message === Chat.wire.note && ++nth === 2)
    for (const text of ['one', 'two', 'three']) {
      near.chat(`probe(1)@${B}` as never).tell('note', { text })
      await world.advance(10)
    }
    await world.stop()
    return { heard: far.heard, tape }
  }
  const { heard, tape } = await run()
  t.strictSame(heard, ['one', 'three'])
  t.strictSame((await run(tape)).heard, heard)
})

t.test('messages are lost by protocol, name, sender, receiver and content', async t => {
  await withStage(t, async ({ world, probe }) => {
    const far = probe(B)
    const { probe: near } = probe(A)
    const say = async (text: string) => {
      near.chat(far.pid).tell('note', { text })
      await world.advance(10)
    }
    await say('one')
    const rule = world.network.drop(({ message, fromId, toId, from, to, body }) => {
      if (message !== Chat.wire.note || toId !== 'probe(1)' || to !== B) return false
      return fromId === 'probe(1)' && from === A && (body as { text: string }).text !== 'three'
    })
    await say('two')
    await say('three')
    t.equal(rule.count, 1)
    rule.stop()
    await say('four')
    t.strictSame(far.probe.heard, ['one', 'three', 'four'])
  })
})

t.test(
  'recorded messages are sent again when asked for, over the connection of the hour',
  async t => {
    await withStage(t, async ({ world, probe }) => {
      const far = probe(B)
      const { probe: near } = probe(A)
      const say = async (text: string) => {
        near.chat(far.pid).tell('note', { text })
        await world.advance(10)
      }
      const recording = world.network.keep(({ message }) => message === Chat.wire.note)
      await say('one')
      await say('two')
      recording.stop()
      await say('three')
      world.network.reset(B)
      await world.advance(10)
      t.equal(recording.replay(), 0, 'there is no connection')
      await say('four')
      t.equal(recording.replay(), 2)
      await world.advance(10)
      t.equal(recording.count, 2)
      t.strictSame(far.probe.heard, ['one', 'two', 'three', 'four', 'one', 'two'])
    })
  },
)

t.test('what one connection carried comes once more with the next', async t => {
  await withStage(t, async ({ world, probe }) => {
    const far = probe(B)
    const { probe: near } = probe(A)
    const say = async (text: string) => {
      near.chat(far.pid).tell('note', { text })
      await world.advance(10)
    }
    const rule = world.network.duplicate(({ message }) => message === Chat.wire.note)
    await say('one')
    rule.stop()
    await say('two')
    world.network.reset(A)
    await world.advance(10)
    await say('three')
    await say('four')
    t.strictSame(far.probe.heard, ['one', 'two', 'three', 'one', 'four'])
    t.equal(rule.count, 1)
  })
})

t.test(
  'what was said to a process that has died does not come to the next one at its address',
  async t => {
    await withStage(t, async ({ world, probe, restart }) => {
      const { pid } = probe(B)
      const { probe: near } = probe(A)
      const say = async (text: string) => {
        near.chat(pid).tell('note', { text })
        await world.advance(10)
      }
      world.network.duplicate(({ message }) => message === Chat.wire.note)
      await say('one')
      restart(B)
      await world.advance(10)
      const next = probe(B)
      await say('two')
      await say('three')
      t.strictSame(next.probe.heard, ['two', 'three'])
    })
  },
)

t.test('a name that points elsewhere is followed when it is looked up again', async t => {
  const NAME = 'service.example:5050'
  await withStage(t, async ({ world, probe }) => {
    const first = probe(B)
    const second = probe(C)
    const { probe: near } = probe(A)
    const say = async (text: string) => {
      near.chat(`probe(1)@${NAME}` as never).tell('note', { text })
      await world.advance(10)
    }
    world.network.alias(NAME, B)
    await say('one')
    world.network.alias(NAME, C)
    await say('two')
    t.strictSame(first.probe.heard, ['one', 'two'], 'the connection is there already')
    world.crash(B)
    await world.advance(10)
    await say('three')
    t.strictSame(second.probe.heard, ['three'])
  })
})
