// What strangers and bad peers may do at the door: limits, each with its count, and anything at all, by seeds.

import fc from 'fast-check'
import t from 'tap'
import { decode, encode } from '../../src/actors/codec.ts'
import { FRAME, type Frame, type Hello } from '../../src/actors/frames.ts'
import { Handshake } from '../../src/actors/handshake.ts'
import type { Limits } from '../../src/actors/limits.ts'
import { pid } from '../../src/actors/pid.ts'
import { memberAuthenticator } from '../../src/actors/shared-secret.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { bare } from './bare.ts'
import { A, B, C, Probe } from './probe.ts'

const random = new SeededRandom(11)
const member = () =>
  memberAuthenticator('a secret of thirty-two characters', count => random.bytes(count))

function door(options: { limits?: Partial<Limits>; secret?: boolean } = {}) {
  const made = bare(options.limits ?? {}, A, options.secret ? member() : undefined)
  const probe = new Probe()
  made.runtime.spawn(probe, 'x')
  const metric = async (name: string): Promise<number> =>
    (await made.runtime.metrics.snapshot(made.world.clock))[`actors/peers/${name}`]!
  return { ...made, probe, metric }
}

const note = (text: unknown, to = 'x') => [FRAME.tell, to, 'y', 'test.chat/note', { text }]
/** The frame that was sent last. */
const last = (sent: readonly Uint8Array[]): Frame => (decode(sent.at(-1)!) as Frame[])[0]!

/** A peer that has the secret; `steps` are its messages, each made when it is its turn. */
function honest(address = B) {
  const handshake = new Handshake({
    address,
    incarnation: address,
    authenticator: member(),
    outgoing: true,
  })
  const hello = handshake.greeting(0)
  const proof = (challenge: Frame): Frame => {
    const step = handshake.receive(challenge)
    if (!step || !('send' in step)) throw new Error('the challenge is refused')
    return step.send
  }
  return { hello, proof }
}

t.test('where a secret is set, nothing of a stranger is heard before its proof', async t => {
  const { connect, world, probe, metric } = door({ secret: true })
  const { hello, proof } = honest()
  const eager = connect()
  eager.send(hello, note('too early'))
  t.match(eager.got.closed, /did not greet first/)
  const plain = connect()
  plain.greet()
  plain.send(note('believe me'))
  t.match(plain.got.closed, /--cluster_secret/)
  t.strictSame(plain.got.sent, [], 'nor is it told anything')
  const good = connect()
  good.send(hello)
  good.send(proof(last(good.got.sent)), note('welcome'))
  await world.settle()
  t.strictSame(probe.heard, ['welcome'])
  t.strictSame(
    await Promise.all(['cut_off', 'cut_off/unproved', 'connected', 'half_open'].map(metric)),
    [2, 1, 1, 0],
  )
})

t.test('strangers take little room, and not for long', async t => {
  const limits = { maxHalfOpenPerHost: 3, maxHalfOpen: 5, maxGreetingBytes: 1_000 }
  const { connect, world, metric, hello } = door({ limits })
  const from = (host: string) => connect({ bytes: 0 }, `${host}:4711`)
  const first = [1, 2, 3].map(() => from('192.0.2.1'))
  t.match(from('192.0.2.1').got.closed, /too many connections wait/, 'of one host')
  const others = [from('192.0.2.2'), from('192.0.2.3')]
  t.match(from('192.0.2.4').got.closed, /too many connections wait/, 'of all')
  t.equal(await metric('half_open'), 5)
  first[0]!.greet()
  t.equal(await metric('half_open'), 4, 'who has greeted gives its place back')
  const large = from('192.0.2.1')
  large.send([FRAME.hello, { ...hello(C), note: 'x'.repeat(1_000) }])
  t.match(large.got.closed, /too large/)
  await world.advance(10_000)
  t.ok([...first.slice(1), ...others].every(each => each.got.closed === 'no greeting in time'))
  t.strictSame(
    await Promise.all(['half_open', 'cut_off/half_open', 'cut_off/greeting'].map(metric)),
    [0, 2, 5],
  )
})

t.test('one wrong frame is forgiven, a hundred are not', async t => {
  const { connect, world, probe, metric } = door()
  const peer = connect()
  peer.greet()
  for (let i = 0; i < 100; i++) peer.send([99], note(`${i}`))
  t.equal(peer.got.closed, '')
  await world.advance(15_000)
  for (let i = 0; i < 100; i++) peer.send([99])
  t.equal(peer.got.closed, '', 'what was before the last round of pings is forgotten')
  peer.send(['x'], note('the last'))
  t.equal(peer.got.closed, 'too many malformed messages')
  await world.settle()
  t.equal(probe.heard.length, 101)
  t.equal(await metric('cut_off/malformed'), 1)
})

t.test('a peer that says too much is read from more slowly; nothing is lost', async t => {
  const { connect, world, probe } = door({ limits: { maxMessagesPerSecond: 10 } })
  const fast = connect()
  fast.greet()
  const other = connect()
  other.greet(C)
  fast.send(...Array.from({ length: 40 }, (_, i) => note(`${i}`)))
  t.equal(fast.got.paused, true)
  t.equal(other.got.paused, false)
  await world.advance(2_900)
  t.equal(fast.got.paused, true)
  await world.advance(300)
  t.equal(fast.got.paused, false, 'three seconds for what was above')
  t.equal(probe.heard.length, 40)
})

