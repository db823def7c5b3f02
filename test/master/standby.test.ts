// What a registrar reads while its master stands by, and what is left to read when it is elected.

import t from 'tap'
import type { Ref } from '../../src/actors/protocol.ts'
import { collectingLogger } from '../../src/base/log.ts'
import { UserError } from '../../src/base/errors.ts'
import { Registrar, RegistrarProtocol } from '../../src/master/registrar.ts'
import { encodeEntry } from '../../src/master/registry/entry.ts'
import type { RegistrySnapshot } from '../../src/master/registry/operations.ts'
import { World } from '../../src/sim/world.ts'

const master = { id: 'm1', ip: 1, port: 5050 }

/** A registrar beside a log that others write. */
class Standby {
  readonly logger = collectingLogger('info')
  readonly world = new World({ log: this.logger })
  readonly entries: Uint8Array[] = []
  readonly reads: string[] = []
  readonly ref: Ref<(typeof RegistrarProtocol)['entries']>
  begin = 0
  /** What is truncated after somebody has asked what there is. */
  truncatedNext = 0

  constructor() {
    const range = () => ({ begin: this.begin, end: this.entries.length - 1 })
    const runtime = this.world.start('10.0.0.1:5050')
    const registrar = new Registrar({
      makeLog: () => ({
        learned: () => {
          const learned = range()
          this.begin = Math.max(this.begin, this.truncatedNext)
          return Promise.resolve(learned)
        },
        recover: () => Promise.resolve(range()),
        read: (from, to) => {
          this.reads.push(`${from} to ${to}`)
          if (from < this.begin) return Promise.reject(new UserError('not_found', 'truncated'))
          return Promise.resolve(this.entries.slice(from, to + 1))
        },
        append: bytes => Promise.resolve(this.entries.push(bytes)),
        truncate: () => Promise.resolve(),
      }),
      logPid: undefined,
      fetchTimeoutMs: 60_000,
      storeTimeoutMs: 20_000,
    })
    this.ref = runtime.ref(RegistrarProtocol, runtime.spawn(registrar))
  }

  admit(...ids: string[]): void {
    for (const value of ids) {
      const info = { id: { value }, hostname: value }
      const operations = [{ type: 'admit_agent' as const, info }]
      this.#write({ operations })
    }
  }

  snapshot(...ids: string[]): number {
    const agents = ids.map(value => ({ id: { value }, hostname: value }))
    return this.#write({ snapshot: { agents, unreachable: [], gone: [] } }) - 1
  }

  #write(content: object): number {
    const sequence = this.entries.length
    const envelope = { version: 2 as const, time_ms: 1, master_id: 'm0', sequence }
    return this.entries.push(encodeEntry({ ...envelope, ...content }))
  }

  /** The ids of the agents that it finds when its master is elected. */
  async elected(): Promise<(string | undefined)[]> {
    let found: RegistrySnapshot | undefined
    void this.ref.ask('recover', { master }).then(snapshot => (found = snapshot))
    await this.world.until(() => found !== undefined, 'it has recovered')
    return found!.agents.map(info => info.id?.value)
  }
}

t.test('who stands by reads on, and when elected only what is left', async t => {
  const s = new Standby()
  s.admit('A', 'B')
  await s.world.advance(10)
  s.admit('C')
  await s.world.advance(3_000)
  t.same(s.reads, ['0 to 1', '2 to 2'])
  s.admit('D')
  t.same(await s.elected(), ['A', 'B', 'C', 'D'])
  t.same(s.reads, ['0 to 1', '2 to 2', '3 to 3'])
  s.reads.length = 0
  await s.world.advance(5_000)
  t.same(s.reads, [], 'who leads reads nothing')
  t.same(s.logger.messages('warn'), [])
})

t.test('elected before it could read anything, it reads all', async t => {
  const s = new Standby()
  s.admit('A', 'B')
  t.same(await s.elected(), ['A', 'B'])
})

t.test('what is truncated while it reads it reads from the snapshot', async t => {
  const s = new Standby()
  s.admit('A')
  await s.world.advance(10)
  s.admit('B')
  s.truncatedNext = s.snapshot('A', 'B')
  s.admit('C')
  await s.world.advance(3_000)
  t.same(s.reads, ['0 to 0', '1 to 3', '2 to 3'])
  t.same(await s.elected(), ['A', 'B', 'C'])
  t.same(s.logger.messages('warn'), [])
})

t.test('what it cannot read it says once, and ends only when it has to lead', async t => {
  const s = new Standby()
  s.admit('A')
  s.entries.push(new Uint8Array([1]))
  await s.world.advance(10_000)
  t.match(s.logger.messages('warn'), [/what others write to the registry cannot be read/])
  t.same(s.world.fatalities, [])
  void s.ref.ask('recover', { master }).catch(() => undefined)
  await s.world.until(() => s.world.fatalities.length > 0, 'it ends')
  t.match(s.world.fatalities, [{ error: { message: /not a registry entry/ } }])
})
