import t from 'tap'
import { type TaskSetting, validateTask } from '../../src/master/task-validation.ts'
import type { TaskInfo } from '../../src/messages/task.ts'
import { parseResources } from '../../src/resources/parse.ts'
import { Resources } from '../../src/resources/resources.ts'

const list = (text: string) => [...parseResources(text).list()]
const setting = (more: Partial<TaskSetting> = {}): TaskSetting => ({
  frameworkId: 'F',
  agentId: 'S0',
  role: 'r',
  available: parseResources('cpus:4;mem:1000;gpus:2'),
  task: () => undefined,
  executor: () => undefined,
  ...more,
})
const task = (more: object = {}): TaskInfo => ({
  name: 't',
  task_id: { value: 't' },
  agent_id: { value: 'S0' },
  command: { value: 'true' },
  resources: list('cpus:1;mem:100'),
  ...more,
})
const own = (more: object = {}) => ({
  command: undefined,
  executor: {
    executor_id: { value: 'e' },
    command: { value: './e' },
    resources: list('cpus:1'),
    ...more,
  },
})
const error = (info: object, more?: Partial<TaskSetting>): string | undefined => {
  const checked = validateTask(task(info), setting(more))
  return checked.ok ? undefined : checked.error
}
const nanoseconds = (n: number) => ({ nanoseconds: n })
const revocable = (text: string) => list(text).map(resource => ({ ...resource, revocable: {} }))

t.test('what a valid task needs', async t => {
  const simple = validateTask(task(), setting())
  t.ok(simple.ok && simple.needs.total.equals(parseResources('cpus:1;mem:100')))
  const first = validateTask(task(own()), setting())
  t.ok(first.ok && first.needs.total.equals(parseResources('cpus:2;mem:100')))
  t.match(first, { needs: { newExecutor: { info: { framework_id: { value: 'F' } } } } })
  const known = { ...own().executor, framework_id: { value: 'F' } }
  const second = validateTask(task(own()), setting({ executor: () => known }))
  t.ok(second.ok && second.needs.newExecutor === undefined)
  t.ok(second.ok && second.needs.total.equals(parseResources('cpus:1;mem:100')))
  const all = validateTask(task({ resources: list('cpus:4;mem:1000;gpus:2') }), setting())
  t.ok(all.ok)
})

