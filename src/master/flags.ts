// The master's flags, in Mesos' spelling. Each one that is listed here works.

import { isOperatorToken } from '../actors/shared-secret.ts'
import { httpFlags } from '../actors/http-flags.ts'
import { trustFlags } from '../actors/trust-flags.ts'
import { addressFlags, logFlags } from '../base/server-flags.ts'
import { defineFlags, type FlagValues, flag, printableFlags } from '../base/flags.ts'
import { days, minutes, seconds } from '../base/duration.ts'
import { zkFlags } from '../detector/flags.ts'
import { masterAddresses } from '../messages/master-address.ts'
import { parseAlternatives } from '../resources/quantities.ts'
import { validateRole } from '../resources/roles.ts'
import type { MasterConfig } from './config.ts'
import {
  DEFAULT_AGENT_PING_TIMEOUT_MS,
  DEFAULT_AGENT_REREGISTER_TIMEOUT_MS,
  DEFAULT_MAX_AGENT_PING_TIMEOUTS,
} from './constants.ts'

const count = (fallback: number, help: string) => flag.integer({ default: fallback, min: 0, help })

export const masterFlags = defineFlags({
  work_dir: flag.path({
    group: 'Where',
    help: 'Directory of the replicated log. Required, unless --registry=in_memory.',
    example: '/var/lib/mesos',
  }),
  ...addressFlags({
    server: 'master',
    port: 5050,
    portHelp:
      'Port to listen on, for everything: agents, frameworks, HTTP, dashboard. 0: any free one.',
    hostnameHelp: 'Name by which browsers and tools reach this master.',
  }),
  cluster: flag.string({
    group: 'Where',
    help: 'Name of the cluster, shown in the dashboard.',
    example: 'production',
  }),
  masters: flag.string({
    group: 'Registry',
    help: 'All masters of the cluster, this one among them, by the addresses that they advertise. They keep the registry together, and elect who leads. Without it this master is alone.',
    example: '10.0.0.1:5050,10.0.0.2:5050,10.0.0.3:5050',
    validate: text =>
      masterAddresses(text)
        ? undefined
        : 'expected addresses of masters, each once, with commas between',
  }),
  quorum: flag.integer({
    group: 'Registry',
    min: 1,
    help: 'How many masters must have a change of the registry on disk: more than half of --masters, which is the default. Required with --zk: N of at most 2N-1 masters.',
  }),
  ...zkFlags({
    help: 'Where ZooKeeper is, and the node under which the masters find each other and elect who leads, instead of --masters. With user and password, only they may change what lies there.',
    group: 'Registry',
  }),
  log_retention: flag.bytes({
    group: 'Registry',
    default: 0,
    min: 0,
    help: 'How much of the replicated log that is not needed any more is kept on disk, the newest of it: for mesos-log replay.',
  }),
  registry: flag.choice(['replicated_log', 'in_memory'], {
    group: 'Registry',
    default: 'replicated_log',
    help: 'Where the registry is kept. in_memory forgets it at the end of the process; for trying things out.',
  }),
  registry_fetch_timeout: flag.duration({
    group: 'Registry',
    default: minutes(1),
    min: 1,
    help: 'How long reading the registry may take at the start; after that the master ends.',
  }),
  registry_store_timeout: flag.duration({
    group: 'Registry',
    default: seconds(20),
    min: 1,
    help: 'How long one write to the registry may take; after that the master ends.',
  }),
  registry_gc_interval: flag.duration({
    group: 'Registry',
    default: minutes(15),
    min: seconds(1),
    help: 'How often agents that were given up long ago are looked for in the registry, to be forgotten.',
  }),
  registry_max_agent_age: flag.duration({
    group: 'Registry',
    default: days(14),
    help: 'How long the registry remembers an agent that was given up.',
  }),
  registry_max_agent_count: flag.integer({
    group: 'Registry',
    default: 100 * 1024,
    min: 0,
    help: 'How many agents that were given up the registry remembers.',
  }),
  agent_ping_timeout: flag.duration({
    group: 'Agents',
    default: DEFAULT_AGENT_PING_TIMEOUT_MS,
    min: seconds(1),
    max: minutes(15),
    aliases: ['slave_ping_timeout'],
    help: 'How long an agent has to answer a ping.',
  }),
  max_agent_ping_timeouts: flag.integer({
    group: 'Agents',
    default: DEFAULT_MAX_AGENT_PING_TIMEOUTS,
    min: 1,
    aliases: ['max_slave_ping_timeouts'],
    help: 'Unanswered pings in a row after which an agent is unreachable.',
  }),
  agent_reregister_timeout: flag.duration({
    group: 'Agents',
    default: DEFAULT_AGENT_REREGISTER_TIMEOUT_MS,
    min: minutes(10),
    aliases: ['slave_reregister_timeout'],
    help: 'How long agents have to come back after a failover of the master before they are unreachable.',
  }),
  allocation_interval: flag.duration({
    group: 'Offers',
    default: seconds(1),
    min: 10,
    help: 'Shortest time before what a framework did not use is offered to it again. There is no allocation cycle: what becomes free is offered at once.',
  }),
  offer_timeout: flag.duration({
    group: 'Offers',
    min: 1,
    help: 'An offer that is not answered for so long is rescinded.',
    defaultText: 'never',
  }),
  min_allocatable_resources: flag.string({
    group: 'Offers',
    default: 'cpus:0.01|mem:32',
    help: 'Least resources of an offer: one of the alternatives between the bars. Empty: anything.',
    validate: problemWith(parseAlternatives),
  }),
  filter_gpu_resources: flag.boolean({
    group: 'Offers',
    default: true,
    help: 'Offer agents with GPUs to frameworks with the capability GPU_RESOURCES only.',
  }),
  weights: flag.string({
    group: 'Offers',
    help: "Roles' weights for fair sharing, as role=weight,role=weight. A role that is not named has 1.",
    example: 'ads=2,batch=0.5',
    validate: problemWith(parseWeights),
  }),
  root_submissions: flag.boolean({
    group: 'Frameworks',
    default: true,
    help: 'Whether frameworks of the user root are accepted.',
  }),
  max_completed_frameworks: count(50, 'How many ended frameworks to remember.'),
  max_completed_tasks_per_framework: count(
    1000,
    'How many ended tasks of a framework to remember.',
  ),
  max_unreachable_tasks_per_framework: count(
    1000,
    'How many unreachable tasks of a framework to remember.',
  ),
  ...trustFlags,
  ...httpFlags,
  ...logFlags,
})

