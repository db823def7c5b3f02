// The agent's flags about what containers print. Mesos has them as parameters of a module; here they are flags with the module's
// names behind `container_logger_`.

import { megabytes } from '../../base/bytes.ts'
import { defineFlags, type FlagValues, flag } from '../../base/flags.ts'
import { MIN_BYTES, parseOptions, type Rotations } from './rotation.ts'

export const SANDBOX_LOGGER = 'sandbox'
/** As Mesos' own module is called. */
export const LOGROTATE_LOGGER = 'org_apache_mesos_LogrotateContainerLogger'

const group = 'What tasks print'
const DEFAULT_SIZE = megabytes(10)
const DEFAULT_OPTIONS = 'rotate 1'

const size = (stream: string) =>
  flag.bytes({
    group,
    default: DEFAULT_SIZE,
    min: MIN_BYTES,
    help: `How large a file of what a container writes to ${stream} becomes before it is rotated.`,
  })

const options = (stream: string) =>
  flag.string({
    group,
    default: DEFAULT_OPTIONS,
    help: `What of ${stream} is kept: 'rotate COUNT' keeps so many old files, ${stream}.1 the youngest of them; 0: none.`,
    example: 'rotate 9',
    validate: text => {
      const parsed = parseOptions(text)
      return typeof parsed === 'string' ? parsed : undefined
    },
  })

export const loggerFlags = defineFlags({
  container_logger: flag.choice([SANDBOX_LOGGER, LOGROTATE_LOGGER], {
    group,
    default: SANDBOX_LOGGER,
    help: 'Who writes what containers print. sandbox: they do, to the files stdout and stderr of their sandboxes, which grow without a bound. org_apache_mesos_LogrotateContainerLogger: one process for all containers, which rotates these files.',
  }),
  container_logger_max_stdout_size: size('stdout'),
  container_logger_max_stderr_size: size('stderr'),
  container_logger_logrotate_stdout_options: options('stdout'),
  container_logger_logrotate_stderr_options: options('stderr'),
  container_logger_environment_variable_prefix: flag.string({
    group,
    default: 'CONTAINER_LOGGER_',
    help: "Variables of a command's environment that begin so say it for its container: …MAX_STDOUT_SIZE, …LOGROTATE_STDOUT_OPTIONS, and the same of STDERR.",
    validate: text =>
      /^[A-Za-z_]\w*$/.test(text)
        ? undefined
        : `'${text}' is not the beginning of a variable's name`,
  }),
})

export type LoggerFlags = FlagValues<typeof loggerFlags>

/** What is wrong with these flags together. */
export function loggerErrors(flags: LoggerFlags): string[] {
  if (flags.container_logger !== SANDBOX_LOGGER) return []
  return Object.keys(loggerFlags)
    .map(name => name as keyof LoggerFlags)
    .filter(name => name !== 'container_logger' && flags[name] !== loggerFlags[name].default)
    .map(name => `Flag '--${name}' is for '--container_logger=${LOGROTATE_LOGGER}'.`)
}

export function rotationsOfFlags(flags: LoggerFlags): Rotations {
  const keep = (text: string): number => Number(parseOptions(text))
  return {
    stdout: {
      maxBytes: flags.container_logger_max_stdout_size,
      keep: keep(flags.container_logger_logrotate_stdout_options),
    },
    stderr: {
      maxBytes: flags.container_logger_max_stderr_size,
      keep: keep(flags.container_logger_logrotate_stderr_options),
    },
  }
}
