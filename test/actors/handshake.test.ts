// Who may come in where a secret is set: proofs, tokens, and those who have neither. In the World, and step by step.

import fc from 'fast-check'
import t from 'tap'
import type { Authenticator } from '../../src/actors/authenticator.ts'
import { FRAME, type Frame, type Hello } from '../../src/actors/frames.ts'
import { Handshake, NEEDS_SECRET, type Step, WRONG_SECRET } from '../../src/actors/handshake.ts'
import { pid } from '../../src/actors/pid.ts'
import {
  deriveToken,
  executorPrincipal,
  memberAuthenticator,
  tokenAuthenticator,
} from '../../src/actors/shared-secret.ts'
import { secretProblem } from '../../src/actors/secret-rule.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { A, B, C, outcome, withStage } from './probe.ts'

const NAT = 'nat-1:0'
const SECRET = 'a secret of thirty-two characters'
const OTHER = 'another secret of the same length'
const EXECUTOR = executorPrincipal('F', 'E')

const random = new SeededRandom(5)
const entropy = (count: number) => random.bytes(count)
const member = (secret = SECRET) => memberAuthenticator(secret, entropy)
const holder = (principal = EXECUTOR) => tokenAuthenticator(deriveToken(SECRET, principal), entropy)

const side = (address: string, authenticator: Authenticator | undefined, outgoing: boolean) =>
  new Handshake({ address, incarnation: `i ${address}`, authenticator, outgoing })

/** All that is said, in order, and what each side came to. */
function meet(dialler: Handshake, acceptor: Handshake) {
  const said: Frame[] = []
  const hello = dialler.greeting(3)
  said.push(hello)
  let at: Step | undefined = acceptor.receive(hello)
  let by: Step | undefined
  while (at && 'send' in at) {
    said.push(at.send)
    by = dialler.receive(at.send)
    if (!by || !('send' in by)) break
    said.push(by.send)
    at = acceptor.receive(by.send)
  }
  if (at && 'greeted' in at) {
    const last = acceptor.greeting(4)
    said.push(last)
    by = dialler.receive(last)
  }
  return { said, at, by }
}

t.test('both prove the same secret, which is never said', async t => {
  const { said, at, by } = meet(side(A, member(), true), side(B, member(), false))
  t.match(at, { greeted: { address: A, generation: 3 }, principal: 'cluster' })
  t.match(by, { greeted: { address: B, generation: 4 }, principal: 'cluster' })
  t.strictSame(
    said.map(frame => frame[0]),
    [FRAME.hello, FRAME.challenge, FRAME.proof, FRAME.hello],
  )
  t.notMatch(JSON.stringify(said), SECRET)
})

t.test(
  'whoever lacks the secret, or has another, is refused by a line that names the flag',
  async t => {
    for (const [dialler, acceptor, reason] of [
      [undefined, member(), NEEDS_SECRET],
      [member(), undefined, NEEDS_SECRET],
      [member(OTHER), member(), WRONG_SECRET],
      [holder(), member(OTHER), WRONG_SECRET],
    ] as const) {
      const { said, at } = meet(side(A, dialler, true), side(B, acceptor, false))
      t.strictSame(at, { refused: reason, unproved: true })
      t.notOk(
        said.slice(1).some(frame => frame[0] === FRAME.hello),
        'and is not greeted',
      )
      t.match(reason, /--cluster_secret \(MESOS_CLUSTER_SECRET\)/)
      t.ok(Buffer.byteLength(reason) <= 123, 'it fits into the close of a WebSocket')
    }
  },
)

t.test('a token opens the doors of members to its principal, and no other door', async t => {
  const served = meet(side(NAT, holder(), true), side(B, member(), false))
  t.match([served.at, served.by], [{ principal: EXECUTOR }, { principal: 'cluster' }])
  const refused = (dialler: Handshake, acceptor: Handshake, why: string) => {
    const { at, by } = meet(dialler, acceptor)
    t.ok(
      [at, by].some(step => step && 'refused' in step),
      why,
    )
  }
  refused(side(A, holder(), true), side(B, member(), false), 'it cannot take an address to dial')
  refused(side(NAT, member(), true), side(B, holder(), false), 'nor answer in the place of one')
  refused(side(NAT, holder(), true), side(B, holder(), false), 'nor serve its like')
  const [, key] = deriveToken(SECRET, EXECUTOR).split(':')
  const forged = tokenAuthenticator(`${executorPrincipal('F', 'other')}:${key}`, entropy)
  refused(side(NAT, forged, true), side(B, member(), false), 'nor be somebody else')
  t.throws(() => tokenAuthenticator(`cluster:${key}`, entropy), /not one that an agent made/)
  for (const none of ['', 'x', ':', `${EXECUTOR}:12`, `${EXECUTOR}:${'x'.repeat(64)}`]) {
    t.throws(() => tokenAuthenticator(none, entropy), { name: 'UserError' })
  }
})

