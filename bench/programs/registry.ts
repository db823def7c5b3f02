// Makes the log of a master with many agents: one snapshot of its registry.

import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { createLogger } from '../../src/base/logger.ts'
import { FileStorage, Log, LogService, Writer } from '../../src/log/log.ts'
import { encodeEntry } from '../../src/master/registry/entry.ts'
import { serveCommands } from '../program.ts'

const commands = serveCommands({
  async make({ directory, agents }: { directory: string; agents: number }): Promise<void> {
    const runtime = await systemRuntime({
      log: createLogger({ level: 'warn', format: 'text', name: 'registry' }),
    })
    const log = await Log.open({ storage: new FileStorage({ directory }), quorum: 1 })
    const writer = new Writer(runtime.ref(LogService, runtime.spawn(log, 'log(1)')))
    if ((await writer.start()) === undefined) throw new Error('the log has another writer')
    const entry = encodeEntry({
      version: 1,
      time_ms: Date.now(),
      master_id: 'bench',
      sequence: agents,
      snapshot: {
        agents: Array.from({ length: agents }, (_, i) => agent(i)),
        unreachable: [],
        gone: [],
      },
    })
    if ((await writer.append(entry)) === undefined) throw new Error('the log has another writer')
    await runtime.shutdown()
    await log.closed
  },
})

/** As large as what agents say of themselves. */
function agent(number: number) {
  const scalar = (name: string, value: number) =>
    ({ name, type: 'SCALAR', scalar: { value } }) as const
  return {
    id: { value: `2b5b7f3a-0000-4000-8000-000000000000-S${number}` },
    hostname: `agent-${number}.example.org`,
    port: 5_051,
    resources: [scalar('cpus', 16), scalar('mem', 65_536), scalar('disk', 1_000_000)],
    attributes: [{ name: 'rack', type: 'TEXT', text: { value: `r${number % 100}` } } as const],
  }
}

export type RegistryProgram = typeof commands
