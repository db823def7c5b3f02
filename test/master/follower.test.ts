import fc from 'fast-check'
import t from 'tap'
import { decode, encode } from '../../src/actors/codec.ts'
import { encodeEntry, Replay } from '../../src/master/registry/entry.ts'
import { Follower } from '../../src/master/registry/follower.ts'
import type { Operation } from '../../src/master/registry/operations.ts'

const envelope = { version: 2 as const, time_ms: 1, master_id: 'm1' }
const agent = (id: number) => ({ id: { value: `S${id}` }, hostname: `h${id}.example` })
const admit = (id: number): Operation => ({ type: 'admit_agent', info: agent(id) })

/** A log and the registry that it comes to. Position 0 holds no entry, and so does every seventh. */
class Written {
  readonly live = new Replay()
  readonly entries = new Map<number, Uint8Array>()
  begin = 0
  end = 0
  reads = 0

  append(operations: Operation[]): void {
    const { sequence } = this.live
    this.#write(encodeEntry({ ...envelope, operations, sequence }))
    this.live.apply({ ...envelope, operations, sequence })
  }

  snapshot(): void {
    const { registry, sequence } = this.live
    this.begin = this.#write(encodeEntry({ ...envelope, snapshot: registry.snapshot(), sequence }))
    for (const position of this.entries.keys()) {
      if (position < this.begin) this.entries.delete(position)
    }
  }

  #write(bytes: Uint8Array): number {
    this.end += this.end % 7 === 6 ? 2 : 1
    this.entries.set(this.end, bytes)
    return this.end
  }

  readonly read = async (from: number, to: number): Promise<Uint8Array[]> => {
    if (from < this.begin || to > this.end || to < from) throw new Error(`no ${from} to ${to}`)
    const found: Uint8Array[] = []
    for (let at = from; at <= to; at++) {
      const bytes = this.entries.get(at)
      if (bytes) found.push(bytes)
    }
    this.reads += found.length
    return Promise.resolve(found)
  }
}

const noPause = () => Promise.resolve()

t.test('whatever was read before, the rest brings it to where the log is', async t => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.constant('append' as const) },
    fc.constantFrom('snapshot' as const, 'follow' as const, 'follow a part' as const),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      const log = new Written()
      let follower = new Follower(log.read, noPause)
      const catchUp = async (end: number) => {
        while (!(await follower.catchUp({ begin: log.begin, end })))
          follower = new Follower(log.read, noPause)
      }
      for (const [i, each] of steps.entries()) {
        if (each === 'append') log.append([admit(i), admit(1_000 + i)])
        else if (each === 'snapshot') log.snapshot()
        else await catchUp(each === 'follow' ? log.end : Math.max(log.begin, log.end - 2))
      }
      await catchUp(log.end)
      t.same(follower.replay.registry.snapshot(), log.live.registry.snapshot())
      t.equal(follower.replay.sequence, log.live.sequence)
      const since = steps.slice(steps.lastIndexOf('snapshot') + 1).filter(s => s === 'append')
      t.equal(follower.sinceSnapshot, 2 * since.length)
    }),
    { numRuns: 100 },
  )
})

t.test('it reads no entry twice, and no snapshot of what it knows', async t => {
  const log = new Written()
  for (let i = 0; i < 601; i++) log.append([admit(i)])
  let pauses = 0
  const pause = () => Promise.resolve(void pauses++)
  const follower = new Follower(log.read, pause)
  t.ok(await follower.catchUp(log))
  t.equal(log.reads, 601)
  log.snapshot()
  log.append([admit(601)])
  // One who unpacks it finds that nothing is in it.
  const snapshot = decode(log.entries.get(log.begin)!) as { snapshot: { agents: Uint8Array[] } }
  snapshot.snapshot.agents = [encode('nothing')]
  log.entries.set(log.begin, encode(snapshot))
  t.ok(await follower.catchUp(log))
  t.equal(log.reads, 603)
  t.equal(pauses, 0)
  t.equal(follower.replay.registry.agents.size, 602)
  await t.rejects(new Follower(log.read, pause).catchUp(log), /not a registry entry/)
})

t.test('others have the process between the pieces of a large snapshot', async t => {
  const log = new Written()
  log.append(Array.from({ length: 5_000 }, (_, i) => admit(i)))
  log.snapshot()
  let pauses = 0
  const follower = new Follower(log.read, () => Promise.resolve(void pauses++))
  t.ok(await follower.catchUp(log))
  t.equal(pauses, 10)
  t.equal(follower.replay.registry.agents.size, 5_000)
})

t.test('one that missed what is truncated has to begin anew', async t => {
  const log = new Written()
  log.append([admit(1)])
  const follower = new Follower(log.read, noPause)
  t.ok(await follower.catchUp(log))
  log.append([admit(2)])
  log.snapshot()
  t.notOk(await follower.catchUp(log))
  const other = new Follower(log.read, noPause)
  t.ok(await other.catchUp(log))
  t.equal(other.replay.registry.agents.size, 2)
})
