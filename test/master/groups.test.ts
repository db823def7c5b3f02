// LAUNCH_GROUP: all tasks of a group are launched, or none.

import t from 'tap'
import type { Offer } from '../../src/messages/offer.ts'
import type { ExecutorInfo, TaskInfo } from '../../src/messages/task.ts'
import { parseResources } from '../../src/resources/parse.ts'
import { Cluster, type FakeScheduler, task } from './cluster.ts'

const list = (text: string) => [...parseResources(text).list()]

const pod = (scheduler: FakeScheduler, more: object = {}): ExecutorInfo => ({
  type: 'DEFAULT',
  executor_id: { value: 'pod' },
  framework_id: { value: scheduler.id! },
  resources: list('cpus:0.1;mem:32;disk:10'),
  ...more,
})

const group = (
  scheduler: FakeScheduler,
  offer: Offer,
  executor: ExecutorInfo,
  tasks: readonly TaskInfo[],
  more: object = {},
) =>
  scheduler.say({
    type: 'ACCEPT',
    accept: {
      offer_ids: [offer.id],
      operations: [
        {
          type: 'LAUNCH_GROUP',
          launch_group: { executor, task_group: { tasks: [...tasks] } },
          ...more,
        },
      ],
    },
  })

async function cluster() {
  const c = await Cluster.start()
  const agent = await c.registered({ resources: 'cpus:8;mem:4096;disk:4096' })
  const scheduler = await c.subscribed()
  return { c, agent, scheduler }
}

t.test('a group goes to its agent in one message, and its executor is counted', async t => {
  const { c, agent, scheduler } = await cluster()
  const offer = await c.offer(scheduler)
  group(scheduler, offer, pod(scheduler), [task('a', offer), task('b', offer)])
  await c.world.until(() => agent.tasks.has('b'), 'b is there')
  const [run] = agent.of('run_task_group')
  t.match(run, {
    framework: { id: { value: scheduler.id } },
    executor: { type: 'DEFAULT', executor_id: { value: 'pod' } },
    task_group: { tasks: [{ task_id: { value: 'a' } }, { task_id: { value: 'b' } }] },
    launch_executor: true,
  })
  t.equal(run!.executor.resources?.[0]?.allocation_info?.role, '*')
  t.equal(run!.task_group.tasks?.[0]?.resources?.[0]?.allocation_info?.role, '*')
  const rest = await c.offer(scheduler)
  const left = Object.fromEntries((rest.resources ?? []).map(r => [r.name, r.scalar?.value]))
  t.same(left, { cpus: 5.9, mem: 4000, disk: 4086 }, 'two tasks and an executor are taken')
  group(scheduler, rest, pod(scheduler), [task('c', rest)])
  await c.world.until(() => agent.tasks.has('c'), 'c is there')
  t.match(agent.of('run_task_group')[1], { launch_executor: false, launched_for: { value: 'a' } })
  agent.say('exited_executor', {
    agent_id: { value: agent.id! },
    framework_id: { value: scheduler.id! },
    executor_id: { value: 'pod' },
    status: 0,
    launched_for: { value: 'a' },
  })
  await c.settle()
  t.match(scheduler.of('FAILURE'), [{ failure: { executor_id: { value: 'pod' }, status: 0 } }])
})

t.test('why a group is refused, with all of its tasks', async t => {
  const { c, agent, scheduler } = await cluster()
  const id = { value: 'x' }
  const shared = (share_cgroups: boolean) => ({
    container: { type: 'MESOS' as const, linux_info: { share_cgroups } },
  })
  const cases: [RegExp, object, (offer: Offer) => TaskInfo[], object?][] = [
    [/'id' field must not be set for LAUNCH_GROUP/, {}, offer => [task('a', offer)], { id }],
    [/'ExecutorInfo.type' must be set/, { type: undefined }, offer => [task('a', offer)]],
    [
      /'ExecutorInfo.framework_id' must be set/,
      { framework_id: undefined },
      offer => [task('a', offer)],
    ],
    [
      /must not be set for 'DEFAULT' executor/,
      { command: { value: 'x' } },
      offer => [task('a', offer)],
    ],
    [/must be set for 'CUSTOM' executor/, { type: 'CUSTOM' }, offer => [task('a', offer)]],
    [
      /'ExecutorInfo.container.type' must be 'MESOS'/,
      { container: { type: 'DOCKER', docker: { image: 'x' } } },
      offer => [task('a', offer)],
    ],
    [
      /Executor 'pod' uses less CPUs/,
      { resources: list('mem:32;disk:1') },
      offer => [task('a', offer)],
    ],
    [
      /Executor 'pod' uses less memory \(31MB\)/,
      { resources: list('cpus:1;mem:31;disk:1') },
      offer => [task('a', offer)],
    ],
    [
      /Executor 'pod' uses no disk/,
      { resources: list('cpus:1;mem:32') },
      offer => [task('a', offer)],
    ],
    [
      /Task 'a' is invalid: Task has duplicate ID: a/,
      {},
      offer => [task('a', offer), task('a', offer)],
    ],
    [
      /Task 'b' is invalid: 'TaskInfo.executor' must not be set/,
      {},
      offer => [task('a', offer), task('b', offer, { executor: pod(scheduler) })],
    ],
    [/'TaskInfo.command' must be set/, {}, offer => [task('a', offer, { command: undefined })]],
    [
      /Docker ContainerInfo is not supported/,
      {},
      offer => [task('a', offer, { container: { type: 'DOCKER', docker: { image: 'x' } } })],
    ],
    [
      /must have the same value of 'share_cgroups'/,
      {},
      offer => [task('a', offer, shared(false)), task('b', offer)],
    ],
    [
      /resource limits need 'share_cgroups'/,
      {},
      offer => [task('a', offer, { limits: { cpus: { value: 4 } } })],
    ],
    [
      /are more than available/,
      { resources: list('cpus:7.5;mem:32;disk:1') },
      offer => [task('a', offer)],
    ],
  ]
  for (const [why, executor, tasks, more] of cases) {
    const offer = await c.offer(scheduler)
    const before = scheduler.statuses.length
    const all = tasks(offer)
    group(scheduler, offer, pod(scheduler, executor), all, more)
    await c.world.until(() => scheduler.statuses.length === before + all.length, String(why))
    for (const status of scheduler.statuses.slice(before)) {
      t.match(status, { state: 'TASK_ERROR', reason: 'REASON_TASK_GROUP_INVALID', message: why })
    }
  }
  t.equal(agent.of('run_task_group').length, 0)
  const offer = await c.offer(scheduler)
  group(scheduler, offer, pod(scheduler), [
    task('ok', offer, { ...shared(false), limits: { cpus: { value: 4 } } }),
  ])
  await c.world.until(
    () => agent.tasks.has('ok'),
    'one with its own control groups may have limits',
  )
})
