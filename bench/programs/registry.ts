// Makes the logs of masters with many agents: one snapshot of their registry, which all of them have learned.

import { Acceptor } from '../../src/log/acceptor.ts'
import { FileStorage } from '../../src/log/log.ts'
import { appendOf, type ReplicaRecord } from '../../src/log/storage.ts'
import { encodeEntry } from '../../src/master/registry/entry.ts'
import type { Value } from '../../src/messages/log.ts'
import { serveCommands } from '../program.ts'

const commands = serveCommands({
  async make({ directories, agents }: { directories: string[]; agents: number }): Promise<void> {
    const entry = encodeEntry({
      version: 2,
      time_ms: Date.now(),
      master_id: 'bench',
      sequence: agents,
      snapshot: {
        agents: Array.from({ length: agents }, (_, i) => agent(i)),
        unreachable: [],
        gone: [],
      },
    })
    const chosen = (position: number, value: Value): ReplicaRecord => ({
      ...{ type: 'write', position, proposal: 1, learned: true, value },
    })
    for (const directory of directories) {
      const storage = new FileStorage({ directory })
      const acceptor = new Acceptor()
      await storage.open(
        record => acceptor.apply(record),
        () => acceptor.snapshot(),
      )
      const records = [
        ...acceptor.become('VOTING', 1),
        chosen(0, { type: 'NOP' }),
        chosen(1, appendOf(entry)),
      ]
      for (const record of records) acceptor.apply(record)
      await storage.persist(records)
      await storage.close()
    }
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