export type MasterFlags = FlagValues<typeof masterFlags>

/** The part of the flags that decisions depend on. */
export function masterConfig(values: MasterFlags): MasterConfig {
  const secret = values.cluster_secret
  return {
    cluster: values.cluster,
    agentPingTimeoutMs: values.agent_ping_timeout,
    maxAgentPingTimeouts: values.max_agent_ping_timeouts,
    agentReregisterTimeoutMs: values.agent_reregister_timeout,
    registryFetchTimeoutMs: values.registry_fetch_timeout,
    registryStoreTimeoutMs: values.registry_store_timeout,
    registryGcIntervalMs: values.registry_gc_interval,
    registryMaxAgentAgeMs: values.registry_max_agent_age,
    registryMaxAgentCount: values.registry_max_agent_count,
    allocationIntervalMs: values.allocation_interval,
    offerTimeoutMs: values.offer_timeout,
    minAllocatable: parseAlternatives(values.min_allocatable_resources),
    filterGpuResources: values.filter_gpu_resources,
    weights: parseWeights(values.weights ?? ''),
    rootSubmissions: values.root_submissions,
    maxCompletedFrameworks: values.max_completed_frameworks,
    maxCompletedTasksPerFramework: values.max_completed_tasks_per_framework,
    maxUnreachableTasksPerFramework: values.max_unreachable_tasks_per_framework,
    ...(secret !== undefined && { isOperator: token => isOperatorToken(secret, token) }),
    printable: printableFlags(masterFlags, values),
  }
}

/** `role=weight,role=weight`; throws an `Error` that says which part is wrong. */
export function parseWeights(text: string): ReadonlyMap<string, number> {
  const weights = new Map<string, number>()
  for (const part of text.split(',').filter(p => p.trim() !== '')) {
    const [role = '', value = '', ...rest] = part.split('=').map(s => s.trim())
    const weight = Number(value)
    if (rest.length > 0) throw new Error(`in '${part}': write role=weight`)
    const invalid = validateRole(role)
    if (invalid !== undefined) throw new Error(`in '${part}': ${invalid}`)
    if (value === '' || !Number.isFinite(weight) || weight <= 0) {
      throw new Error(`in '${part}': the weight must be a number above 0`)
    }
    if (weights.has(role)) throw new Error(`role '${role}' has two weights`)
    weights.set(role, weight)
  }
  return weights
}

function problemWith(parse: (text: string) => unknown): (text: string) => string | undefined {
  return text => {
    try {
      parse(text)
      return undefined
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
}