t.test('a secret that could be guessed is none', async t => {
  t.equal(secretProblem('x'.repeat(32)), undefined)
  t.match(secretProblem('hunter2'), /it has 7 characters, and 32 are the least/)
  t.notMatch(secretProblem('hunter2'), 'hunter2')
  t.throws(() => memberAuthenticator('hunter2', entropy), { name: 'UserError' })
})

t.test('no proof serves twice, nor in the other direction', async t => {
  const heard = meet(side(A, member(), true), side(B, member(), false)).said
  const [hello, challenge, proof, last] = heard as [Frame, Frame, Frame, Frame]

  const replayed = side(B, member(), false)
  t.match(replayed.receive(hello), { send: [FRAME.challenge] })
  t.strictSame(replayed.receive(proof), { refused: WRONG_SECRET, unproved: true }, 'an old proof')

  const dialler = side(A, member(), true)
  dialler.greeting(3)
  t.match(dialler.receive(challenge), { send: [FRAME.proof] })
  t.strictSame(dialler.receive(last), { refused: WRONG_SECRET, unproved: true }, 'an old answer')

  // A mirror: what one says is said back to it, by another name.
  const victim = side(A, member(), true)
  const own = victim.greeting(3)[1] as Hello
  const reflected = { ...own, address: C, incarnation: 'mirror' }
  const step = victim.receive([FRAME.challenge, reflected]) as { send: Frame }
  const auth = { ...own.auth!, proof: step.send[1] as string }
  t.match(victim.receive([FRAME.hello, { ...reflected, auth }]), { refused: WRONG_SECRET })
})

t.test('nothing that was said can be changed on the way', async t => {
  const claim = fc.constantFrom(
    'address',
    'incarnation',
    'generation',
    'features',
    'principal',
    'nonce',
  )
  const changed = (frame: Frame, what: string): Frame => {
    const hello = frame[1] as Hello
    const others: Record<string, unknown> = {
      address: 'elsewhere:1',
      incarnation: 'other',
      generation: 77,
      features: ['none'],
    }
    const now =
      what in others
        ? { ...hello, [what]: others[what] }
        : { ...hello, auth: { ...hello.auth, [what]: 'x' } }
    return [frame[0], now] as unknown as Frame
  }
  fc.assert(
    fc.property(fc.constantFrom(0, 1, 3), claim, (at, what) => {
      const dialler = side(A, member(), true)
      const acceptor = side(B, member(), false)
      const passed = (frame: Frame, place: number) => (at === place ? changed(frame, what) : frame)
      const steps: (Step | undefined)[] = []
      const challenge = acceptor.receive(passed(dialler.greeting(3), 0))
      if (!challenge || !('send' in challenge)) return
      const proof = dialler.receive(passed(challenge.send, 1))
      if (!proof || !('send' in proof)) return
      const verdict = acceptor.receive(proof.send)
      steps.push(verdict)
      if (verdict && 'greeted' in verdict)
        steps.push(dialler.receive(passed(acceptor.greeting(4), 3)))
      t.match(steps.at(-1), { unproved: true }, `${what} in word ${at}`)
    }),
    { numRuns: 60 },
  )
})

t.test('words at the wrong time are none', async t => {
  const acceptor = side(B, member(), false)
  const hello = side(A, member(), true).greeting(0)
  t.equal(acceptor.receive([FRAME.proof, '']), undefined)
  t.match(acceptor.receive(hello), { send: [FRAME.challenge] })
  t.equal(acceptor.receive(hello), undefined, 'a second greeting')
  t.equal(acceptor.receive([FRAME.ping]), undefined)
  const dialler = side(A, member(), true)
  dialler.greeting(0)
  t.equal(dialler.receive([FRAME.proof, '']), undefined)
  t.equal(dialler.receive([FRAME.tell, 'x', 'y', 'z', {}]), undefined)
  const plain = side(B, undefined, false).greeting(0)
  t.match(dialler.receive(plain), { refused: NEEDS_SECRET }, 'no answer without a proof is enough')
})

const secured = (
  by: (address: string, entropy: (count: number) => Uint8Array) => Authenticator | undefined,
) => ({
  latencyMs: [1, 20] as const,
  authenticator: (address: string, random: { bytes(count: number): Uint8Array }) =>
    by(address, count => random.bytes(count)),
})

