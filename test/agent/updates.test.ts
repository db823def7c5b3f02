import t from 'tap'
import { MAX_WAITING, StatusUpdateStream } from '../../src/agent/status-update-stream.ts'
import { TaskStatusUpdateManager } from '../../src/agent/task-status-update-manager.ts'
import { collectingLogger } from '../../src/base/log.ts'
import { World } from '../../src/sim/world.ts'
import { withinSize } from '../../src/messages/status-size.ts'
import { applyStatus, taskRecord } from '../../src/agent/task-record.ts'
import { MAX_STATUSES, type TaskState } from '../../src/messages/status.ts'
import { AWARE, command, MASTER, scene } from './world.ts'

const update = (uuid: string, state: TaskState) => ({
  framework_id: { value: 'F1' },
  agent_id: { value: 'S0' },
  status: { task_id: { value: 't1' }, state },
  timestamp: 1,
  uuid,
})

t.test('a stream gives one update at a time, in order, none twice', async t => {
  const stream = new StatusUpdateStream('F1', 't1')
  t.equal(stream.update(update('a', 'TASK_STARTING')), 'first')
  t.equal(stream.update(update('b', 'TASK_RUNNING')), 'queued')
  t.equal(stream.update(update('a', 'TASK_STARTING')), 'duplicate')
  t.equal(stream.acknowledge('b'), 'unexpected')
  t.equal(stream.acknowledge('a'), 'next')
  t.equal(stream.head!.uuid, 'b')
  t.equal(stream.acknowledge('a'), 'duplicate')
  t.equal(stream.acknowledge('b'), 'idle')
  t.equal(stream.head, undefined)
  t.equal(stream.update(update('b', 'TASK_RUNNING')), 'duplicate')
  t.equal(stream.update(update('c', 'TASK_FINISHED')), 'first')
  t.equal(stream.update(update('d', 'TASK_KILLED')), 'late')
  t.equal(stream.acknowledge('c'), 'closed')
})

t.test('nothing is sent before it is stored, whatever is acknowledged meanwhile', async t => {
  const world = new World({ log: collectingLogger() })
  const sent: string[] = []
  const stores: (() => void)[] = []
  const manager = new TaskStatusUpdateManager({
    forward: ({ uuid }) => sent.push(uuid),
    store: {
      update: () => new Promise(resolve => stores.push(resolve)),
      acknowledgement: () => Promise.resolve(),
    },
  })
  world.start('10.0.0.2:5051').spawn(manager)
  manager.resumeSending()
  void manager.update(update('a', 'TASK_RUNNING'))
  await world.advance(10)
  t.strictSame(sent, [])
  stores.shift()!()
  await world.advance(10)
  t.strictSame(sent, ['a'])
  void manager.update(update('b', 'TASK_KILLED'))
  await world.advance(10)
  const acknowledged = manager.acknowledge('F1', 't1', 'a')
  await world.advance(10)
  t.equal(await acknowledged, 'next')
  manager.pause()
  manager.resumeSending()
  await world.advance(10)
  t.strictSame(sent, ['a'])
  stores.shift()!()
  await world.advance(10)
  t.strictSame(sent, ['a', 'b'])
  await world.stop()
})

t.test('a task that reports for years does not fill the memory', async t => {
  const stream = new StatusUpdateStream('F1', 't1')
  const outcomes = new Set<string>()
  for (let i = 0; i < 3_000; i++) {
    outcomes.add(stream.update(update(`u${i}`, 'TASK_RUNNING')))
    outcomes.add(stream.acknowledge(`u${i}`))
  }
  t.strictSame([...outcomes], ['first', 'idle'])
  t.equal(stream.update(update('u2999', 'TASK_RUNNING')), 'duplicate')
  t.equal(stream.acknowledge('u2500'), 'duplicate')
  t.equal(stream.acknowledge('u0'), 'unexpected', 'forgotten')
})

t.test(
  'a scheduler that is long away hears the latest of a talkative task, and its end',
  async t => {
    const stream = new StatusUpdateStream('F1', 't1')
    for (let i = 0; i < 3 * MAX_WAITING; i++) stream.update(update(`u${i}`, 'TASK_RUNNING'))
    stream.update(update('end', 'TASK_FINISHED'))
    const heard: string[] = []
    for (let head = stream.head; head; head = stream.head) {
      heard.push(head.uuid)
      stream.acknowledge(head.uuid)
    }
    t.equal(heard.length, MAX_WAITING)
    t.equal(heard[0], 'u0', 'the one in flight stays')
    t.equal(heard[1], `u${2 * MAX_WAITING + 2}`)
    t.equal(heard.at(-1), 'end')
  },
)

