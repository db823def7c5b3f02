// The agent's flags, in Mesos' spelling. Each one that is listed here works.

import { httpFlags } from '../actors/http-flags.ts'
import { seconds } from '../base/duration.ts'
import { UserError } from '../base/errors.ts'
import { defineFlags, type FlagValues, flag } from '../base/flags.ts'
import { trustFlags } from '../actors/trust-flags.ts'
import { addressFlags, logFlags } from '../base/server-flags.ts'
import { masterFlag, zkSessionTimeoutFlag } from '../detector/flags.ts'
import { cniFlags } from './cni/flags.ts'
import { POLICIES } from './checkpoint/compatible.ts'
import { isolationFlags } from './containerizer/flags.ts'
import { DEFAULT_GC } from './gc/sandbox-gc.ts'
import { fetcherFlags } from './fetcher/flags.ts'
import { imageFlags } from './images/flags.ts'
import { loggerFlags } from './logger/flags.ts'
import { dockerFlags } from './docker/flags.ts'
import { parseAgentResources, parseAttributes } from '../resources/parse.ts'
import { DEFAULT_ROLE, validateRole } from '../resources/roles.ts'
import { DEFAULT_SETTINGS } from './settings.ts'

export const DEFAULT_AGENT_PORT = 5051

/** Where tasks' files go if nobody says otherwise: fine for a try, too easily swept away for more. */
export const FALLBACK_WORK_DIR = '/tmp/mesos'

export const agentFlags = defineFlags({
  master: masterFlag({ group: 'Where' }),
  zk_session_timeout: zkSessionTimeoutFlag('Where'),
  work_dir: flag.path({
    group: 'Where',
    help: "Directory of tasks' sandboxes, and of what the agent writes down for its successor.",
    defaultText: `${FALLBACK_WORK_DIR}, which the system may clean up at any time`,
    example: '/var/lib/mesos',
  }),
  runtime_dir: flag.path({
    group: 'Where',
    help: 'Directory of what must not outlive a reboot: the process ids of containers.',
    defaultText: '/var/run/mesos for root, else mesos/runtime in the directory for temporary files',
    example: '/var/run/mesos',
  }),
  ...addressFlags({
    server: 'agent',
    port: DEFAULT_AGENT_PORT,
    portHelp: 'Port to listen on. 0: any free one.',
    hostnameHelp: 'Name by which frameworks, browsers and tools know this machine.',
  }),
  resources: flag.string({
    group: 'What it offers',
    help: "Resources: name(role):value;… or a JSON array, inline or as a file. What is not named of cpus, mem, disk and ports is the machine's.",
    example: 'cpus:4;mem:4096;ports:[31000-32000]',
    validate: whyNoResources,
  }),
  default_role: flag.string({
    group: 'What it offers',
    default: DEFAULT_ROLE,
    help: 'Role that resources without one are reserved for; * is nobody in particular.',
    validate: validateRole,
  }),
  attributes: flag.string({
    group: 'What it offers',
    help: 'What frameworks may want to know of this machine: name:value;…',
    example: 'rack:r1;level:10',
    validate: problemWith(parseAttributes),
  }),
  registration_backoff_factor: flag.duration({
    group: 'Master',
    default: DEFAULT_SETTINGS.registrationBackoffMs,
    min: 1,
    help: 'The agent asks the master to take it again after a tenth of this, then after twice as long each time, up to 15secs; each pause is varied by chance.',
  }),
  executor_registration_timeout: flag.duration({
    group: 'Executors',
    default: DEFAULT_SETTINGS.executorRegistrationTimeoutMs,
    min: 1,
    help: 'How long an executor may take from its start to its subscription.',
  }),
  executor_shutdown_grace_period: flag.duration({
    group: 'Executors',
    default: DEFAULT_SETTINGS.executorShutdownGraceMs,
    min: 0,
    help: 'How long an executor may take to end when it is told to, unless it says otherwise itself.',
  }),
  executor_reregistration_timeout: flag.duration({
    group: 'Recovery',
    default: DEFAULT_SETTINGS.executorReregistrationTimeoutMs,
    min: 1,
    max: seconds(15),
    help: 'How long an executor may take to subscribe again to an agent that was restarted.',
  }),
  recover: flag.choice(['reconnect', 'cleanup'], {
    group: 'Recovery',
    default: 'reconnect',
    help: 'What to do with the tasks of frameworks that checkpoint, which the agent before this one left running. reconnect: go on with them. cleanup: end them, and exit; the next agent is a new one.',
  }),
  recovery_timeout: flag.duration({
    group: 'Recovery',
    default: DEFAULT_SETTINGS.recoveryTimeoutMs,
    min: 1,
    help: 'How long such tasks run on without an agent before they are ended.',
  }),
  strict: flag.boolean({
    group: 'Recovery',
    default: true,
    help: 'A checkpoint that is damaged keeps the agent from starting. Otherwise what belongs to it is ended, and all else is kept.',
  }),
  reconfiguration_policy: flag.choice(POLICIES, {
    group: 'Recovery',
    default: 'equal',
    help: 'How the agent may differ from what it was before. equal: not at all. additive: it may have more resources and attributes.',
  }),
  switch_user: flag.boolean({
    group: 'Executors',
    default: true,
    help: "Tasks run under the account that their command, or else their framework, names, for which the agent has to be root. Otherwise all run under the agent's own.",
  }),
  gc_delay: flag.duration({
    group: 'Old sandboxes',
    default: DEFAULT_GC.delayMs,
    min: 0,
    help: 'How long the sandbox of an executor that has ended is kept at most. The fuller the disk, the shorter.',
  }),
  gc_disk_headroom: flag.number({
    group: 'Old sandboxes',
    default: DEFAULT_GC.headroom,
    min: 0,
    max: 1,
    help: 'Part of the disk that is to stay free: sandboxes are kept for gc_delay * max(0, 1 - gc_disk_headroom - used part of the disk).',
  }),
  disk_watch_interval: flag.duration({
    group: 'Old sandboxes',
    default: DEFAULT_GC.intervalMs,
    min: 1,
    help: 'How often the agent looks how full the disk is, and removes what is too old.',
  }),
  executor_environment_variables: flag.json(readVariables, {
    group: 'Executors',
    help: "JSON object of environment variables for executors and tasks. PATH is the agent's unless it is among them; LIBPROCESS_… and MESOS_… are the agent's to set.",
    example: '{"LANG":"C.UTF-8"}',
  }),
  ...isolationFlags,
  ...fetcherFlags,
  ...loggerFlags,
  ...cniFlags,
  ...imageFlags,
  ...dockerFlags,
  ...trustFlags,
  ...httpFlags,
  ...logFlags,
})

