import t from 'tap'
import { Cluster, PARTITION_AWARE, task } from './cluster.ts'

t.test('what the master counts and has', async t => {
  const c = await Cluster.start()
  const agent = await c.registered({ resources: 'cpus:4;mem:4096;disk:1000' })
  const scheduler = await c.subscribed(PARTITION_AWARE)
  const snapshot = () => c.json('/metrics/snapshot') as Promise<Record<string, number>>
  await c.running(scheduler, agent, 't1')
  const offer = await c.revived(scheduler)
  t.match(await snapshot(), {
    'master/elected': 1,
    'master/slaves_active': 1,
    'master/slaves_connected': 1,
    'master/slaves_disconnected': 0,
    'master/frameworks_active': 1,
    'master/outstanding_offers': 1,
    'master/slave_registrations': 1,
    'master/messages_register_slave': 1,
    'master/messages_register_framework': 1,
    'master/messages_launch_tasks': 1,
    'master/messages_status_update': 1,
    'master/valid_status_updates': 1,
    'master/tasks_running': 1,
    'master/tasks_finished': 0,
    'master/cpus_total': 4,
    'master/cpus_used': 1,
    'master/cpus_percent': 0.25,
    'master/gpus_total': 0,
    'master/gpus_percent': 0,
    'master/mem_total': 4096,
    'master/cpus_revocable_total': 0,
    'master/event_queue_messages': 0,
    'allocator/mesos/resources/cpus/total': 4,
    'allocator/mesos/roles/*/shares/dominant': 1,
    'allocator/mesos/resources/cpus/offered_or_allocated': 4,
    'registrar/queued_operations': 0,
    // The new master, the agent.
    'registrar/state_store_ms/count': 2,
  })
  t.ok((await snapshot())['allocator/mesos/allocation_runs']! > 0)

  scheduler.accept([offer], [task('t1', offer)])
  await c.status(scheduler, 't1', 'TASK_ERROR')
  agent.update('t1', 'TASK_FINISHED')
  await c.status(scheduler, 't1', 'TASK_FINISHED')
  await c.settle()
  t.match(await snapshot(), {
    'master/tasks_error': 1,
    'master/task_error/source_master/reason_task_invalid': 1,
    'master/tasks_finished': 1,
    'master/tasks_running': 0,
    'master/cpus_used': 0,
    'master/valid_status_update_acknowledgements': 2,
  })

  await c.running(scheduler, agent, 't2')
  agent.answersPings = false
  await c.world.advance(90_000)
  t.match(await snapshot(), {
    'master/slaves_active': 0,
    'master/slaves_unreachable': 1,
    'master/slave_removals': 1,
    'master/slave_removals/reason_unhealthy': 1,
    'master/slave_unreachable_scheduled': 1,
    'master/slave_unreachable_completed': 1,
    'master/tasks_unreachable': 1,
    'master/tasks_lost': 0,
    'master/cpus_total': 0,
  })
  await c.failover()
  t.match(await snapshot(), { 'master/slave_registrations': 0 })
  await c.world.stop()
  t.strictSame(c.world.leftovers(), [])
})

t.test('what is off is refused, and the master leads all the same', async t => {
  const c = await Cluster.start()
  c.master.installFirewall({ disabled_endpoints: { paths: ['/state'] } })
  t.equal((await c.get('/master/state')).status, 403)
  t.equal((await c.get('/slaves')).status, 200)
  await c.world.stop()
})
