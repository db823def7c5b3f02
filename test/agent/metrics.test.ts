import t from 'tap'
import { AWARE, command, scene } from './world.ts'

t.test('what the agent counts and has', async t => {
  const s = await scene()
  const snapshot = async () =>
    JSON.parse((await s.get('/metrics/snapshot')).body) as Record<string, number>
  s.master.run(AWARE, command('t1', 'echo hi; sleep 2'))
  await s.reaches('t1', 'TASK_RUNNING')
  t.match(await snapshot(), {
    'slave/registered': 1,
    'slave/frameworks_active': 1,
    'slave/executors_running': 1,
    'slave/tasks_running': 1,
    'slave/tasks_staging': 0,
    'slave/tasks_finished': 0,
    'slave/cpus_total': 4,
    'slave/cpus_used': 0.1,
    'slave/cpus_percent': 0.025,
    'slave/valid_status_updates': 2,
  })
  await s.reaches('t1', 'TASK_FINISHED')
  await s.world.advance(10_000)
  t.match(await snapshot(), {
    'slave/tasks_running': 0,
    'slave/tasks_finished': 1,
    'slave/executors_running': 0,
    'slave/executors_terminated': 1,
    'slave/cpus_used': 0,
    'slave/invalid_status_updates': 0,
    'slave/container_launch_errors': 0,
  })
})