t.test('why a task is refused', async t => {
  const cases: [string, object, string | RegExp | undefined][] = [
    ['empty id', { task_id: { value: '' } }, 'TaskInfo.task_id is invalid: ID must not be empty'],
    ['too much', { data: 'A'.repeat(6 << 20) }, /^TaskInfo is described in \d+ bytes, and 4MB are/],
    ['bad id', { task_id: { value: '..' } }, "TaskInfo.task_id is invalid: '..' is disallowed"],
    [
      'agent',
      { agent_id: { value: 'S1' } },
      'Task uses invalid agent S1 while agent S0 is expected',
    ],
    [
      'neither',
      { command: undefined },
      'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present',
    ],
    [
      'both',
      { executor: own().executor },
      'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present',
    ],
    [
      'grace',
      { kill_policy: { grace_period: nanoseconds(-1) } },
      "Task's 'kill_policy.grace_period' must be non-negative",
    ],
    [
      'completion',
      { max_completion_time: nanoseconds(-1) },
      "Task's `max_completion_time` must be non-negative",
    ],
    ['no resources', { resources: [] }, 'Task uses no resources'],
    [
      'zero cpus',
      { resources: [...list('mem:32'), { name: 'cpus', type: 'SCALAR', scalar: { value: 0 } }] },
      undefined,
    ],
    [
      'negative',
      { resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: -1 } }] },
      /^Task uses invalid resources: .*value <= 0$/,
    ],
    [
      'half a gpu',
      { resources: [{ name: 'gpus', type: 'SCALAR', scalar: { value: 0.5 } }] },
      /The 'gpus' resource must be an unsigned integer/,
    ],
    [
      'other role',
      {
        resources: [
          { name: 'cpus', type: 'SCALAR', scalar: { value: 1 }, allocation_info: { role: 'x' } },
        ],
      },
      "Invalid task resources: allocated to role 'x', but the offer is for role 'r'",
    ],
    [
      'revocable',
      { resources: [...list('cpus:1'), ...revocable('cpus:1')] },
      "Task mixes revocable and non-revocable resources: Cannot use both revocable and non-revocable 'cpus' at the same time",
    ],
    [
      'too much',
      { resources: list('cpus:5') },
      'Total resources cpus(allocated: r):5 required by task and its executor is more than available cpus(allocated: r):4; mem(allocated: r):1000; gpus(allocated: r):2',
    ],
    [
      'too much with executor',
      { ...own({ resources: list('cpus:3.5') }) },
      /^Total resources cpus\(allocated: r\):4.5;/,
    ],
    [
      'limits',
      { limits: { cpus: { value: 2 }, mem: { value: Number.POSITIVE_INFINITY } } },
      undefined,
    ],
    [
      'limit of disk',
      { limits: { disk: { value: 2 } } },
      "Only cpus and mem may be included in a task's resource limits",
    ],
    [
      'low cpu limit',
      { limits: { cpus: { value: 0.5 } } },
      'The cpu limit must be greater than or equal to the cpu request',
    ],
    [
      'low mem limit',
      { limits: { mem: { value: 99 } } },
      'The memory limit must be greater than or equal to the memory request',
    ],
    [
      'limit alone',
      { resources: list('mem:1'), limits: { cpus: { value: 1 } } },
      'When a CPU limit is specified, a CPU request must also be specified',
    ],
    [
      'mem limit alone',
      { resources: list('cpus:1'), limits: { mem: { value: 1 } } },
      'When a memory limit is specified, a memory request must also be specified',
    ],
    [
      'cgroups',
      { container: { type: 'MESOS', linux_info: { share_cgroups: false } } },
      "Only tasks in a task group may have 'share_cgroups' set to 'false'",
    ],
    [
      'container',
      { container: { type: 'DOCKER' } },
      "Task's `ContainerInfo` is invalid: DockerInfo 'docker' is not set for DOCKER typed ContainerInfo",
    ],
    [
      'docker name',
      {
        container: {
          type: 'DOCKER',
          docker: { image: 'i', parameters: [{ key: 'name', value: 'x' }] },
        },
      },
      "Task's `ContainerInfo` is invalid: Parameter in DockerInfo must not be 'name'",
    ],
    [
      'volume',
      { container: { type: 'MESOS', volumes: [{ mode: 'RW', container_path: 'x' }] } },
      "Task's `ContainerInfo` is invalid: Invalid volume: Only one of them should be set: 'host_path', 'image' and 'source'",
    ],
    [
      'environment',
      { command: { value: 'x', environment: { variables: [{ name: 'A' }] } } },
      "Task's `CommandInfo` is invalid: Environment variable 'A' of type 'VALUE' must have a value set",
    ],
    [
      'secret',
      {
        command: {
          value: 'x',
          environment: { variables: [{ name: 'A', type: 'SECRET', value: 'x', secret: {} }] },
        },
      },
      "Task's `CommandInfo` is invalid: Environment variable 'A' of type 'SECRET' must not have a value set",
    ],
    [
      'no secret',
      { command: { value: 'x', environment: { variables: [{ name: 'A', type: 'SECRET' }] } } },
      /must have a secret set$/,
    ],
    [
      'secret value',
      {
        command: {
          value: 'x',
          environment: { variables: [{ name: 'A', value: 'x', secret: {} }] },
        },
      },
      /must not have a secret set$/,
    ],
  ]
  for (const [name, info, expected] of cases) t.match(error(info), expected, name)
})