export type AgentFlags = FlagValues<typeof agentFlags>

const LAST_PORT = 65_535

/** Why a text cannot be what an agent offers; undefined if it can. */
export function whyNoResources(text: string): string | undefined {
  const problem = problemWith(parseAgentResources)(text)
  if (problem !== undefined) return problem
  const list = parseAgentResources(text)
  for (const { name, ranges } of list) {
    if (name !== 'ports') continue
    for (const { begin, end } of ranges?.range ?? []) {
      if (begin >= 1 && end <= LAST_PORT) continue
      return `ports [${begin}-${end}]: there are ports from 1 to ${LAST_PORT} only`
    }
  }
  // What is not named is the machine's; what is named with zero, the agent shall not have.
  const isNone = (wanted: string): boolean => {
    const named = list.filter(({ name }) => name === wanted)
    return named.length > 0 && named.every(({ scalar }) => scalar?.value === 0)
  }
  if (isNone('cpus') && isNone('mem')) return 'without cpus and mem nothing can run on the agent'
  return undefined
}

function readVariables(json: unknown): Readonly<Record<string, string>> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new UserError('invalid_value', 'it is not a JSON object')
  }
  for (const [name, value] of Object.entries(json)) {
    if (typeof value !== 'string') {
      throw new UserError('invalid_value', `the value of '${name}' is not a string`)
    }
    if (name === '' || name.includes('=') || `${name}${value}`.includes('\0')) {
      throw new UserError('invalid_value', `'${name}' cannot be an environment variable`)
    }
  }
  return json as Record<string, string>
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
