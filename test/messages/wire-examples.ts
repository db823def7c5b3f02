// Objects as Apache Mesos 1.12 and its clients put them on the wire, ids shortened.

const resources = [
  { name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 }, allocation_info: { role: 'conf' } },
  { name: 'mem', type: 'SCALAR', scalar: { value: 32.0 }, allocation_info: { role: 'conf' } },
]

const framework_info = {
  user: 'root',
  name: 'conformance',
  id: { value: 'm-0012' },
  failover_timeout: 0.0,
  checkpoint: false,
  roles: ['conf'],
  capabilities: [{ type: 'MULTI_ROLE' }, { type: 'RESERVATION_REFINEMENT' }],
}

const task = {
  name: 'c1',
  task_id: { value: 'c1' },
  agent_id: { value: 'm-S0' },
  resources,
  executor: {
    type: 'CUSTOM',
    executor_id: { value: 'ex' },
    framework_id: { value: 'm-0012' },
    command: { shell: true, value: 'sleep 1000', uris: [{ value: 'http://h/f', extract: true }] },
    resources,
    name: 'my executor',
    source: 'conf',
  },
  container: {
    type: 'MESOS',
    volumes: [
      {
        mode: 'RW',
        container_path: 'data',
        source: { type: 'SANDBOX_PATH', sandbox_path: { type: 'SELF', path: 'p' } },
      },
    ],
    mesos: { image: { type: 'DOCKER', docker: { name: 'alpine' }, cached: true } },
    linux_info: { share_cgroups: true, effective_capabilities: { capabilities: ['NET_RAW'] } },
    rlimit_info: { rlimits: [{ type: 'RLMT_CORE', hard: 0, soft: 0 }] },
  },
  health_check: {
    delay_seconds: 0.0,
    interval_seconds: 0.2,
    timeout_seconds: 5.0,
    consecutive_failures: 2,
    grace_period_seconds: 0.0,
    type: 'COMMAND',
    command: { shell: true, value: 'false' },
  },
  check: { type: 'TCP', tcp: { port: 31000 }, interval_seconds: 1 },
  kill_policy: { grace_period: { nanoseconds: 3_000_000_000 } },
  data: 'aGVsbG8=',
  labels: { labels: [{ key: 'x', value: 'y' }, { key: 'z' }] },
  discovery: {
    visibility: 'CLUSTER',
    name: 'web',
    ports: { ports: [{ number: 80, protocol: 'tcp', visibility: 'EXTERNAL' }] },
  },
  max_completion_time: { nanoseconds: 60_000_000_000 },
  limits: { cpus: { value: Number.POSITIVE_INFINITY }, mem: { value: 512 } },
}

const status = {
  task_id: { value: 't1' },
  state: 'TASK_FINISHED',
  message: 'Command exited with status 0',
  source: 'SOURCE_EXECUTOR',
  agent_id: { value: 'm-S0' },
  executor_id: { value: 't1' },
  timestamp: 1795337471.35253,
  uuid: 'YjhIEQRvTeiTdBgVV3DUrg==',
  healthy: true,
  container_status: {
    container_id: { value: 'child', parent: { value: '36f58834' } },
    network_infos: [{ ip_addresses: [{ protocol: 'IPv4', ip_address: '127.0.0.1' }] }],
    executor_pid: 17121,
  },
}

const offer = {
  id: { value: 'm-O4' },
  framework_id: { value: 'm-0003' },
  agent_id: { value: 'm-S0' },
  hostname: '127.0.0.1',
  url: {
    scheme: 'http',
    address: { hostname: '127.0.0.1', ip: '127.0.0.1', port: 5051 },
    path: '/slave(1)',
  },
  resources: [
    {
      name: 'ports',
      type: 'RANGES',
      ranges: { range: [{ begin: 31000, end: 32000 }] },
      allocation_info: { role: 'conf' },
    },
    ...resources,
  ],
  attributes: [
    { name: 'rack', type: 'TEXT', text: { value: 'r1' } },
    { name: 'level', type: 'SCALAR', scalar: { value: 10.0 } },
  ],
  allocation_info: { role: 'conf' },
}

const agent_info = {
  hostname: '127.0.0.1',
  port: 5051,
  resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 4.0 } }],
  attributes: offer.attributes,
  id: { value: 'm-S0' },
}

