// What an agent is told at its start, by its flags or by a test.

import { type Address, parseAddress } from '../actors/pid.ts'
import type { IsOperator } from '../actors/operators.ts'
import { deriveToken, executorPrincipal, isOperatorToken } from '../actors/shared-secret.ts'
import { printableFlags } from '../base/flags.ts'
import type { Masters } from '../detector/location.ts'
import type { Resource } from '../messages/resource.ts'
import type { Attribute } from '../messages/values.ts'
import { parseAgentResources, parseAttributes } from '../resources/parse.ts'
import type { Probes } from './checks/probes.ts'
import type { Metrics } from '../actors/metrics.ts'
import type { SandboxGc } from './gc/sandbox-gc.ts'
import type { Checkpoints } from './checkpoint/checkpoints.ts'
import { type Isolation, parseIsolation } from './containerizer/isolation.ts'
import { type ContainerizerName, containerizersOf } from './docker/flags.ts'
import type { Environment } from './environment.ts'
import { type AgentFlags, agentFlags } from './flags.ts'
import { agentResources, type Machine } from './machine.ts'
import type { Processes } from './processes.ts'
import type { Recovered } from './recovered.ts'
import type { SandboxFiles } from './sandbox-files.ts'
import type { AgentSettings } from './settings.ts'

export interface AgentOptions {
  /** Where masters listen: the first one is asked, until it is known who leads. Or where that is found out. */
  readonly masters: Masters
  readonly hostname: string
  /** The address and port by which others reach this agent. */
  readonly ip: string
  readonly port: number
  readonly resources: readonly Resource[]
  /** Names of those that nobody gave and the machine was asked for. */
  readonly detected?: readonly string[]
  readonly attributes: readonly Attribute[]
  readonly workDir: string
  readonly runtimeDir: string
  readonly settings: AgentSettings
  /** For `/flags` and `/state`. */
  readonly printableFlags: Readonly<Record<string, string>>
  readonly version: string
  /** What every executor's environment begins with: PATH, and `--executor_environment_variables`. */
  readonly environment: Environment
  /** Makes what an executor proves by who it is; absent: nobody here has to prove anything. */
  readonly executorToken?: (frameworkId: string, executorId: string) => string
  /** Whether somebody may make calls about containers; absent: all may. */
  readonly isOperator?: IsOperator
  /** The account that the agent runs under. */
  readonly user: string
  /** Whether tasks run under the account that their framework names, rather than the agent's. */
  readonly switchUser: boolean
  readonly processes: Processes
  /** Asks tasks for their checks. */
  readonly probes: Probes
  /** The isolators that `processes` has; what needs another one is refused. */
  readonly isolation: Isolation
  /** Default: mesos alone. */
  readonly containerizers?: ReadonlySet<ContainerizerName>
  readonly files: SandboxFiles
  /** Gauges of the agent's parts. */
  readonly measures?: readonly ((metrics: Pick<Metrics, 'gauge'>) => void)[]
  /** Removes what ended executors leave; absent: it is kept. */
  readonly gc?: SandboxGc
  /** Where it writes down what the next agent has to know; absent: nothing outlives it. */
  readonly checkpoints?: Checkpoints
  /** What the agent before this one wrote down, and what is left of its containers. */
  readonly recovered?: Recovered
  /** The agent was told to end, and has ended all it ran: the process should exit now. */
  readonly onShutdown?: (reason: string) => void
}

/** What an agent's process has, beside its flags. */
export interface AgentProcess {
  readonly masters: Masters
  /** As the runtime is known to others. */
  readonly address: Address
  /** By which people and frameworks know the machine. */
  readonly hostname: string
  readonly workDir: string
  readonly runtimeDir: string
  readonly machine: Machine
  readonly processes: Processes
  readonly probes: Probes
  readonly files: SandboxFiles
  readonly measures?: AgentOptions['measures']
  readonly gc?: SandboxGc
  readonly version: string
  readonly checkpoints?: Checkpoints
  readonly recovered?: Recovered
  readonly onShutdown?: (reason: string) => void
}

/** PATH if an agent has none, as login(1) sets it for root. */
export const FALLBACK_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Puts flags and process together. Throws nothing: the flags were checked when they were read. */
export function agentOptions(flags: AgentFlags, own: AgentProcess): AgentOptions {
  const { machine, address } = own
  const { host, port } = parseAddress(address)!
  const secret = flags.cluster_secret
  const given = parseAgentResources(flags.resources ?? '', { defaultRole: flags.default_role })
  const resources = agentResources(given, machine, flags.default_role)
  const names = new Set(given.map(({ name }) => name))
  return {
    masters: own.masters,
    hostname: own.hostname,
    ip: host,
    port,
    resources,
    detected: resources.map(({ name }) => name).filter(name => !names.has(name)),
    attributes: parseAttributes(flags.attributes ?? ''),
    workDir: own.workDir,
    runtimeDir: own.runtimeDir,
    settings: {
      registrationBackoffMs: flags.registration_backoff_factor,
      executorRegistrationTimeoutMs: flags.executor_registration_timeout,
      executorReregistrationTimeoutMs: flags.executor_reregistration_timeout,
      executorShutdownGraceMs: flags.executor_shutdown_grace_period,
      recoveryTimeoutMs: flags.recovery_timeout,
      dockerStopTimeoutMs: flags.docker_stop_timeout,
    },
    printableFlags: {
      ...printableFlags(agentFlags, flags),
      work_dir: own.workDir,
      runtime_dir: own.runtimeDir,
    },
    version: own.version,
    environment: {
      PATH: machine.path ?? FALLBACK_PATH,
      ...withoutReserved(flags.executor_environment_variables ?? {}),
    },
    ...(secret !== undefined && {
      executorToken: (frameworkId: string, executorId: string) =>
        deriveToken(secret, executorPrincipal(frameworkId, executorId)),
      isOperator: (token: string) => isOperatorToken(secret, token),
    }),
    user: machine.user,
    switchUser: flags.switch_user,
    processes: own.processes,
    probes: own.probes,
    isolation: isolationOf(flags.isolation),
    containerizers: containerizersOf(flags.containerizers),
    files: own.files,
    ...(own.gc && { gc: own.gc }),
    ...(own.measures && { measures: own.measures }),
    ...(own.checkpoints && { checkpoints: own.checkpoints }),
    ...(own.recovered && { recovered: own.recovered }),
    ...(own.onShutdown && { onShutdown: own.onShutdown }),
  }
}

/** Of a text that was checked when the flags were read. */
export function isolationOf(text: string): Isolation {
  const isolation = parseIsolation(text)
  return typeof isolation === 'string' ? new Set() : isolation
}

/** What the agent says about itself, nobody may say in its place. */
function withoutReserved(variables: Environment): Environment {
  return Object.fromEntries(
    Object.entries(variables).filter(([name]) => !/^(LIBPROCESS|MESOS)_/.test(name)),
  )
}
