// Checks of a task: health checks (which may kill it) and plain checks (which only report).

import type * as v from 'valibot'
import { CommandInfo } from './command.ts'
import {
  choice,
  double,
  flag,
  integer,
  message,
  optional,
  repeated,
  text,
  unsigned,
} from './schema.ts'

/** Defaults when absent: delay 15 s, interval 10 s, timeout 20 s (0: none), 3 failures, grace period 10 s. */
export const HealthCheck = message({
  delay_seconds: optional(double),
  interval_seconds: optional(double),
  timeout_seconds: optional(double),
  consecutive_failures: optional(unsigned),
  grace_period_seconds: optional(double),
  type: choice(['COMMAND', 'HTTP', 'TCP']),
  command: optional(CommandInfo),
  http: optional(
    message({
      protocol: choice(['IPv4', 'IPv6']),
      scheme: optional(text),
      port: unsigned,
      path: optional(text),
      statuses: repeated(unsigned),
    }),
  ),
  tcp: optional(message({ protocol: choice(['IPv4', 'IPv6']), port: unsigned })),
})
export type HealthCheck = v.InferOutput<typeof HealthCheck>

/** Defaults when absent: delay 15 s, interval 10 s, timeout 20 s (0: none). */
export const CheckInfo = message({
  type: choice(['COMMAND', 'HTTP', 'TCP']),
  command: optional(message({ command: CommandInfo })),
  http: optional(message({ port: unsigned, path: optional(text) })),
  tcp: optional(message({ port: unsigned })),
  delay_seconds: optional(double),
  interval_seconds: optional(double),
  timeout_seconds: optional(double),
})
export type CheckInfo = v.InferOutput<typeof CheckInfo>

/** A check's last result. The field by `type` is present though empty while there is no result yet. */
export const CheckStatusInfo = message({
  type: choice(['COMMAND', 'HTTP', 'TCP']),
  command: optional(message({ exit_code: optional(integer) })),
  http: optional(message({ status_code: optional(unsigned) })),
  tcp: optional(message({ succeeded: optional(flag) })),
})
export type CheckStatusInfo = v.InferOutput<typeof CheckStatusInfo>