const master_info = {
  id: 'm',
  ip: 16777343,
  port: 5050,
  pid: 'master@127.0.0.1:5050',
  hostname: '127.0.0.1',
  version: '1.12.0',
  address: { hostname: '127.0.0.1', ip: '127.0.0.1', port: 5050 },
  capabilities: [{ type: 'AGENT_UPDATE' }, { type: 'QUOTA_V2' }],
}

const volume = {
  name: 'disk',
  type: 'SCALAR',
  scalar: { value: 100 },
  reservations: [{ type: 'DYNAMIC', role: 'conf' }],
  disk: { persistence: { id: 'v1' }, volume: { container_path: 'data', mode: 'RW' } },
  allocation_info: { role: 'conf' },
}

const framework_id = { value: 'm-0012' }
const ids = { agent_id: { value: 'm-S0' }, executor_id: { value: 'ex' } }

export const calls: unknown[] = [
  {
    type: 'SUBSCRIBE',
    subscribe: {
      framework_info: {
        user: 'foo',
        name: 'Example HTTP Framework',
        roles: ['test1', 'test2'],
        capabilities: [{ type: 'MULTI_ROLE' }],
      },
      suppressed_roles: ['test2'],
      offer_constraints: {
        role_constraints: {
          test1: {
            groups: [
              {
                attribute_constraints: [
                  { selector: { attribute_name: 'foo' }, predicate: { exists: {} } },
                ],
              },
            ],
          },
        },
      },
    },
  },
  {
    framework_id,
    type: 'ACCEPT',
    accept: {
      offer_ids: [{ value: 'm-O0' }],
      operations: [
        { type: 'LAUNCH', launch: { task_infos: [task] } },
        {
          type: 'LAUNCH_GROUP',
          launch_group: {
            executor: { type: 'DEFAULT', framework_id, executor_id: { value: 'dex' }, resources },
            task_group: {
              tasks: [
                {
                  name: 'a',
                  task_id: { value: 'a' },
                  agent_id: { value: 'm-S0' },
                  command: { value: 'sleep 1000' },
                  resources,
                },
              ],
            },
          },
        },
        { type: 'RESERVE', id: { value: 'my-op' }, reserve: { resources: [volume] } },
        { type: 'CREATE', create: { volumes: [volume] } },
        { type: 'SHRINK_VOLUME', shrink_volume: { volume, subtract: { value: 1 } } },
      ],
      filters: { refuse_seconds: 1000 },
    },
  },
  { framework_id, type: 'DECLINE', decline: { offer_ids: [{ value: 'm-O0' }] } },
  { framework_id, type: 'REVIVE' },
  { framework_id, type: 'SUPPRESS', suppress: { roles: ['conf'] } },
  {
    framework_id,
    type: 'KILL',
    kill: { task_id: { value: 't1' }, kill_policy: { grace_period: { nanoseconds: 0 } } },
  },
  { framework_id, type: 'SHUTDOWN', shutdown: ids },
  {
    framework_id,
    type: 'ACKNOWLEDGE',
    acknowledge: {
      agent_id: { value: 'm-S0' },
      task_id: { value: 't1' },
      uuid: '+GLo3BZuSpe2O7/Dlzjung==',
    },
  },
  {
    framework_id,
    type: 'RECONCILE',
    reconcile: { tasks: [{ task_id: { value: '312325' }, agent_id: { value: '123535' } }] },
  },
  { framework_id, type: 'RECONCILE', reconcile: {} },
  { framework_id, type: 'MESSAGE', message: { ...ids, data: 'dG8gZXhlYw==' } },
  { framework_id, type: 'REQUEST', request: { requests: [{ resources }] } },
  { framework_id, type: 'UPDATE_FRAMEWORK', update_framework: { framework_info } },
  { framework_id, type: 'TEARDOWN' },
]

