// A replica that was away while a million records were appended: how long it takes to have them, and what that costs the others,
// who go on appending.

import { join } from 'node:path'
import { REPLICAS } from './ensemble.ts'
import { type Contest, experiment } from './harness.ts'
import type { ReplicaProgram } from './programs/replica.ts'
import type { Scope } from './scope.ts'

const TIME = 'log_catchup.time'
const PACE = 'log_catchup.pace'

const MISSED = 1_000_000
const PORTION = 100_000
const OUTSTANDING = 256
const MEASURED_MS = 4_000
const WARM_UP_MS = 3_000

export const experiments = [
  experiment({
    figures: {
      [TIME]: { unit: 's', yardstick: { what: 'as long as the others took to append them' } },
      [PACE]: {
        unit: 'appends/s',
        yardstick: { what: 'those of the two others before it came back' },
      },
    },
    runs: 3,
    open,
  }),
]

async function open(scope: Scope): Promise<Contest<typeof TIME | typeof PACE>> {
  const folder = scope.temporaryFolder()
  const away = REPLICAS - 1
  let life = scope.nested()
  const all = Array.from({ length: REPLICAS }, (_, i) =>
    (i === away ? life : scope).program<ReplicaProgram>('replica'),
  )
  const replicas = await Promise.all(all.map(it => it.call('listen')))
  const directory = (i: number): string => join(folder, String(i))
  await Promise.all(all.map((it, i) => it.call('open', { directory: directory(i), replicas })))
  const writer = all[0]!
  await writer.call('elect')
  const append = (forMs: number) => writer.call('append', { outstanding: OUTSTANDING, forMs })
  await append(WARM_UP_MS)
  const port = Number(replicas[away]!.split(':')[1])
  let before = { s: 0, rate: 0 }
  return {
    async ours() {
      await all[away]!.call('close')
      await life.close()
      let ms = 0
      let last = 0
      for (let added = 0; added < MISSED; added += PORTION) {
        const portion = await writer.call('add', { outstanding: OUTSTANDING, count: PORTION })
        ms += portion.ms
        last = portion.last
      }
      before = { s: ms / 1_000, rate: (MISSED / ms) * 1_000 }
      life = scope.nested()
      const back = (all[away] = life.program<ReplicaProgram>('replica'))
      await back.call('listen', { port })
      const startedMs = performance.now()
      await back.call('open', { directory: directory(away), replicas })
      const appending = append(MEASURED_MS)
      await back.call('has', { position: last })
      const s = (performance.now() - startedMs) / 1_000
      const during = await appending
      return { [TIME]: s, [PACE]: (during.appends / during.ms) * 1_000 }
    },
    yardstick: () => ({ [TIME]: before.s, [PACE]: before.rate }),
  }
}
