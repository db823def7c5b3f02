// What is asked of a task, and what can be answered: the part that health checks and checks have in common. Pure.

import type { CheckInfo, CheckStatusInfo, HealthCheck } from '../../messages/check.ts'
import type { CommandInfo } from '../../messages/command.ts'

export type Probe =
  | { readonly type: 'COMMAND'; readonly command: CommandInfo }
  | {
      readonly type: 'HTTP'
      readonly scheme: 'http' | 'https'
      readonly host: string
      readonly port: number
      readonly path: string
    }
  | { readonly type: 'TCP'; readonly host: string; readonly port: number }

/** The exit code of a command, -1 if a signal ended it; the status of an HTTP answer; whether a connection could be made. */
export type ProbeResult =
  | { readonly type: 'COMMAND'; readonly exitCode: number }
  | { readonly type: 'HTTP'; readonly statusCode: number }
  | { readonly type: 'TCP'; readonly succeeded: boolean }

/** How often, and for how long. Milliseconds; no timeout: Infinity. */
export interface Pace {
  readonly delayMs: number
  readonly intervalMs: number
  readonly timeoutMs: number
}

const DEFAULT_DELAY_S = 15
const DEFAULT_INTERVAL_S = 10
const DEFAULT_TIMEOUT_S = 20
const DEFAULT_GRACE_S = 10
const DEFAULT_FAILURES = 3
const MS = 1000
/** An interval of nothing would never let anything else run. */
const MIN_INTERVAL_MS = 10

type Times = Pick<CheckInfo, 'delay_seconds' | 'interval_seconds' | 'timeout_seconds'>

export function paceOf({ delay_seconds, interval_seconds, timeout_seconds }: Times): Pace {
  const timeoutMs = (timeout_seconds ?? DEFAULT_TIMEOUT_S) * MS
  return {
    delayMs: (delay_seconds ?? DEFAULT_DELAY_S) * MS,
    intervalMs: Math.max(MIN_INTERVAL_MS, (interval_seconds ?? DEFAULT_INTERVAL_S) * MS),
    timeoutMs: timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs,
  }
}

export const graceMsOf = ({ grace_period_seconds }: HealthCheck): number =>
  (grace_period_seconds ?? DEFAULT_GRACE_S) * MS

export const failuresOf = ({ consecutive_failures }: HealthCheck): number =>
  consecutive_failures ?? DEFAULT_FAILURES

const LOOPBACK = { IPv4: '127.0.0.1', IPv6: '::1' }

/** Of a health check that the master found well formed. */
export function healthProbe({ type, command, http, tcp }: HealthCheck): Probe | undefined {
  if (type === 'COMMAND') return command && { type, command }
  if (type === 'HTTP') {
    return (
      http && {
        type,
        scheme: http.scheme === 'https' ? 'https' : 'http',
        host: LOOPBACK[http.protocol ?? 'IPv4'],
        port: http.port,
        path: http.path ?? '/',
      }
    )
  }
  return type && tcp && { type, host: LOOPBACK[tcp.protocol ?? 'IPv4'], port: tcp.port }
}

export function checkProbe({ type, command, http, tcp }: CheckInfo): Probe | undefined {
  if (type === 'COMMAND') return command && { type, command: command.command }
  const host = LOOPBACK.IPv4
  if (type === 'HTTP') {
    return http && { type, scheme: 'http', host, port: http.port, path: http.path ?? '/' }
  }
  return type && tcp && { type, host, port: tcp.port }
}

const GOOD_STATUS = { from: 200, to: 399 }

/** Whether a result means health. Undefined: there was none in time. */
export function isHealthy(result: ProbeResult | undefined, { http }: HealthCheck): boolean {
  switch (result?.type) {
    case undefined:
      return false
    case 'COMMAND':
      return result.exitCode === 0
    case 'TCP':
      return result.succeeded
    case 'HTTP': {
      const { statusCode } = result
      const wanted = http?.statuses ?? []
      if (wanted.length > 0) return wanted.includes(statusCode)
      return statusCode >= GOOD_STATUS.from && statusCode <= GOOD_STATUS.to
    }
  }
}

/** What a check's result is called in a status. Without one the field is there and empty. */
export function checkStatus(
  type: CheckInfo['type'],
  result: ProbeResult | undefined,
): CheckStatusInfo {
  switch (type) {
    case 'COMMAND':
      return { type, command: result?.type === type ? { exit_code: result.exitCode } : {} }
    case 'HTTP':
      return { type, http: result?.type === type ? { status_code: result.statusCode } : {} }
    case 'TCP':
      return { type, tcp: result?.type === type ? { succeeded: result.succeeded } : {} }
    default:
      return {}
  }
}
