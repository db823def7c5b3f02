import t from 'tap'
import type { Address } from '../../src/actors/pid.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { silentLogger } from '../../src/base/log.ts'
import { Election, ELECTION_ID } from '../../src/log/election.ts'
import { candidacy, Grants } from '../../src/log/lease.ts'
import { World } from '../../src/sim/world.ts'

const LEASE_MS = 3_000

t.test(
  'a member grants to one at a time, and after a start to nobody for as long as that lasts',
  async t => {
    const grants = new Grants(1_000, 0)
    const ask = (candidate: string, nowMs: number, sure = false) =>
      grants.ask({ candidate, about: candidate.toUpperCase(), sure }, nowMs)
    t.strictSame(ask('a', 400), { type: 'fresh', leftMs: 600 })
    t.strictSame(ask('a', 1_000), { type: 'granted' })
    t.strictSame(grants.holder(1_999), { candidate: 'a', about: 'A' })
    t.strictSame(ask('b', 1_500), { type: 'held', leftMs: 500 })
    t.strictSame(ask('b', 1_500, true), { type: 'held', leftMs: 500 }, 'however sure')
    t.strictSame(ask('a', 1_600), { type: 'granted' }, 'anew')
    t.strictSame(ask('b', 2_599), { type: 'held', leftMs: 1 })
    grants.release('b')
    t.strictSame(ask('b', 2_599), { type: 'held', leftMs: 1 }, 'nobody gives back what is not his')
    grants.release('a')
    t.strictSame(ask('b', 2_599), { type: 'granted' })
    t.equal(grants.holder(3_599), undefined)
    t.strictSame(new Grants(1_000, 0).ask({ candidate: 'a', about: '', sure: true }, 1), {
      type: 'granted',
    })
  },
)

t.test('what the answers amount to', async t => {
  const granted = { type: 'granted' } as const
  const fresh = { type: 'fresh', leftMs: 5 } as const
  const held = { type: 'held', leftMs: 7 } as const
  t.strictSame(candidacy([granted, granted, undefined], 2), { type: 'won' })
  t.strictSame(candidacy([granted, fresh, fresh], 2), { type: 'sure' })
  t.strictSame(candidacy([granted, fresh, undefined], 2), { type: 'lost', leftMs: 5 })
  t.strictSame(candidacy([fresh, fresh, held], 2), { type: 'lost', leftMs: 7 })
})

class Members {
  readonly world: World
  readonly addresses: Address[]
  readonly elections = new Map<Address, Election>()
  readonly told = new Map<Address, (string | undefined)[]>()
  readonly lost: Address[] = []
  /** How many led at once, at most. */
  mostLeaders = 0

  constructor(size: number, seed = 1) {
    this.world = new World({ seed, log: silentLogger })
    this.addresses = Array.from({ length: size }, (_, i) => `10.0.0.${i + 1}:5050`)
    this.world.check('one leads', () => {
      this.mostLeaders = Math.max(this.mostLeaders, this.leaders.length)
      return undefined
    })
  }

  start(...which: number[]): void {
    for (const i of which) {
      const address = this.addresses[i]!
      const told: (string | undefined)[] = []
      const election = new Election({
        members: this.addresses,
        about: `m${i}`,
        leaseMs: LEASE_MS,
        leads: about => void told.push(about),
        elected: () => {},
        lost: () => {
          this.lost.push(address)
          this.elections.delete(address)
        },
      })
      this.world.start(address).spawn(election, ELECTION_ID)
      this.elections.set(address, election)
      this.told.set(address, told)
    }
  }

  crash(address: Address): void {
    this.world.crash(address)
    this.elections.delete(address)
  }

  get leaders(): Address[] {
    return [...this.elections].filter(([, election]) => election.leading).map(([a]) => a)
  }

  /** Until another one than these leads; how long that took. */
  async leader(...not: Address[]): Promise<{ address: Address; tookMs: number }> {
    const from = this.world.clock.now()
    const found = () => this.leaders.find(address => !not.includes(address))
    await this.world.until(() => found() !== undefined, 'somebody leads', 20_000)
    return { address: found()!, tookMs: this.world.clock.now() - from }
  }
}

