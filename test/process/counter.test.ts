// The example of docs/actors.md as two real processes: a supervised counter, and who adds to it over the network.

import t from 'tap'
import { RealCluster } from './real-cluster.ts'

const MAIN = 'examples/counter/main'

t.test('a counter fails, dies and comes back, and who is linked to it hears of each', async t => {
  const real = new RealCluster()
  t.teardown(async () => {
    const left = await real.stop()
    if (left.length > 0) throw new Error(`left behind:\n${left.join('\n')}`)
  })
  const server = real.command(MAIN, ['serve', '0'])
  const [, address] = await server.says(/counting at (\S+)/)
  const adder = real.command(MAIN, ['add', address!], {}, 'pipe')
  const says = async (line: string): Promise<void> => {
    const at = adder.stdout.length
    adder.child.stdin!.write(`${line}\n`)
    await adder.says(new RegExp(`^[^]{${at}}[^]*\n`))
  }
  await says('1')
  await says('2')
  t.equal(adder.stdout, '1 makes 1\n2 makes 3\n')
  t.strictSame(await (await fetch(`http://${address}/counter`)).json(), { total: 3 })

  await says('13')
  await adder.says(/13 was perhaps not added: FAILED\n/)
  await adder.says(/counter@\S+ is gone: failed\n/)
  await server.says(/a failed actor is started again/)
  t.match(
    server.stderr,
    /counter: the actor failed in one of its handlers and ends error="13 brings bad luck"[^]*last_events:\n[^]* ask counting\/add from adder\S* \(the first\), 2 times since[^]* http GET \/counter/,
  )
  await again('3 makes 3')

  server.kill('SIGKILL')
  await adder.says(/counter@\S+ is gone: unreachable\n/)
  adder.child.stdin!.write('4\n')
  await adder.says(/4 was perhaps not added: DISCONNECTED\n/)
  const next = real.command(MAIN, ['serve', address!.split(':')[1]!])
  await next.says(/counting at/)
  await again('3 makes 3')

  // The link that was made again tells of this end too.
  next.kill('SIGTERM')
  await adder.says(/counter@\S+ is gone: ended\n/)
  t.strictSame((await next.exited, next.exit), { code: 0, signal: null })
  adder.child.stdin!.end()
  await adder.exited
  t.strictSame(adder.exit, { code: 0, signal: null })

  /** Adds 3 until there is a counter that takes it. */
  async function again(answer: string): Promise<void> {
    const from = adder.stdout.length
    while (!adder.stdout.slice(from).includes(answer)) await says('3')
    t.match(adder.stdout.slice(from), answer)
  }
})
