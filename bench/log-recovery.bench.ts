// Reading a log of a gigabyte at the start of its process, beside reading its files once.

import { join } from 'node:path'
import { type Contest, type Experiment, experiment } from './harness.ts'
import type { DiskProgram } from './programs/disk.ts'
import type { ReplicaProgram } from './programs/replica.ts'
import type { Scope } from './scope.ts'

const LOG_BYTES = 2 ** 30

/** Cached by the kernel, as after a restart of the process; and not, as after one of the machine, which only root can bring about. */
const STATES = { cached: false, cold: true } as const

export const experiments: readonly Experiment[] = Object.entries(STATES).map(([state, isCold]) =>
  experiment({
    figures: {
      [`log_recovery.${state}`]: {
        unit: 's',
        yardstick: { what: `cat of its files, ${isCold ? 'not cached' : 'cached'} as well` },
        goal: { atMost: 3 },
      },
    },
    skip: () =>
      isCold && process.getuid?.() !== 0 ? 'only root can make the kernel forget files' : undefined,
    open: scope => open(scope, `log_recovery.${state}`, isCold),
  }),
)

async function open(scope: Scope, name: string, isCold: boolean): Promise<Contest<string>> {
  const directory = join(scope.temporaryFolder(), 'replicated_log')
  const maker = scope.program<ReplicaProgram>('replica')
  const address = await maker.call('listen')
  await maker.call('open', { directory, replicas: [address] })
  await maker.call('elect')
  for (let bytes = 0; bytes < LOG_BYTES; ) bytes = await maker.call('grow', { directory })
  await maker.call('close')
  const disk = scope.program<DiskProgram>('disk')
  const prepare = async (): Promise<void> => {
    if (isCold) await disk.call('dropCaches')
    else await disk.call('read', { directory })
  }
  return {
    async ours() {
      const reader = scope.nested()
      try {
        const replica = reader.program<ReplicaProgram>('replica')
        const replicas = [await replica.call('listen')]
        await prepare()
        return { [name]: (await replica.call('open', { directory, replicas })) / 1_000 }
      } finally {
        await reader.close()
      }
    },
    async yardstick() {
      await prepare()
      return { [name]: (await disk.call('read', { directory })) / 1_000 }
    },
  }
}