t.test('alone it leads at once; three elect one, and all know whom', async t => {
  const alone = new Members(1)
  alone.start(0)
  t.ok((await alone.leader()).tookMs < 100)
  const m = new Members(3)
  m.start(0, 1, 2)
  const { address, tookMs } = await m.leader()
  t.ok(tookMs < 200, `${tookMs} ms, though none knows what it granted before it started`)
  await m.world.advance(60_000)
  t.strictSame(m.leaders, [address], 'and stays')
  const name = `m${m.addresses.indexOf(address)}`
  for (const told of m.told.values()) t.equal(told.at(-1), name)
})

t.test('two of three have to wait, for the third may have granted, and lead', async t => {
  const m = new Members(3)
  m.start(0, 1)
  const { tookMs } = await m.leader()
  t.ok(tookMs >= LEASE_MS && tookMs < LEASE_MS + 1_000, `${tookMs} ms`)
  m.start(2)
  await m.world.advance(10_000)
  t.equal(m.leaders.length, 1)
  t.equal(m.mostLeaders, 1)
})

t.test('when its process is gone the next one leads at once', async t => {
  for (let seed = 1; seed <= 20; seed++) {
    const m = new Members(3, seed)
    m.start(0, 1, 2)
    const { address: old } = await m.leader()
    await m.world.advance(5_000)
    m.crash(old)
    const { tookMs } = await m.leader(old)
    t.ok(tookMs < 500, `seed ${seed}: ${tookMs} ms`)
    m.start(m.addresses.indexOf(old))
    await m.world.advance(10_000)
    t.equal(m.leaders.length, 1)
    t.equal(m.mostLeaders, 1)
    t.strictSame(m.lost, [])
  }
})

t.test('a leader that is cut off knows before there is another', async t => {
  for (let seed = 1; seed <= 20; seed++) {
    const m = new Members(3, seed)
    m.start(0, 1, 2)
    const { address: old } = await m.leader()
    await m.world.advance(5_000)
    m.world.network.partition(
      [old],
      m.addresses.filter(a => a !== old),
    )
    const { tookMs } = await m.leader(old)
    t.strictSame(m.lost, [old])
    t.ok(tookMs < 2 * LEASE_MS, `seed ${seed}: ${tookMs} ms`)
    t.equal(m.mostLeaders, 1)
  }
})

t.test('a broken connection, or one lost answer, changes nothing', async t => {
  const m = new Members(3)
  m.start(0, 1, 2)
  const { address } = await m.leader()
  for (let i = 0; i < 30; i++) {
    m.world.network.reset(address)
    await m.world.advance(500)
  }
  t.strictSame([m.leaders, m.lost], [[address], []])
})

t.test('strangers are granted nothing, and take nothing from anyone', async t => {
  const m = new Members(1)
  m.start(0)
  await m.leader()
  const stranger = m.world.start('10.0.0.9:5050')
  const election = new Election({
    members: [m.addresses[0]!, '10.0.0.9:5050'],
    about: 'stranger',
    elected: () => t.fail('elected'),
    lost: () => {},
  })
  stranger.spawn(election, ELECTION_ID)
  await m.world.advance(20_000)
  t.equal(m.leaders.length, 1)
})

t.test('whatever happens two never lead at once, and when all is well somebody does', async t => {
  for (let seed = 1; seed <= 15; seed++) {
    const m = new Members(seed % 2 === 0 ? 3 : 5, seed)
    const all = [...m.addresses.keys()]
    m.start(...all)
    const random = new SeededRandom(seed)
    const pick = () => m.addresses[random.integer(m.addresses.length)]!
    for (let i = 0; i < 30; i++) {
      const address = pick()
      switch (random.integer(5)) {
        case 0:
          m.crash(address)
          await m.world.advance(random.next() * 2_000)
          m.start(m.addresses.indexOf(address))
          break
        case 1:
          m.world.network.partition(
            [address],
            m.addresses.filter(a => a !== address),
          )
          break
        case 2:
          m.world.network.heal()
          break
        case 3:
          m.world.network.reset(address)
          break
        case 4:
          m.world.pause(address)
          await m.world.advance(random.next() * 8_000)
          m.world.unpause(address)
      }
      // Who lost the lease ends, and is started again.
      for (const gone of m.lost.splice(0)) {
        m.crash(gone)
        m.start(m.addresses.indexOf(gone))
      }
      await m.world.advance(random.next() * 4_000)
    }
    t.equal(m.mostLeaders, 1, `seed ${seed}`)
    m.world.network.heal()
    for (const gone of m.lost.splice(0)) {
      m.crash(gone)
      m.start(m.addresses.indexOf(gone))
    }
    await m.leader()
  }
})