t.test('why checks are refused', async t => {
  const health = 'Task uses invalid health check: '
  const check = 'Task uses invalid check: '
  const cases: [object, string | undefined][] = [
    [{ health_check: { type: 'COMMAND', command: { value: 'x' } } }, undefined],
    [
      { health_check: { type: 'HTTP', http: { port: 80, scheme: 'https', path: '/x' } } },
      undefined,
    ],
    [{ health_check: { type: 'TCP', tcp: { port: 80 } } }, undefined],
    [{ health_check: {} }, `${health}HealthCheck must specify 'type'`],
    [
      { health_check: { type: 'COMMAND' } },
      `${health}Expecting 'command' to be set for COMMAND health check`,
    ],
    [
      { health_check: { type: 'COMMAND', command: {} } },
      `${health}Command health check must contain 'shell command'`,
    ],
    [
      { health_check: { type: 'COMMAND', command: { shell: false } } },
      `${health}Command health check must contain 'executable path'`,
    ],
    [
      {
        health_check: {
          type: 'COMMAND',
          command: { value: 'x', environment: { variables: [{ name: 'A' }] } },
        },
      },
      `${health}Health check's \`CommandInfo\` is invalid: Environment variable 'A' of type 'VALUE' must have a value set`,
    ],
    [
      { health_check: { type: 'HTTP' } },
      `${health}Expecting 'http' to be set for HTTP health check`,
    ],
    [
      { health_check: { type: 'HTTP', http: { port: 1, scheme: 'ftp' } } },
      `${health}Unsupported HTTP health check scheme: 'ftp'`,
    ],
    [
      { health_check: { type: 'HTTP', http: { port: 1, path: 'x' } } },
      `${health}The path 'x' of HTTP health check must start with '/'`,
    ],
    [{ health_check: { type: 'TCP' } }, `${health}Expecting 'tcp' to be set for TCP health check`],
    [
      { health_check: { type: 'TCP', tcp: { port: 1 }, delay_seconds: -1 } },
      `${health}Expecting 'delay_seconds' to be non-negative`,
    ],
    [
      { health_check: { type: 'TCP', tcp: { port: 1 }, grace_period_seconds: -1 } },
      `${health}Expecting 'grace_period_seconds' to be non-negative`,
    ],
    [{ check: { type: 'COMMAND', command: { command: { value: 'x' } } } }, undefined],
    [{ check: {} }, `${check}CheckInfo must specify 'type'`],
    [{ check: { type: 'COMMAND' } }, `${check}Expecting 'command' to be set for COMMAND check`],
    [{ check: { type: 'HTTP' } }, `${check}Expecting 'http' to be set for HTTP check`],
    [
      { check: { type: 'HTTP', http: { port: 1, path: 'x' } } },
      `${check}The path 'x' of HTTP check must start with '/'`,
    ],
    [{ check: { type: 'TCP' } }, `${check}Expecting 'tcp' to be set for TCP check`],
    [
      { check: { type: 'TCP', tcp: { port: 1 }, interval_seconds: -1 } },
      `${check}Expecting 'interval_seconds' to be non-negative`,
    ],
  ]
  for (const [info, expected] of cases) t.equal(error(info), expected, JSON.stringify(info))
})

t.test('why executors are refused', async t => {
  const cases: [object, string | RegExp | undefined][] = [
    [{}, undefined],
    [{ type: 'CUSTOM', framework_id: { value: 'F' } }, undefined],
    [{ type: 'DEFAULT' }, "'ExecutorInfo.type' must be 'CUSTOM'"],
    [{ command: undefined }, "'ExecutorInfo.command' must be set for 'CUSTOM' executor"],
    [
      { executor_id: { value: 'a/b' } },
      "ExecutorInfo.executor_id is invalid: 'a/b' contains invalid characters",
    ],
    [
      { framework_id: { value: 'G' } },
      'ExecutorInfo has an invalid FrameworkID (Actual: G vs Expected: F)',
    ],
    [
      { shutdown_grace_period: nanoseconds(-1) },
      "ExecutorInfo's 'shutdown_grace_period' must be non-negative",
    ],
    [
      { resources: [{ name: 'mem', type: 'SCALAR', scalar: { value: -1 } }] },
      /^Executor uses invalid resources: /,
    ],
    [
      {
        resources: [
          { name: 'mem', type: 'SCALAR', scalar: { value: 1 }, allocation_info: { role: 'x' } },
        ],
      },
      /^Invalid executor resources: allocated to role 'x'/,
    ],
    [
      { resources: revocable('cpus:1') },
      /^Task and its executor mix revocable and non-revocable resources: /,
    ],
    [{ container: { type: 'DOCKER' } }, /^Executor's `ContainerInfo` is invalid: /],
    [
      { command: { value: 'x', environment: { variables: [{ name: 'A' }] } } },
      /^Executor's `CommandInfo` is invalid: /,
    ],
  ]
  for (const [more, expected] of cases) t.match(error(own(more)), expected, JSON.stringify(more))
  const known = { ...own().executor, framework_id: { value: 'F' } }
  t.match(
    error(own({ name: 'other' }), { executor: () => known }),
    /^ExecutorInfo is not compatible with existing ExecutorInfo/,
  )
  t.equal(error(own({ framework_id: { value: 'F' } }), { executor: () => known }), undefined)
})

t.test('an id may be used again once its task is over', async t => {
  const on = (
    state: 'TASK_RUNNING' | 'TASK_FINISHED' | 'TASK_UNREACHABLE' | 'TASK_LOST',
    known: boolean,
  ) => error({}, { task: id => (id === 't' ? { state, known } : undefined) })
  t.equal(on('TASK_RUNNING', true), 'Task has duplicate ID: t')
  t.equal(on('TASK_FINISHED', true), 'Task has duplicate ID: t', 'its end is not acknowledged')
  t.equal(on('TASK_UNREACHABLE', false), 'Task reuses the ID of an unreachable task: t')
  t.equal(on('TASK_LOST', false), undefined)
  t.equal(error({}, { available: Resources.empty })?.startsWith('Total resources'), true)
})