t.test('whose answer stands there unread is not given up for its silence', async t => {
  const { connect, world, probe } = door({ limits: { maxMessagesPerSecond: 10 } })
  const fast = connect()
  fast.greet()
  fast.send(...Array.from({ length: 200 }, (_, i) => note(`${i}`)))
  t.equal(fast.got.paused, true)
  probe.link(pid('far', B), { reconnect: true })
  await world.advance(15_000)
  t.strictSame([fast.got.paused, fast.got.closed], [true, ''])
  await world.advance(5_000)
  t.equal(fast.got.paused, false)
  await world.advance(11_000)
  t.match(fast.got.closed, /no answer to a ping/, 'but when it is read again and has said nothing')
})

t.test('all peers together may have so many bytes waiting: who has most waits first', async t => {
  const limits = { maxTotalWaitingBytes: 100_000 }
  const { connect, world, runtime, metric } = door({ limits })
  // Behind the first message all others wait, until the turn that serves it has ended.
  const slow = new Probe({
    note: self => (self.heard.length === 1 ? Promise.resolve() : undefined),
  })
  runtime.spawn(slow, 'slow')
  const peers = [B, C, '10.0.0.4:1', '10.0.0.5:1'].map(address => {
    const peer = connect()
    peer.greet(address)
    return peer
  })
  const kilobytes = (count: number) => note('x'.repeat(count * 1_000), 'slow')
  peers[0]!.send(note('go', 'slow'))
  peers[0]!.send(kilobytes(80))
  peers[1]!.send(kilobytes(10))
  t.ok(peers.every(({ got }) => !got.paused))
  peers[2]!.send(kilobytes(15))
  peers[0]!.send(kilobytes(1))
  t.strictSame(
    peers.map(({ got }) => got.paused),
    [true, false, false, false],
    'above the limit, who has more than its fourth',
  )
  peers[3]!.send(kilobytes(110))
  peers[1]!.send(kilobytes(1))
  t.strictSame(
    peers.map(({ got }) => got.paused),
    [true, true, false, true],
    'above twice the limit, everybody',
  )
  t.ok((await metric('waiting_bytes')) > 200_000)
  await world.settle()
  t.ok(
    peers.every(({ got }) => !got.paused),
    'and on they go',
  )
  t.equal(await metric('waiting_bytes'), 0)
  t.equal(slow.heard.length, 7)
})

t.test('all peers together may have so much to read: who reads least is cut off', async t => {
  const limits = { maxTotalQueuedBytes: 10_000_000 }
  const { connect, world, probe, metric } = door({ limits })
  const deaf = { bytes: 0 }
  const slow = { bytes: 0 }
  const peers = [connect(deaf), connect(slow), connect()]
  for (const [i, address] of [B, C, '10.0.0.4:1'].entries()) peers[i]!.greet(address)
  const tell = (address: string) =>
    probe.chat(pid('far', address)).tell('note', { text: 'x'.repeat(100) })
  deaf.bytes = 6_000_000
  slow.bytes = 3_000_000
  for (const address of [B, C, '10.0.0.4:1']) tell(address)
  await world.settle()
  t.ok(peers.every(({ got }) => got.closed === ''))
  t.equal(await metric('queued_bytes'), 9_000_000)
  slow.bytes = 5_000_000
  tell(C)
  await world.settle()
  t.strictSame(
    peers.map(({ got }) => got.closed),
    ['queue full, of all peers together', '', ''],
  )
  t.equal(await metric('cut_off/queue_full'), 1)
})

t.test('the events of a peer that is gone count until they are served', async t => {
  const { connect, runtime, world, metric } = door()
  const slow = new Probe({
    note: self => (self.heard.length === 1 ? Promise.resolve() : undefined),
  })
  const id = runtime.spawn(slow, 'slow')
  await world.settle()
  const peer = connect()
  peer.greet()
  peer.send(note('go', 'slow'))
  peer.send(...Array.from({ length: 50 }, () => note('', 'slow')))
  peer.events.closed('reset')
  t.equal(await metric('waiting_events'), 50)
  runtime.terminate(id)
  await world.settle()
  t.strictSame(await Promise.all(['waiting_events', 'waiting_bytes'].map(metric)), [0, 0])
})

/** A change that somebody might make to what is said, by mistake or by design. */
const change = fc.oneof(
  fc.record({ cut: fc.nat(2_000) }),
  fc.record({ at: fc.nat(2_000), byte: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ at: fc.nat(2_000), more: fc.uint8Array({ maxLength: 40 }) }),
  fc.record({ instead: fc.uint8Array({ maxLength: 200 }) }),
  fc.constant({ twice: true as const }),
)
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

