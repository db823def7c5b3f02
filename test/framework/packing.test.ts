import fc from 'fast-check'
import t from 'tap'
import { fits, pack, type TaskRequest, taskFromOffer } from '../../src/framework/packing.ts'
import { Resources } from '../../src/resources/resources.ts'
import { offerOf } from './scripted-master.ts'

const task = (
  id: string,
  needs: TaskRequest['needs'],
  more: Partial<TaskRequest> = {},
): TaskRequest => ({
  name: id,
  task_id: { value: id },
  needs,
  ...more,
})
const executor = (cpus: number) => ({ executor_id: { value: 'e' }, needs: { cpus, mem: 10 } })
const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name)

t.test(
  'a task gets the agent and part of the resources of its offer, allocation included',
  async t => {
    const offer = offerOf('O1', 'S1', 2, 100)
    const made = taskFromOffer(offer, task('a', { cpus: 0.5, mem: 10, ports: 2 }))
    t.match(made, { name: 'a', agent_id: { value: 'S1' } })
    t.notOk(made && 'needs' in made, 'what is not of the v1 API does not travel')
    t.same(made?.resources, [
      { name: 'cpus', type: 'SCALAR', scalar: { value: 0.5 }, allocation_info: { role: '*' } },
      { name: 'mem', type: 'SCALAR', scalar: { value: 10 }, allocation_info: { role: '*' } },
      {
        name: 'ports',
        type: 'RANGES',
        ranges: { range: [{ begin: 31_000, end: 31_001 }] },
        allocation_info: { role: '*' },
      },
    ])
    t.equal(taskFromOffer(offer, task('a', { cpus: 2.001 })), undefined)
    t.equal(taskFromOffer(offer, task('a', { gpus: 1 })), undefined)
    t.ok(fits(offer, { cpus: 2, mem: 100, ports: 5 }))
    t.notOk(fits(offer, { ports: 6 }))
  },
)

t.test('one that does not fit is passed over, and order is kept', async t => {
  const { tasks, rest } = pack(offerOf('O1', 'S1', 1, 100), [
    task('a', { cpus: 0.4 }),
    task('big', { cpus: 5 }),
    task('b', { cpus: 0.4 }),
    task('c', { cpus: 0.4 }),
    task('d', { cpus: 0.2 }),
  ])
  t.same(names(tasks), ['a', 'b', 'd'])
  t.same(names(rest), ['big', 'c'])
})

t.test('offers of one agent are used together, of two never', async t => {
  const two = [offerOf('O1', 'S1', 1, 50), offerOf('O2', 'S1', 1, 50)]
  t.ok(taskFromOffer(two, task('a', { cpus: 2, mem: 100 })))
  t.throws(() => pack([offerOf('O1', 'S1', 1, 1), offerOf('O2', 'S2', 1, 1)], []), /one agent/)
})

t.test(
  'an executor is paid for by its first task on an agent, and is the same for all',
  async t => {
    const requests = ['a', 'b', 'c'].map(id => task(id, { cpus: 0.4 }, { executor: executor(0.3) }))
    const fresh = pack(offerOf('O1', 'S1', 1, 100), requests)
    t.same(names(fresh.tasks), ['a'])
    const running = { ...offerOf('O2', 'S1', 1, 100), executor_ids: [{ value: 'e' }] }
    const more = pack(running, requests)
    t.same(names(more.tasks), ['a', 'b'])
    t.same(more.tasks[1]?.executor, fresh.tasks[0]?.executor)
    t.equal(pack(offerOf('O3', 'S1', 0.5, 100), requests).tasks.length, 0)
  },
)

t.test('never more than was offered, and nothing left that would have fitted', async () => {
  const need = fc.record({
    cpus: fc.integer({ min: 0, max: 30 }),
    mem: fc.integer({ min: 0, max: 30 }),
  })
  fc.assert(
    fc.property(
      need,
      fc.array(need, { maxLength: 8 }),
      fc.integer({ min: 0, max: 10 }),
      (has, needs, own) => {
        const offer = offerOf('O', 'S', has.cpus / 10, has.mem)
        const requests = needs.map(({ cpus, mem }, i) =>
          task(String(i), { cpus: cpus / 10, mem }, i % 2 ? { executor: executor(own / 10) } : {}),
        )
        const { tasks, rest } = pack(offer, requests)
        const ofExecutor = tasks.find(made => made.executor)?.executor?.resources
        const used = Resources.sum([
          ...tasks.map(made => Resources.of(made.resources)),
          Resources.of(ofExecutor),
        ])
        const left = Resources.of(offer.resources).subtract(used)
        const leftOffer = {
          ...offer,
          resources: left.list(),
          executor_ids: ofExecutor ? [{ value: 'e' }] : [],
        }
        return (
          Resources.of(offer.resources).contains(used) &&
          tasks.length + rest.length === requests.length &&
          rest.every(request => taskFromOffer(leftOffer, request) === undefined)
        )
      },
    ),
  )
})
