// What masters and agents share as processes: address, log, signals, and a quick, orderly end.

import { lookup } from 'node:dns/promises'
import { hostname } from 'node:os'
import type { Pid } from '../actors/pid.ts'
import type { Runtime } from '../actors/runtime.ts'
import type { LogThreshold, Logger } from '../base/log.ts'
import { onParentEnd } from '../framework/parent.ts'

/** The flags that both have. */
export interface ServerFlags {
  readonly ip: string | undefined
  readonly port: number
  readonly advertise_ip: string | undefined
  readonly advertise_port: number | undefined
  readonly hostname: string | undefined
  readonly logging_level: LogThreshold
  readonly log_format: 'text' | 'json'
}

export interface Server {
  readonly runtime: Runtime
  readonly log: Logger
  /** By which others reach it: in addresses, and in links for people. */
  readonly hostname: string
}

/** Why a server ends. `parent`: the process that started it is gone. */
export type Ending = 'SIGINT' | 'SIGTERM' | 'SIGUSR1' | 'parent' | 'failure'

/**
 * Listens, hands over to `start`, and ends when a signal comes or an actor fails without which the process is
 * useless. Resolves to the exit status: 0 after a signal, 1 after a failure. `start` gives back what has to be done
 * before the runtime ends.
 */
export async function serve(
  name: string,
  flags: ServerFlags,
  warnings: readonly string[],
  start: (server: Server) => Promise<((ending: Ending) => Promise<void>) | void>,
): Promise<number> {
  const { createLogger } = await import('../base/logger.ts')
  const { systemRuntime } = await import('../actors/system-runtime.ts')
  const log = createLogger({ name, level: flags.logging_level, format: flags.log_format })
  for (const warning of warnings) log.warn(warning)
  let failed: (failure: { readonly actor: Pid; readonly error: unknown }) => void = () => {}
  const ending = new Promise<Ending>(resolve => {
    onEnd(resolve)
    failed = ({ actor, error }) => {
      log.error({ failed: actor, error }, 'the process cannot go on without this actor and ends')
      resolve('failure')
    }
  })
  const { listen, advertise } = await addresses(flags)
  const runtime = await systemRuntime({
    log,
    listen: {
      ip: listen,
      port: flags.port,
      advertiseHost: advertise,
      ...(flags.advertise_port !== undefined && { advertisePort: flags.advertise_port }),
    },
    fatal: (actor, error) => failed({ actor, error }),
  })
  log.info({ address: runtime.address, ip: listen }, 'listening')
  let finish: ((ending: Ending) => Promise<void>) | void
  try {
    finish = await start({ runtime, log, hostname: flags.hostname ?? advertise })
  } catch (error) {
    await runtime.shutdown()
    throw error
  }
  const why = await ending
  log.info({ why }, 'ending')
  await finish?.(why)
  await runtime.shutdown()
  return why === 'failure' ? 1 : 0
}

function onEnd(end: (why: Ending) => void): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGUSR1'] as const) {
    let count = 0
    process.on(signal, () => {
      // Whoever asks twice does not want order, but an end.
      if (++count > 1 && signal !== 'SIGUSR1') process.exit(1)
      end(signal)
    })
  }
  onParentEnd(() => end('parent'))
}

const ANY = '0.0.0.0'
const LOCAL = '127.0.0.1'
const LOOKUP_LIMIT_MS = 2_000

/** Which address to listen on, and by which one others reach it. As in Mesos: all, and the one of the hostname. */
async function addresses({
  ip = ANY,
  advertise_ip,
}: ServerFlags): Promise<{ listen: string; advertise: string }> {
  return { listen: ip, advertise: advertise_ip ?? (ip === ANY ? await ownAddress() : ip) }
}

async function ownAddress(): Promise<string> {
  const limit = new Promise<string>(resolve => {
    setTimeout(() => resolve(LOCAL), LOOKUP_LIMIT_MS).unref()
  })
  const found = lookup(hostname(), { family: 4 }).then(
    ({ address }) => address,
    () => LOCAL,
  )
  return Promise.race([found, limit])
}
