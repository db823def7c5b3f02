// One append at a time, to a log of three processes on one disk, beside what the machine takes for a sync and a round trip.

import { openEnsemble } from './ensemble.ts'
import { type Contest, experiment } from './harness.ts'
import type { DiskProgram } from './programs/disk.ts'
import type { Scope } from './scope.ts'

const P50 = 'log_latency.p50'
const P99 = 'log_latency.p99'

const PAYLOAD_BYTES = 128
const WARM_UP = 5_000
const COUNT = 2_000
const YARDSTICK = 'one fdatasync on that disk and one round trip over loopback, one after the other'

export const experiments = [
  experiment({
    figures: {
      [P50]: { unit: 'ms', yardstick: { what: YARDSTICK }, goal: { atMost: 1.5 } },
      [P99]: { unit: 'ms', yardstick: { what: YARDSTICK }, goal: { atMost: 3 } },
    },
    open,
  }),
]

async function open(scope: Scope): Promise<Contest<typeof P50 | typeof P99>> {
  const { writer } = await openEnsemble(scope)
  const echo = scope.program<DiskProgram>('disk')
  const disk = scope.program<DiskProgram>('disk')
  await disk.call('connect', { port: await echo.call('echo') })
  const directory = scope.temporaryFolder()
  await writer.call('oneByOne', { count: WARM_UP })
  return {
    ours: async () => values(await writer.call('oneByOne', { count: COUNT })),
    yardstick: async () =>
      values(await disk.call('syncAndAsk', { directory, bytes: PAYLOAD_BYTES, count: COUNT })),
  }
}

const values = ({ p50, p99 }: { p50: number; p99: number }) => ({ [P50]: p50, [P99]: p99 })