t.test(
  'a world with a secret: crossing dials, one behind NAT, an executor with its token',
  async t => {
    const options = secured((address, entropy) =>
      address === 'exec-1:0'
        ? tokenAuthenticator(deriveToken(SECRET, EXECUTOR), entropy)
        : memberAuthenticator(SECRET, entropy),
    )
    const run = async (seed: number): Promise<string> => {
      let heard = ''
      await withStage(
        t,
        async ({ world, probe, runtime, log }) => {
          const one = probe(A)
          const two = probe(B)
          const inside = probe(NAT)
          const executor = probe('exec-1:0')
          for (const [from, to] of [
            [one, two],
            [two, one],
            [inside, one],
            [executor, two],
          ] as const) {
            from.probe.link(to.pid)
            from.probe.chat(to.pid).tell('note', { text: `from ${from.pid}` })
          }
          await world.advance(200)
          const asked = outcome(one.probe.chat(inside.pid).ask('echo', { text: 'you inside?' }))
          await world.advance(200)
          t.equal(await asked, 'you inside?')
          t.equal(world.network.connections, 3)
          t.equal(runtime(B).principalOf('exec-1:0'), EXECUTOR)
          t.equal(runtime(B).principalOf(A), 'cluster')
          t.equal(runtime(A).principalOf(NAT), 'cluster')
          t.equal(runtime(A).principalOf(C), undefined)
          t.strictSame(log.messages('warn'), [])
          heard = JSON.stringify([one.probe.heard, two.probe.heard])
        },
        { seed, ...options },
      )
      return heard
    }
    for (let seed = 1; seed <= 20; seed++) await run(seed)
    t.equal(await run(7), await run(7), 'and the same seed runs the same')
  },
)

t.test('a world of which one process has no secret, or another', async t => {
  for (const [theirs, expected] of [
    [undefined, NEEDS_SECRET],
    [OTHER, WRONG_SECRET],
  ] as const) {
    for (const [from, to] of [
      [A, B],
      [B, A],
    ] as const) {
      await withStage(
        t,
        async ({ world, probe, runtime, log }) => {
          const target = probe(to)
          const { probe: speaker } = probe(from)
          speaker.link(target.pid)
          speaker.chat(target.pid).tell('note', { text: 'secret' })
          await world.advance(1_000)
          t.strictSame(target.probe.heard, [])
          t.strictSame(speaker.heard, [`exited ${target.pid}`])
          const said = log.records.filter(({ level }) => level === 'warn')
          t.strictSame(
            said
              .map(({ fields }) => [fields['host'], fields['reason']] as string[])
              .toSorted(([a = ''], [b = '']) => a.localeCompare(b)),
            [
              [A, expected],
              [B, expected],
            ],
            'both say why',
          )
          const counts = await Promise.all(
            [A, B].map(async each => {
              const all = await runtime(each).metrics.snapshot(world.clock)
              return all['actors/peers/cut_off/unproved']
            }),
          )
          t.ok(counts.includes(1), 'and who cut it counts that')
        },
        secured((address, entropy) => {
          if (address !== B) return memberAuthenticator(SECRET, entropy)
          return theirs === undefined ? undefined : memberAuthenticator(theirs, entropy)
        }),
      )
    }
  }
})

t.test('nobody takes the address of one who is connected, but by the same principal', async t => {
  const name = 'exec-1:0'
  let principal = EXECUTOR
  await withStage(
    t,
    async ({ world, probe, restart, log }) => {
      const agent = probe(A)
      const executor = probe(name)
      executor.probe.link(agent.pid)
      executor.probe.chat(agent.pid).tell('note', { text: 'first' })
      await world.advance(100)
      // The reset meets a cut link, so the agent takes the connection for alive.
      world.network.partition([A], [name])
      principal = executorPrincipal('F', 'thief')
      restart(name)
      await world.advance(100)
      world.network.heal()
      const thief = probe(name)
      thief.probe.chat(pid('probe(1)', A)).tell('note', { text: 'stolen' })
      await world.advance(500)
      t.strictSame(agent.probe.heard, ['first'])
      t.match(
        log.records.find(({ fields }) => /as somebody else/.test(String(fields['reason'])))?.fields,
        { claimed: name },
      )
      world.network.partition([A], [name])
      principal = EXECUTOR
      restart(name)
      await world.advance(100)
      world.network.heal()
      const back = probe(name)
      back.probe.chat(agent.pid).tell('note', { text: 'again' })
      await world.advance(500)
      t.strictSame(agent.probe.heard, ['first', 'again'])
    },
    secured((address, entropy) =>
      address === name
        ? tokenAuthenticator(deriveToken(SECRET, principal), entropy)
        : memberAuthenticator(SECRET, entropy),
    ),
  )
})
