import t from 'tap'
import { parseFlags } from '../../src/base/flags.ts'
import { masterFlags, parseWeights } from '../../src/master/flags.ts'
import { configOf } from './cluster.ts'

const errors = (...argv: string[]): readonly string[] => {
  const parsed = parseFlags(masterFlags, { argv, env: {}, readFile: () => '' })
  return parsed.ok ? [] : parsed.errors
}

t.test('the defaults are those of Mesos', async t => {
  t.match(configOf(), {
    cluster: undefined,
    agentPingTimeoutMs: 15_000,
    maxAgentPingTimeouts: 5,
    agentReregisterTimeoutMs: 600_000,
    allocationIntervalMs: 1_000,
    offerTimeoutMs: undefined,
    minAllocatable: [new Map([['cpus', 10]]), new Map([['mem', 32_000]])],
    filterGpuResources: true,
    weights: new Map(),
    rootSubmissions: true,
    maxCompletedFrameworks: 50,
    maxCompletedTasksPerFramework: 1000,
    maxUnreachableTasksPerFramework: 1000,
    printable: {
      agent_ping_timeout: '15secs',
      max_agent_ping_timeouts: '5',
      min_allocatable_resources: 'cpus:0.01|mem:32',
    },
  })
})

t.test('each flag changes what it says', async t => {
  const cases: [string, string, object][] = [
    ['cluster', 'prod', { cluster: 'prod' }],
    ['agent_ping_timeout', '2secs', { agentPingTimeoutMs: 2_000 }],
    ['max_agent_ping_timeouts', '1', { maxAgentPingTimeouts: 1 }],
    ['agent_reregister_timeout', '20mins', { agentReregisterTimeoutMs: 1_200_000 }],
    ['registry_fetch_timeout', '2mins', { registryFetchTimeoutMs: 120_000 }],
    ['registry_store_timeout', '5secs', { registryStoreTimeoutMs: 5_000 }],
    ['registry_gc_interval', '1mins', { registryGcIntervalMs: 60_000 }],
    ['registry_max_agent_age', '3days', { registryMaxAgentAgeMs: 259_200_000 }],
    ['registry_max_agent_count', '9', { registryMaxAgentCount: 9 }],
    ['allocation_interval', '50ms', { allocationIntervalMs: 50 }],
    ['offer_timeout', '1mins', { offerTimeoutMs: 60_000 }],
    ['min_allocatable_resources', 'disk:1', { minAllocatable: [new Map([['disk', 1_000]])] }],
    ['min_allocatable_resources', '', { minAllocatable: [] }],
    ['filter_gpu_resources', 'false', { filterGpuResources: false }],
    [
      'weights',
      'ads=2,batch=0.5',
      {
        weights: new Map([
          ['ads', 2],
          ['batch', 0.5],
        ]),
      },
    ],
    ['root_submissions', 'false', { rootSubmissions: false }],
    ['max_completed_frameworks', '0', { maxCompletedFrameworks: 0 }],
    ['max_completed_tasks_per_framework', '7', { maxCompletedTasksPerFramework: 7 }],
    ['max_unreachable_tasks_per_framework', '7', { maxUnreachableTasksPerFramework: 7 }],
  ]
  for (const [name, value, expected] of cases) {
    const config = configOf({ [name]: value })
    t.match(config, expected, name)
    t.equal(config.printable[name], value)
  }
})

t.test('the password in --zk is not shown', async t => {
  t.equal(
    configOf({ zk: 'zk://ada:engine@h:2181/mesos' }).printable['zk'],
    'zk://ada:<secret>@h:2181/mesos',
  )
})

t.test('values that make no sense are refused', async t => {
  for (const [flag, message] of [
    ['--agent_ping_timeout=500ms', /agent_ping_timeout/],
    ['--agent_ping_timeout=20mins', /agent_ping_timeout/],
    ['--max_agent_ping_timeouts=0', /max_agent_ping_timeouts/],
    ['--agent_reregister_timeout=9mins', /agent_reregister_timeout/],
    ['--min_allocatable_resources=cpus:x', /'x' is not a number/],
    ['--weights=ads=0', /in 'ads=0': the weight must be a number above 0/],
    ['--port=70000', /port/],
    ['--allocation_interval=0secs', /allocation_interval.*too small.*at least 10ms/],
    ['--advertise_ip=foo', /'foo' is not an IPv4 address/],
    ['--ip=foo', /'foo' is not an IPv4 address/],
    ['--hostname=', /hostname.*empty/],
    ['--registry=zookeeper', /replicated_log/],
    ['--agent_ping_timout=15secs', /agent_ping_timeout/],
  ] as const) {
    t.match(errors(flag).join(' '), message, flag)
  }
})

t.test('weights', async t => {
  t.same(parseWeights(''), new Map())
  t.same(
    parseWeights(' a = 1 , b/c=2.5,'),
    new Map([
      ['a', 1],
      ['b/c', 2.5],
    ]),
  )
  for (const [text, message] of [
    ['a', /above 0/],
    ['a=', /above 0/],
    ['a=-1', /above 0/],
    ['a=Infinity', /above 0/],
    ['a=1=2', /write role=weight/],
    ['/a=1', /cannot start with a slash/],
    ['a=1,a=2', /two weights/],
  ] as const) {
    t.throws(() => parseWeights(text), { message }, text)
  }
})
