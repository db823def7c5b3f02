import t from 'tap'
import { collectingLogger, type Logger, onceAWhile, silentLogger } from '../../src/base/log.ts'

t.test('the collecting log remembers, children included', async t => {
  const log = collectingLogger('info')
  const child: Logger = log.child({ actor: 'master', n: 1 })
  log.info('started')
  child.debug('dropped')
  child.warn({ n: 2, agent: 'S1' }, 'agent lost')
  const boom = new Error('boom')
  child.error(boom, 'failed')
  t.same(log.records, [
    { level: 'info', message: 'started', fields: {} },
    { level: 'warn', message: 'agent lost', fields: { actor: 'master', n: 2, agent: 'S1' } },
    { level: 'error', message: 'failed', fields: { actor: 'master', n: 1, err: boom } },
  ])
  t.same(log.messages('warn'), ['agent lost'])
  t.same(log.messages(), ['started', 'agent lost', 'failed'])
  t.equal(child.level, 'info')
})

t.test('the silent log takes everything', async t => {
  silentLogger.child({ actor: 'x' }).error({ a: 1 }, 'nobody hears')
  t.equal(silentLogger.level, 'silent')
})

t.test('once a while, with the number of repeats left out', async t => {
  let now = 0
  const said: unknown[] = []
  const sometimes = onceAWhile(() => now, 100)
  for (const at of [0, 1, 99, 100, 150, 200, 1_000]) {
    now = at
    sometimes(repeats => said.push([at, repeats]))
  }
  t.same(said, [
    [0, {}],
    [100, { suppressed: 2 }],
    [200, { suppressed: 1 }],
    [1_000, {}],
  ])
})
