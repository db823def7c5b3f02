// Runs a scheduler or an executor as a process: the network, the log, signals and the exit status.
// One of the few files that may touch the world.

import { readFileSync, statSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { systemRuntime, type Trust } from '../actors/system-runtime.ts'
import type { Actor } from '../actors/actor.ts'
import { trustFlags } from '../actors/trust-flags.ts'
import { messageOf, UserError } from '../base/errors.ts'
import { parseFlags } from '../base/flags.ts'
import { locateMasters, type Masters } from '../detector/location.ts'
import type { LogThreshold } from '../base/log.ts'
import { createLogger } from '../base/logger.ts'
import type { Executor, ExecutorEnvironment } from './executor.ts'
import { executorEnvironment } from './executor.ts'
import { onParentEnd } from './parent.ts'
import type { Scheduler } from './scheduler.ts'
import { onStopSignal } from './stop-signals.ts'

export interface RunOptions {
  /** What goes to standard error. Default: what MESOS_LOGGING_LEVEL says (INFO, WARNING, ERROR), else warnings. */
  readonly logLevel?: LogThreshold
  /** What Ctrl-C and SIGTERM do: end the framework with its tasks (default), or leave them to a successor. */
  readonly onSignal?: 'teardown' | 'leave'
  /** The secret that the cluster's processes share. Default: what MESOS_CLUSTER_SECRET says (file:///path for a file's). */
  readonly clusterSecret?: string
}

/**
 * Runs a scheduler until it has ended, and resolves to an exit status: 0 after `teardown` or `stop`, 1 if the master
 * refused it or a callback threw, 128 + the signal's number after SIGINT or SIGTERM. A second signal ends at once.
 *
 *     process.exitCode = await runScheduler(new MyScheduler({ master: '127.0.0.1:5050', framework: { name: 'mine' } }))
 */
export async function runScheduler(
  scheduler: Scheduler,
  options: RunOptions = {},
): Promise<number> {
  const masters = await mastersOf(scheduler.master)
  scheduler.fillIn({ user: userName(), hostname: hostname(), masters })
  const leave = options.onSignal === 'leave'
  const secret = options.clusterSecret ?? secretFrom(process.env)
  const trust = secret === undefined ? undefined : { secret }
  const signal = await run(scheduler, options, trust, () =>
    leave ? scheduler.stop() : scheduler.interrupted(),
  )
  if (signal !== undefined) return 128 + signal
  return scheduler.ended === 'teardown' || scheduler.ended === 'stop' ? 0 : 1
}

/**
 * Runs an executor that an agent started, until it has ended; resolves to an exit status. Throws a `UserError` if no
 * agent started this process.
 *
 *     process.exitCode = await runExecutor(environment => new MyExecutor(environment))
 */
export async function runExecutor(
  make: (environment: ExecutorEnvironment) => Executor,
  options: Pick<RunOptions, 'logLevel'> = {},
): Promise<number> {
  const executor = make(executorEnvironment(process.env))
  const token = process.env[TOKEN]
  // What the executor starts inherits the environment, but not who this process is.
  delete process.env[TOKEN]
  const trust = token === undefined ? undefined : { token }
  const signal = await run(executor, options, trust, () => executor.interrupted())
  if (signal !== undefined) return 128 + signal
  return executor.succeeded ? 0 : 1
}

const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const
type Signal = keyof typeof SIGNALS

/** Resolves when the actor has ended and its last words are sent: to the signal that came, if one did. */
async function run(
  actor: Actor,
  options: RunOptions,
  trust: Trust | undefined,
  interrupt: () => void,
): Promise<number | undefined> {
  const log = createLogger({
    level: options.logLevel ?? levelFrom(process.env['MESOS_LOGGING_LEVEL']),
    format: 'text',
    name: 'framework',
  })
  const runtime = await systemRuntime({ log, ...(trust && { trust }) })
  const ended = runtime.wait(runtime.spawn(actor))
  let received: number | undefined
  const onSignal = (signal: Signal): void => {
    if (received !== undefined) return
    received = SIGNALS[signal]
    interrupt()
  }
  // Whoever insists does not want to wait for a master that may be away.
  const stopListening = onStopSignal(['SIGINT', 'SIGTERM'], onSignal, signal =>
    process.exit(128 + SIGNALS[signal]),
  )
  onParentEnd(() => onSignal('SIGTERM'))
  await ended
  stopListening()
  await runtime.shutdown()
  return received
}

/** Throws a `UserError` if the text, or the file that it names, says of no master where it is. */
async function mastersOf(text: string): Promise<Masters> {
  const written = text.startsWith('file://') ? readMaster(text.slice('file://'.length)) : text
  return locateMasters(written, async () => (await import('../zookeeper/library.ts')).openSession)
}

function readMaster(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    throw new UserError(
      'path_missing',
      `The file '${path}', which says where the master is, cannot be read: ${messageOf(error)}`,
    )
  }
}

/** Given by the agent to an executor; by it, it proves who it is. */
const TOKEN = 'MESOS_EXECUTOR_AUTHENTICATION_TOKEN'

/** Throws a `UserError` if the variable is set to what is no secret. */
function secretFrom(env: NodeJS.ProcessEnv): string | undefined {
  const readFile = (path: string): string => readFileSync(path, 'utf8')
  const isPublic = (path: string): boolean => (statSync(path).mode & 0o004) !== 0
  const parsed = parseFlags(trustFlags, { argv: [], env, readFile, isPublic })
  if (!parsed.ok) throw new UserError('invalid_value', parsed.errors.join('\n'))
  for (const warning of parsed.warnings) process.stderr.write(`${warning}\n`)
  return parsed.values.cluster_secret
}

function levelFrom(text: string | undefined): LogThreshold {
  switch (text?.toUpperCase()) {
    case 'INFO':
      return 'info'
    case 'ERROR':
      return 'error'
    default:
      return 'warn'
  }
}

/** A user id without a name, as in a container, is a name too. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? '')
  }
}
