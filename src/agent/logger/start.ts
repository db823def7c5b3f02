// The logger that flags ask for.

import type { Logger } from '../../base/log.ts'
import type { ContainerLogger } from './container-logger.ts'
import { type LoggerFlags, rotationsOfFlags, SANDBOX_LOGGER } from './flags.ts'
import { LogrotateLogger } from './logrotate-logger.ts'
import { sandboxLogger } from './sandbox-logger.ts'

export interface LoggerStart {
  readonly flags: LoggerFlags
  readonly runtimeDir: string
  /** That of the agent's containers. */
  readonly token: string
  readonly log: Logger
}

export async function startLogger(start: LoggerStart): Promise<ContainerLogger> {
  const { flags, ...rest } = start
  if (flags.container_logger === SANDBOX_LOGGER) return sandboxLogger
  return LogrotateLogger.start({
    ...rest,
    rotations: rotationsOfFlags(flags),
    prefix: flags.container_logger_environment_variable_prefix,
  })
}