function changed(bytes: Uint8Array, how: Change): Uint8Array[] {
  if ('twice' in how) return [bytes, bytes]
  if ('instead' in how) return [how.instead]
  if ('cut' in how) return [bytes.subarray(0, how.cut % bytes.length)]
  const at = how.at % bytes.length
  if ('more' in how) return [Buffer.concat([bytes.subarray(0, at), how.more, bytes.subarray(at)])]
  const out = Uint8Array.from(bytes)
  out[at] = how.byte
  return [out]
}

/** Equal for what says the same in other bytes, or in hexadecimal letters of the other case. */
function meaning(bytes: Uint8Array): string {
  try {
    return JSON.stringify(decode(bytes)).toLowerCase()
  } catch {
    return Buffer.from(bytes).toString('hex')
  }
}

const SAFE = 'heard'
t.test(
  'whatever is said at the door: nothing is thrown, left behind, or heard unproved',
  async t => {
    for (const secret of [true, false]) {
      const { connect, world, runtime, probe, metric, hello } = door({ secret })
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.option(change), { minLength: 4, maxLength: 4 }),
          fc.boolean(),
          async (changes, ends) => {
            const peer = connect()
            const say = (frames: readonly unknown[], how: Change | null): boolean => {
              const bytes = encode(frames)
              const said = how ? changed(bytes, how) : [bytes]
              for (const message of said) peer.events.message(message)
              return said.some(message => meaning(message) === meaning(bytes))
            }
            const before = probe.heard.length
            const own = honest()
            let clean = say(secret ? [own.hello] : [[FRAME.hello, hello(B)]], changes[0]!)
            const answer = peer.got.sent.length > 0 ? last(peer.got.sent) : undefined
            if (secret && answer?.[0] === FRAME.challenge) {
              let words: Frame = [FRAME.proof, '']
              try {
                words = own.proof(answer)
              } catch {
                // What came was not for this greeting.
              }
              clean = say([words], changes[1]!) && clean
            } else clean &&= !secret
            say([note(SAFE), note(SAFE)], changes[2]!)
            say([[FRAME.ask, 'x', 'y', 'test.chat/echo', { text: '' }, 1]], changes[3]!)
            if (secret && !clean) {
              t.equal(probe.heard.length, before, 'an actor was reached')
              const greeted = peer.got.sent.some(
                bytes => (decode(bytes) as Frame[])[0]![0] === FRAME.hello,
              )
              t.notOk(greeted, 'it was let in')
            }
            if (clean && !changes[2] && peer.got.closed === '') {
              await world.settle()
              t.equal(probe.heard.length, before + 2, 'the honest are heard')
            }
            if (ends) peer.events.closed('gone')
            else await world.advance(20_000)
            if (peer.got.closed === '') peer.events.closed('gone')
            await world.settle()
          },
        ),
        { numRuns: 1_500, seed: 20_251 },
      )
      for (const name of ['half_open', 'connected', 'waiting_events', 'waiting_bytes', 'paused']) {
        t.equal(await metric(name), 0, name)
      }
      t.strictSame(runtime.actors, ['x'], 'the actor lives')
      await world.advance(60_000)
      t.equal(world.clock.pending, 0, 'and no timer is left')
      t.strictSame(new Set(probe.heard).has(SAFE), true)
    }
  },
)

t.test('nor does an answer to our dial do harm, whatever it is', async t => {
  const { open, world, probe, runtime, metric } = door({ secret: true })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(change), { minLength: 3, maxLength: 3 }), async changes => {
      probe.heard.length = 0
      probe.link(pid('far', B))
      await world.settle()
      const { got, events } = open()
      const theirs = new Handshake({
        address: B,
        incarnation: B,
        authenticator: member(),
        outgoing: false,
      })
      const say = (frame: Frame, how: Change | null): void => {
        for (const bytes of how ? changed(encode([frame]), how) : [encode([frame])]) {
          events.message(bytes)
        }
      }
      const step = theirs.receive(last(got.sent))
      if (step && 'send' in step) say(step.send, changes[0]!)
      const verdict = theirs.receive(last(got.sent))
      if (verdict && 'greeted' in verdict) say(theirs.greeting(0), changes[1]!)
      say(note('hello') as never, changes[2]!)
      await world.settle()
      if (!(verdict && 'greeted' in verdict)) {
        t.notOk(probe.heard.includes('hello'), 'one that has not proved itself is not heard')
      }
      events.closed('gone')
      await world.settle()
      probe.unlink(pid('far', B))
    }),
    { numRuns: 1_000, seed: 20_252 },
  )
  t.strictSame(runtime.actors, ['x'])
  t.equal(await metric('connected'), 0)
  await world.advance(60_000)
  t.equal(world.clock.pending, 0)
})

t.test('a greeting of any shape is an outline or none', async t => {
  const { connect, hello } = door()
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...Object.keys(hello(B)), 'auth'), fc.anything()),
      odd => {
        let frame: Uint8Array
        try {
          frame = encode([[FRAME.hello, { ...(hello(B) satisfies Hello), ...odd }]])
        } catch {
          return
        }
        const peer = connect()
        peer.events.message(frame)
        peer.events.closed('gone')
      },
    ),
    { numRuns: 1_000, seed: 20_253 },
  )
  t.pass('nothing was thrown')
})
