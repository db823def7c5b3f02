// Appends a second to the replicated log of three processes, beside writes to etcd and to ZooKeeper of three members each.

import { openEnsemble } from './ensemble.ts'
import { Etcd, etcdMissing } from './etcd.ts'
import { type Contest, experiment } from './harness.ts'
import { breakdownText } from './profile.ts'
import type { Scope } from './scope.ts'
import { ZooKeeper, zooKeeperMissing } from './zookeeper.ts'

const BESIDE_ETCD = 'log_appends.beside_etcd'
const BESIDE_ZOOKEEPER = 'log_appends.beside_zookeeper'

const PAYLOAD_BYTES = 128
const OUTSTANDING = 256
const WARM_UP_MS = 4_000
const MEASURED_MS = 3_000

export const experiments = [
  experiment({
    figures: {
      [BESIDE_ETCD]: {
        unit: 'appends/s',
        yardstick: {
          what: `etcd, 3 members, puts of one key, ${OUTSTANDING} under way, by h2load`,
          unit: 'puts/s',
        },
        goal: { atLeast: 5 },
      },
    },
    skip: etcdMissing,
    open: async scope => {
      const etcd = await Etcd.open(scope, PAYLOAD_BYTES)
      return contest(scope, BESIDE_ETCD, forMs => etcd.puts(OUTSTANDING, forMs))
    },
  }),
  experiment({
    figures: {
      [BESIDE_ZOOKEEPER]: {
        unit: 'appends/s',
        yardstick: {
          what: `ZooKeeper, 3 servers, setData of one node a connection, ${OUTSTANDING} under way`,
          unit: 'writes/s',
        },
        goal: { atLeast: 5 },
      },
    },
    skip: zooKeeperMissing,
    open: async scope => {
      const zooKeeper = await ZooKeeper.open(scope)
      return contest(scope, BESIDE_ZOOKEEPER, forMs =>
        zooKeeper.sets(PAYLOAD_BYTES, OUTSTANDING, forMs),
      )
    },
  }),
]

async function contest<Name extends string>(
  scope: Scope,
  name: Name,
  other: (forMs: number) => Promise<number>,
): Promise<Contest<Name>> {
  const { writer, all } = await openEnsemble(scope)
  const appends = async (forMs: number): Promise<number> => {
    const { appends, ms } = await writer.call('append', { outstanding: OUTSTANDING, forMs })
    return (appends / ms) * 1_000
  }
  const value = (it: number) => ({ [name]: it }) as Record<Name, number>
  // A JIT for each of them.
  await appends(WARM_UP_MS)
  await other(WARM_UP_MS)
  return {
    ours: async () => value(await appends(MEASURED_MS)),
    yardstick: async () => value(await other(MEASURED_MS)),
    explain: async () => {
      const before = await Promise.all(all.map(it => it.call('cpuMs')))
      await writer.call('startProfile')
      const rate = await appends(MEASURED_MS)
      const file = process.env['BENCH_PROFILE']
      const profile = await writer.call('stopProfile', { file })
      const after = await Promise.all(all.map(it => it.call('cpuMs')))
      const each = after.map((ms, i) => ((ms - before[i]!) * 1e6) / (rate * MEASURED_MS))
      return [
        `${name}: where the writer's time goes, sampled while ${Math.round(rate)} appends/s ran`,
        breakdownText(profile, 20),
        `  CPU for an append: writer ${each[0]!.toFixed(1)} µs, followers ${each[1]!.toFixed(1)} and ${each[2]!.toFixed(1)} µs.`,
      ].join('\n')
    },
  }
}
