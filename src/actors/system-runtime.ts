// Puts a runtime together for a real process: the system's clock, entropy and network.
// One of the few files that may touch the world.

import { randomBytes } from 'node:crypto'
import { availableParallelism, freemem, loadavg, totalmem } from 'node:os'
import { UserError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { SeededRandom } from '../base/random.ts'
import type { Profiler, SystemStats } from './builtins.ts'
import { HttpServer } from './http-server.ts'
import { DEFAULT_LIMITS, type Limits } from './limits.ts'
import { recordFiles } from './record-files.ts'
import { Runtime } from './runtime.ts'
import type { Fatal } from './runtime-options.ts'
import { memberAuthenticator, tokenAuthenticator } from './shared-secret.ts'
import { systemClock } from './system-clock.ts'
import { WebSocketTransport } from './websocket-transport.ts'

export interface SystemRuntimeOptions {
  readonly log: Logger
  /** Absent: the process does not listen, and is reached over the connections that it opens. */
  readonly listen?: {
    readonly ip: string
    readonly port: number
    /** `host` or `port` by which others reach it, where they differ. */
    readonly advertiseHost?: string
    readonly advertisePort?: number
  }
  readonly limits?: Partial<Limits>
  /** By what this process proves who it is, and wants others to. Absent: all are believed. */
  readonly trust?: Trust
  readonly fatal?: Fatal
}

/** The cluster's secret, or the token that one who knows it has made for this process. */
export type Trust = { readonly secret: string } | { readonly token: string }

/** Starts to listen, if asked to, and returns the runtime. Rejects with a `UserError` that says what to do. */
export async function systemRuntime(options: SystemRuntimeOptions): Promise<Runtime> {
  const { trust } = options
  const authenticator =
    trust &&
    ('secret' in trust
      ? memberAuthenticator(trust.secret, randomBytes)
      : tokenAuthenticator(trust.token, randomBytes))
  const seed = randomBytes(16)
  const random = new SeededRandom([0, 4, 8, 12].map(at => seed.readUInt32LE(at)))
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const { listen } = options
  const http = listen && new HttpServer()
  let address = `nat-${random.uuid().slice(0, 13)}:0`
  if (listen) {
    const port = await http!
      .listen(listen.ip, listen.port)
      .catch((error: NodeJS.ErrnoException) => {
        throw listenError(error, listen.ip, listen.port)
      })
    address = `${listen.advertiseHost ?? listen.ip}:${listen.advertisePort ?? port}`
  }
  const transport = new WebSocketTransport({
    maxMessageBytes: limits.maxMessageBytes,
    ...(http && { http }),
  })
  const record = recordFiles(process.env, options.log)
  const runtime = new Runtime({
    address,
    clock: systemClock,
    random,
    transport,
    log: options.log,
    limits,
    system,
    ...(authenticator && { authenticator }),
    ...(isOn(process.env['LIBPROCESS_ENABLE_PROFILER']) && { profiler: cpuProfiler() }),
    ...(options.fatal && { fatal: options.fatal }),
    ...(record && { record: id => record(id, address) }),
  })
  http?.watch(runtime.metrics)
  if (http) http.handle = request => runtime.http(request)
  return runtime
}

const system: SystemStats = {
  cpus: () => availableParallelism(),
  loads: () => loadavg(),
  memTotalBytes: () => totalmem(),
  memFreeBytes: () => freemem(),
}

const isOn = (value: string | undefined): boolean => value === '1' || value === 'true'

/** One for the process, loaded when it is first asked for. */
function cpuProfiler(): () => Promise<Profiler> {
  let made: Promise<Profiler> | undefined
  return () => (made ??= import('./cpu-profiler.ts').then(({ CpuProfiler }) => new CpuProfiler()))
}

function listenError(error: NodeJS.ErrnoException, ip: string, port: number): Error {
  switch (error.code) {
    case 'EADDRINUSE':
      return new UserError(
        'address_in_use',
        `Port ${port} on ${ip} is in use by another process.`,
        {
          hint: `Stop it (find it with: ss -ltnp 'sport = :${port}'), or choose another with --port.`,
        },
      )
    case 'EADDRNOTAVAIL':
      return new UserError('invalid_value', `This machine has no address ${ip} to listen on.`, {
        hint: 'Give one of its own addresses with --ip (list them with: ip address), or 0.0.0.0 for all.',
      })
    /* c8 ignore next 4 -- root may listen everywhere, and tests are run by root as well as by others. */
    case 'EACCES':
      return new UserError('not_permitted', `Listening on port ${port} is not permitted.`, {
        hint: 'Choose a port above 1023 with --port, or run as root.',
      })
    default:
      return new UserError('invalid_value', `Cannot listen on ${ip}:${port}: ${error.message}`, {
        hint: 'Check --ip and --port.',
      })
  }
}
