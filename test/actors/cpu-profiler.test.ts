// The profiler of this very process. A file of its own: V8 forgets what it counted for `npm run coverage` when a profile ends.

import t from 'tap'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { silentLogger } from '../../src/base/log.ts'

t.test('the profile of the running process', async t => {
  process.env['LIBPROCESS_ENABLE_PROFILER'] = '1'
  const listen = { ip: '127.0.0.1', port: 0 }
  const runtime = await systemRuntime({ log: silentLogger, listen })
  delete process.env['LIBPROCESS_ENABLE_PROFILER']
  t.teardown(() => runtime.shutdown())
  const url = `http://${runtime.address}`
  t.equal((await fetch(`${url}/profiler/start`)).status, 200)
  const stopped = await fetch(`${url}/profiler/stop`)
  t.equal(stopped.status, 200)
  const profile = (await stopped.json()) as { nodes: unknown[]; samples: unknown[] }
  t.ok(profile.nodes.length > 0 && Array.isArray(profile.samples))
  t.match(await (await fetch(`${url}/metrics/snapshot`)).text(), '"system/mem_total_bytes":')
})
