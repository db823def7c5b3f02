// What masters and agents share as processes: address, log, signals, and a quick, orderly end.

import { hostname } from 'node:os'
import type { FirewallRules } from '../actors/firewall.ts'
import type { Runtime } from '../actors/runtime.ts'
import { deferred } from '../base/deferred.ts'
import { type Logger, LogLines, type LogThreshold } from '../base/log.ts'
import { onParentEnd } from '../framework/parent.ts'
import { onStopSignal } from '../framework/stop-signals.ts'

/** The flags that both have. */
export interface ServerFlags {
  readonly ip: string | undefined
  readonly port: number
  readonly advertise_ip: string | undefined
  readonly advertise_port: number | undefined
  readonly hostname: string | undefined
  readonly firewall_rules: FirewallRules | undefined
  readonly cluster_secret: string | undefined
  readonly logging_level: LogThreshold
  readonly log_format: 'text' | 'json'
}

export interface Server {
  readonly runtime: Runtime
  readonly log: Logger
  /** By which people and tools reach it. */
  readonly hostname: string
  /** Ends the process, in order. */
  readonly end: (why: Ending) => void
}

/** Why a server ends. `parent`: the process that started it is gone. `told`: another process said so. `done`: nothing is left to do. */
export type Ending = 'done' | 'SIGINT' | 'SIGTERM' | 'parent' | 'told' | 'failure'

/** What has to be done before the runtime ends. */
export type Finish = () => Promise<void>

/**
 * Listens, hands over to `start`, and ends when a signal comes or an actor fails without which the process is
 * useless. Resolves to the exit status: 0 if a person or a parent wanted the end, 1 if not, so that a supervisor starts
 * the server again.
 */
export async function serve(
  name: string,
  flags: ServerFlags,
  warnings: readonly string[],
  start: (server: Server) => Promise<Finish | void>,
): Promise<number> {
  const [{ createLogger }, { systemRuntime }] = await Promise.all([
    import('../base/logger.ts'),
    import('../actors/system-runtime.ts'),
  ])
  const log = createLogger({ name, level: flags.logging_level, format: flags.log_format })
  for (const warning of warnings) log.warn(warning)
  const ending = deferred<Ending>()
  const end = (why: Ending): void => ending.resolve(why)
  onSignal(end)
  const { listen, advertise } = await addresses(flags)
  const runtime = await systemRuntime({
    log,
    listen: {
      ip: listen,
      port: flags.port,
      advertiseHost: advertise,
      ...(flags.advertise_port !== undefined && { advertisePort: flags.advertise_port }),
    },
    ...(flags.cluster_secret !== undefined && { trust: { secret: flags.cluster_secret } }),
    fatal: (actor, error, lastEvents) => {
      log.error(
        { failed: actor, error, last_events: new LogLines(lastEvents) },
        'the process cannot go on without this actor and ends',
      )
      end('failure')
    },
  })
  runtime.installFirewall(flags.firewall_rules ?? {})
  log.info({ address: runtime.address, ip: listen }, 'listening')
  let finish: Finish | void
  try {
    const own = flags.hostname ?? advertise
    finish = await start({ runtime, log, hostname: own, end })
  } catch (error) {
    await runtime.shutdown()
    throw error
  }
  const why = await ending.promise
  log.info({ why }, 'ending')
  await finish?.()
  await runtime.shutdown()
  return why === 'failure' || why === 'told' ? 1 : 0
}

function onSignal(end: (why: Ending) => void): void {
  // Whoever insists does not want order, but an end.
  onStopSignal(['SIGINT', 'SIGTERM'], end, () => process.exit(1))
  onParentEnd(() => end('parent'))
}

const ANY = '0.0.0.0'
const LOCAL = '127.0.0.1'
const LOOKUP_LIMIT_MS = 2_000

/** Which address to listen on, and by which one others reach it. As in Mesos: all, and the one of the hostname. */
export async function addresses({
  ip = ANY,
  advertise_ip,
}: ServerFlags): Promise<{ listen: string; advertise: string }> {
  return { listen: ip, advertise: advertise_ip ?? (ip === ANY ? await ownAddress() : ip) }
}

async function ownAddress(): Promise<string> {
  const limit = new Promise<string>(resolve => {
    setTimeout(() => resolve(LOCAL), LOOKUP_LIMIT_MS).unref()
  })
  const { lookup } = await import('node:dns/promises')
  const found = lookup(hostname(), { family: 4 }).then(
    ({ address }) => address,
    () => LOCAL,
  )
  return Promise.race([found, limit])
}
