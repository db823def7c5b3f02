// A replica that has lost its disk has lost its promises with it. Whoever holds one may still be elected by it.

import t from 'tap'
import { FileStorage, Log } from '../../src/log/log.ts'
import { VirtualDisk } from '../../src/sim/virtual-disk.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { Agents } from './paper-agents.ts'

const types = (answers: readonly { readonly type: string }[]): string =>
  answers.map(({ type }) => type).join(' ')

t.test('it does not vote as long as a promise may be counted that it has lost', async t => {
  const a = await Agents.of(5)
  const ANSWER_MS = 10_000
  // A candidate has the promise of the replica that is about to lose its disk, and its own. It needs a third.
  t.equal(types(await a.prepare(1, 50, undefined, [0, 1])), 'accept accept')
  const askedMs = a.world.clock.now()
  a.crash(0)
  a.world.pause(a.servers[1]!.address)
  const runtime = a.world.start(a.servers[0]!.address)
  const disk = new VirtualDisk(new SeededRandom(1))
  const files = disk.files(runtime.clock)
  const log = await Log.open({
    storage: new FileStorage({ directory: '/log', files }),
    quorum: 3,
    replicas: a.servers.map(({ address }) => address),
  })
  runtime.spawn(log, 'log(1)')
  // The others have heard of no proposal, so that a fence would be low; the candidate's requests to them are slow.
  while (a.world.clock.now() < askedMs + ANSWER_MS) {
    await a.world.advance(500)
    t.notOk(log.recovered)
    const answers = await a.prepare(3, 40, undefined, [0])
    t.equal(types(answers), 'ignored', 'so that nobody below that candidate is elected with it')
  }
  await a.world.until(() => log.recovered, 'it votes')
  // Now that candidate has been elected by others before the fence, or not at all.
  t.ok(a.servers[2]!.acceptor.metadata.promised > 0, 'a fence')
})