export const events: unknown[] = [
  {
    type: 'SUBSCRIBED',
    subscribed: { framework_id, heartbeat_interval_seconds: 15.0, master_info },
  },
  { type: 'OFFERS', offers: { offers: [offer] } },
  {
    type: 'INVERSE_OFFERS',
    inverse_offers: {
      inverse_offers: [
        {
          id: { value: 'm-O30' },
          url: offer.url,
          framework_id,
          agent_id: { value: 'm-S0' },
          unavailability: {
            start: { nanoseconds: 2 * 10 ** 18 },
            duration: { nanoseconds: 3_600_000_000_000 },
          },
        },
      ],
    },
  },
  { type: 'RESCIND', rescind: { offer_id: { value: 'm-O0' } } },
  { type: 'UPDATE', update: { status } },
  {
    type: 'UPDATE',
    update: {
      status: {
        task_id: { value: 'x' },
        state: 'TASK_UNKNOWN',
        source: 'SOURCE_MASTER',
        reason: 'REASON_RECONCILIATION',
        timestamp: 1795337479.9,
      },
    },
  },
  {
    type: 'UPDATE_OPERATION_STATUS',
    update_operation_status: {
      status: {
        operation_id: { value: 'my-op' },
        state: 'OPERATION_FINISHED',
        uuid: { value: 'Ed6UuxvjQD+BWdqAVc0BZA==' },
        agent_id: { value: 'm-S0' },
      },
    },
  },
  { type: 'MESSAGE', message: { ...ids, data: 'ZnJvbSBleGVj' } },
  { type: 'FAILURE', failure: { ...ids, status: 9 } },
  { type: 'ERROR', error: { message: 'Framework failed over' } },
  { type: 'HEARTBEAT' },
]

const sender = { framework_id, executor_id: { value: 'ex' } }

export const executorCalls: unknown[] = [
  {
    ...sender,
    type: 'SUBSCRIBE',
    subscribe: { unacknowledged_tasks: [task], unacknowledged_updates: [{ status }] },
  },
  {
    ...sender,
    type: 'UPDATE',
    update: {
      status: {
        task_id: { value: 'c1' },
        state: 'TASK_RUNNING',
        source: 'SOURCE_EXECUTOR',
        uuid: 'XwxanjsdTH6aK22PASNFAQ==',
        message: 'going',
        data: 'aGVsbG8=',
        labels: { labels: [{ key: 'x', value: 'y' }] },
      },
    },
  },
  { ...sender, type: 'MESSAGE', message: { data: 'dG8gZXhlYw==' } },
  { ...sender, type: 'HEARTBEAT' },
]

export const executorEvents: unknown[] = [
  {
    type: 'SUBSCRIBED',
    subscribed: {
      executor_info: task.executor,
      framework_info,
      agent_info,
      container_id: { value: 'eda0e421' },
    },
  },
  { type: 'LAUNCH', launch: { task } },
  { type: 'LAUNCH_GROUP', launch_group: { task_group: { tasks: [task] } } },
  { type: 'KILL', kill: { task_id: { value: 'c1' } } },
  {
    type: 'ACKNOWLEDGED',
    acknowledged: { task_id: { value: 'c1' }, uuid: 'XwxanjsdTH6aK22PASNFAQ==' },
  },
  { type: 'MESSAGE', message: { data: 'dG8gZXhlYw==' } },
  { type: 'SHUTDOWN' },
]

/** The master's record, from GET_STATE. */
export const taskRecord: unknown = {
  name: 't1',
  task_id: { value: 't1' },
  framework_id,
  agent_id: { value: 'm-S0' },
  state: 'TASK_FINISHED',
  resources,
  statuses: [status],
  status_update_state: 'TASK_FINISHED',
  status_update_uuid: 'YjhIEQRvTeiTdBgVV3DUrg==',
}

const identity = {
  agent: agent_info,
  version: '0.1.0',
  agent_capabilities: [{ type: 'MULTI_ROLE' }],
  checkpointed_resources: [volume],
}

/** Our own messages, by protocol and name. */
export const registration: Record<string, unknown> = {
  register_agent: identity,
  reregister_agent: {
    ...identity,
    tasks: [taskRecord],
    executor_infos: [task.executor],
    frameworks: [framework_info],
    completed_frameworks: [{ framework_info, tasks: [] }],
  },
  status_update: {
    update: {
      framework_id,
      agent_id: { value: 'm-S0' },
      status,
      timestamp: 1795337471.3,
      uuid: 'YjhIEQRvTeiTdBgVV3DUrg==',
      latest_state: 'TASK_FINISHED',
    },
  },
}
