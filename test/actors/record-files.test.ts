import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { recordFiles } from '../../src/actors/record-files.ts'
import { parseRecording } from '../../src/actors/recorder.ts'
import { collectingLogger } from '../../src/base/log.ts'
import { A, Chat, Probe, withStage } from './probe.ts'

t.test('those are recorded that the environment names, each into a file at its end', async t => {
  const dir = t.testdir()
  const log = collectingLogger()
  const make = recordFiles({ LIBPROCESS_RECORD: ' one, two,', LIBPROCESS_RECORD_DIR: dir }, log)!
  t.equal(make('three', A), undefined)
  await withStage(t, async ({ world, runtime }) => {
    const record = make('one', A)!
    const self = runtime(A).spawn(new Probe(), 'one', { record })
    runtime(A).ref(Chat, self).tell('note', { text: 'x' })
    await world.settle()
    runtime(A).terminate(self)
    await world.settle()
  })
  const { self, events } = parseRecording(readFileSync(join(dir, `one@${A}.record`)))
  t.equal(self, `one@${A}`)
  t.strictSame(
    events.map(({ input }) => input.on),
    ['initialize', 'message', 'finalize'],
  )
  t.strictSame(log.messages(), [
    'this actor is recorded, with all that it is told',
    'record written',
  ])
})

t.test('without that variable nobody is', t => {
  t.equal(recordFiles({}, collectingLogger()), undefined)
  t.equal(recordFiles({ LIBPROCESS_RECORD: ' , ' }, collectingLogger()), undefined)
  t.end()
})

t.test('a file that cannot be written is complained of, and harms nobody', async t => {
  const log = collectingLogger()
  const env = { LIBPROCESS_RECORD: 'one', LIBPROCESS_RECORD_DIR: join(t.testdir(), 'none') }
  const record = recordFiles(env, log)!('one', A)!
  await withStage(t, async ({ world, runtime }) => {
    runtime(A).terminate(runtime(A).spawn(new Probe(), 'one', { record }), { drain: true })
    await world.settle()
  })
  t.strictSame(log.messages('error'), ['the record could not be written'])
})
