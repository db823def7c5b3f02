// A made-up cluster in the form of the master's `GET /state`, for tests of the dashboard. Fixed: no
// clock, no chance.

import type {
  Agent,
  ClusterState,
  Framework,
  Offer,
  Status,
  Task,
} from '../../src/web/page/state.ts'

export const masterId = 'e938f7fa-0adb-4cbc-91e6-af1d350b8979'

export function agentId(index: number): string {
  return `${masterId}-S${index}`
}

export function frameworkId(index: number): string {
  return `${masterId}-${String(index).padStart(4, '0')}`
}

const lives: Readonly<Record<string, readonly string[]>> = {
  TASK_STAGING: [],
  TASK_STARTING: ['TASK_STARTING'],
  TASK_RUNNING: ['TASK_STARTING', 'TASK_RUNNING'],
  TASK_UNREACHABLE: ['TASK_STARTING', 'TASK_RUNNING', 'TASK_UNREACHABLE'],
  TASK_FINISHED: ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED'],
  TASK_FAILED: ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FAILED'],
  TASK_KILLED: ['TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLED'],
}

const messages: Readonly<Record<string, string>> = {
  TASK_FINISHED: 'Command exited with status 0',
  TASK_FAILED: 'Command exited with status 1',
  TASK_KILLED: 'Command terminated with signal Terminated',
}

/** A task that entered its last state at `atSeconds`, two seconds after the one before. */
export function task(state: string, atSeconds: number, more: Partial<Task> = {}): Task {
  const life = lives[state] ?? [state]
  const statuses = life.map((name, index): Status => {
    const message = messages[name]
    return {
      state: name,
      timestamp: atSeconds - 2 * (life.length - 1 - index),
      container_status: { container_id: { value: '36f58834-ef99-4caf-8ca7-d9fc50507b04' } },
      ...(message === undefined ? {} : { message }),
    }
  })
  return {
    id: 't1',
    name: 't1',
    framework_id: frameworkId(0),
    executor_id: '',
    slave_id: agentId(0),
    state,
    resources: { cpus: 0.1, gpus: 0, mem: 32, disk: 0 },
    role: '*',
    statuses,
    ...more,
  }
}

export function agent(index: number, more: Partial<Agent> = {}): Agent {
  return {
    id: agentId(index),
    hostname: `node-${index}.example.org`,
    port: 5051,
    pid: `slave(1)@10.0.0.${index + 1}:5051`,
    attributes: { rack: `r${index % 3}`, level: 10 },
    registered_time: 1_795_337_468.9,
    resources: { cpus: 8, gpus: 0, mem: 16_384, disk: 100_000, ports: '[31000-32000]' },
    used_resources: { cpus: 0, gpus: 0, mem: 0, disk: 0 },
    offered_resources: { cpus: 0, gpus: 0, mem: 0, disk: 0 },
    active: true,
    deactivated: false,
    version: '1.12.0',
    ...more,
  }
}

export function offer(index: number, more: Partial<Offer> = {}): Offer {
  return {
    id: `${masterId}-O${index}`,
    framework_id: frameworkId(0),
    slave_id: agentId(0),
    allocation_info: { role: '*' },
    resources: { cpus: 2, gpus: 0, mem: 2048, disk: 10_000, ports: '[31000-32000]' },
    ...more,
  }
}

export function framework(index: number, more: Partial<Framework> = {}): Framework {
  return {
    id: frameworkId(index),
    name: `framework ${index}`,
    hostname: 'scheduler.example.org',
    webui_url: '',
    user: 'root',
    roles: ['*'],
    active: true,
    connected: true,
    recovered: false,
    failover_timeout: 60,
    registered_time: 1_795_337_470.9,
    unregistered_time: 0,
    used_resources: { cpus: 0, gpus: 0, mem: 0, disk: 0 },
    offered_resources: { cpus: 0, gpus: 0, mem: 0, disk: 0 },
    tasks: [],
    unreachable_tasks: [],
    completed_tasks: [],
    offers: [],
    ...more,
  }
}

export function cluster(more: Partial<ClusterState> = {}): ClusterState {
  return {
    version: '1.12.0',
    id: masterId,
    start_time: 1_795_337_467.8,
    elected_time: 1_795_337_467.9,
    leader: 'master@10.0.0.1:5050',
    leader_info: { hostname: '10.0.0.1', port: 5050 },
    unreachable_slaves: 0,
    slaves: [],
    frameworks: [],
    completed_frameworks: [],
    ...more,
  }
}
