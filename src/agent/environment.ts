// The environment of executors and tasks: what Mesos promises them, and nothing of the agent's own.

import type { Address, Pid } from '../actors/pid.ts'
import { formatDuration } from '../base/duration.ts'
import type { CommandInfo } from '../messages/command.ts'
import type { FrameworkInfo } from '../messages/framework.ts'
import type { ExecutorInfo } from '../messages/task.ts'

/** By which an executor proves to its agent who it is. Mesos' name. */
export const EXECUTOR_TOKEN = 'MESOS_EXECUTOR_AUTHENTICATION_TOKEN'

export type Environment = Readonly<Record<string, string>>

export interface EnvironmentSource {
  /** PATH, and what `--executor_environment_variables` adds. */
  readonly base: Environment
  readonly agentPid: Pid
  readonly agentEndpoint: Address
  readonly agentId: string
  readonly ip: string
  readonly framework: FrameworkInfo
  readonly executor: ExecutorInfo
  readonly sandbox: string
  readonly shutdownGraceMs: number
  readonly recoveryTimeoutMs: number
  readonly executorReregistrationTimeoutMs: number
}

/**
 * The variables of Mesos' docs/executor-http-api.md and of libprocess. `base` comes first: it cannot hide what an
 * executor needs to find its agent.
 */
export function executorEnvironment(source: EnvironmentSource): Record<string, string> {
  const { framework, executor } = source
  return {
    ...source.base,
    LIBPROCESS_IP: source.ip,
    LIBPROCESS_PORT: '0',
    MESOS_FRAMEWORK_ID: framework.id?.value ?? '',
    MESOS_EXECUTOR_ID: executor.executor_id.value,
    MESOS_DIRECTORY: source.sandbox,
    MESOS_SANDBOX: source.sandbox,
    MESOS_SLAVE_ID: source.agentId,
    MESOS_SLAVE_PID: source.agentPid,
    MESOS_AGENT_ENDPOINT: source.agentEndpoint,
    MESOS_CHECKPOINT: framework.checkpoint ? '1' : '0',
    ...(framework.checkpoint && {
      MESOS_RECOVERY_TIMEOUT: formatDuration(source.recoveryTimeoutMs),
      MESOS_SUBSCRIPTION_BACKOFF_MAX: formatDuration(source.executorReregistrationTimeoutMs),
    }),
    MESOS_HTTP_COMMAND_EXECUTOR: '0',
    MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD: formatDuration(source.shutdownGraceMs),
  }
}

/** The same with what the command itself sets, which wins. Secrets that only a resolver could tell are refused before. */
export function commandEnvironment(
  environment: Environment,
  command: CommandInfo | undefined,
): Record<string, string> {
  const out = { ...environment }
  for (const { name, type, value, secret } of command?.environment?.variables ?? []) {
    out[name] =
      type === 'SECRET'
        ? Buffer.from(secret?.value?.data ?? '', 'base64').toString()
        : (value ?? '')
  }
  return out
}

/** What to execute for a command that passed `whyRefused`. */
export function commandLine(command: CommandInfo): {
  readonly argv: readonly [string, ...string[]]
  readonly argv0?: string
} {
  const value = command.value ?? ''
  if (command.shell !== false) return { argv: ['/bin/sh', '-c', value] }
  const [argv0, ...rest] = command.arguments ?? []
  return argv0 === undefined ? { argv: [value] } : { argv: [value, ...rest], argv0 }
}