t.test('the history of a task has an end', async t => {
  const task = taskRecord(command('t1', 'true'), AWARE)
  const said = (state: TaskState, timestamp: number) =>
    applyStatus(task, { task_id: { value: 't1' }, state, timestamp })
  for (let i = 0; i < 1_000; i++) said(i % 2 === 0 ? 'TASK_STARTING' : 'TASK_RUNNING', i)
  said('TASK_FINISHED', 1_000)
  t.equal(task.statuses!.length, MAX_STATUSES)
  t.match(task.statuses!.slice(0, 2), [{ timestamp: 0 }, { timestamp: 1_002 - MAX_STATUSES }])
  t.match(task.statuses!.at(-1), { state: 'TASK_FINISHED' })
})

t.test('what is too much in a status is left out of it, for the state must arrive', async t => {
  const status = {
    task_id: { value: 't1' },
    state: 'TASK_FAILED' as const,
    uuid: 'u',
    message: 'because',
  }
  const data = (bytes: number) => Buffer.alloc(bytes).toString('base64')
  const labels = { labels: [{ key: 'k', value: 'x'.repeat(70_000) }] }
  const fits = { ...status, data: data(1 << 20) }
  t.ok(withinSize(fits) === fits)
  const note = (what: string, most: string) => `(${what} left out: more than ${most})`
  t.strictSame(withinSize({ ...status, data: data((1 << 20) + 1) }), {
    ...status,
    message: `because ${note('its data', '1MB')}`,
  })
  t.strictSame(withinSize({ ...status, data: data(10), labels }), {
    ...status,
    data: data(10),
    message: `because ${note('what else it says', '64KB')}`,
  })
  t.strictSame(withinSize({ ...status, message: 'm'.repeat(70_000), data: data(2 << 20) }), {
    ...status,
    message: `${'m'.repeat(4_096)}… ${note('its data and what else it says', '1MB')}`,
  })
})

t.test('an update is sent again, ever less often, until it is acknowledged', async t => {
  const s = await scene()
  s.master.acknowledges = false
  s.master.run(AWARE, command('t1', 'sleep 1'))
  await s.reaches('t1', 'TASK_STARTING')
  await s.world.advance(3 * 3600_000)
  t.strictSame([...new Set(s.master.states('t1'))], ['TASK_STARTING'], 'one in flight')
  t.equal(new Set(s.master.of('t1').map(u => u.uuid)).size, 1)
  const pauses = s.master.updateTimes
    .slice(1)
    .map((at, i) => Math.round((at - s.master.updateTimes[i]!) / 1000))
  t.strictSame(pauses.slice(0, 9), [10, 20, 40, 80, 160, 320, 600, 600, 600])
  t.equal(
    s.master.of('t1').at(-1)!.latest_state,
    'TASK_FINISHED',
    'the master hears of the end at once',
  )
  s.master.acknowledges = true
  s.master.acknowledge(s.master.of('t1').at(-1))
  await s.world.advance(1_000)
  t.strictSame(s.master.states('t1').slice(-2), ['TASK_RUNNING', 'TASK_FINISHED'])
  const count = s.master.updates.length
  await s.world.advance(3600_000)
  t.equal(s.master.updates.length, count)
})

t.test('a wrong acknowledgement changes nothing', async t => {
  const s = await scene()
  s.master.acknowledges = false
  s.master.run(AWARE, command('t1', 'true'))
  await s.reaches('t1', 'TASK_STARTING')
  const [first] = s.master.of('t1')
  s.master.acknowledge({ ...first!, uuid: 'AAAAAAAAAAAAAAAAAAAAAQ==' })
  s.master.acknowledge({ ...first!, framework_id: { value: 'F2' } })
  await s.world.advance(1_000)
  t.equal(s.master.updates.length, 1)
  s.master.acknowledge(first)
  s.master.acknowledge(first)
  await s.world.advance(1_000)
  t.strictSame(s.master.states('t1'), ['TASK_STARTING', 'TASK_RUNNING'])
})

t.test('nothing is sent while there is no master, and all at once when there is', async t => {
  const s = await scene()
  s.master.acknowledges = false
  s.master.run(AWARE, command('a', 'sleep 1'), command('b', 'sleep 1'))
  await s.reaches('b', 'TASK_STARTING')
  s.world.crash(MASTER)
  await s.world.advance(60_000)
  const master = s.startMaster()
  await s.world.until(() => master.updates.length === 6, 'all six updates', 20_000)
  t.strictSame(master.states('a'), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED'])
  t.ok(master.updateTimes.at(-1)! - master.updateTimes[0]! < 100)
})
