// The real master with a registry in a file log, and a sampler of its own CPU time.

import { join } from 'node:path'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { parseFlags } from '../../src/base/flags.ts'
import { createLogger } from '../../src/base/logger.ts'
import { FileStorage, Log } from '../../src/log/log.ts'
import { masterConfig, masterFlags } from '../../src/master/flags.ts'
import { startMaster } from '../../src/master/start.ts'
import { CpuProfile } from '../cpu-profile.ts'
import { serveCommands } from '../program.ts'

const profile = new CpuProfile()

const commands = serveCommands({
  /** Starts to lead; resolves to the address. */
  async start({ workDir }: { workDir: string }): Promise<string> {
    const parsed = parseFlags(masterFlags, {
      argv: [`--work_dir=${workDir}`, '--ip=127.0.0.1', '--port=0'],
      env: {},
      readFile: path => path,
    })
    if (!parsed.ok) throw new Error(parsed.errors.join('\n'))
    const runtime = await systemRuntime({
      log: createLogger({ level: 'warn', format: 'text', name: 'master' }),
      listen: { ip: '127.0.0.1', port: 0 },
      fatal: (_, error) => {
        throw error
      },
    })
    const storage = new FileStorage({ directory: join(workDir, 'replicated_log') })
    const log = await Log.open({ storage, quorum: 1 })
    startMaster(runtime, { config: masterConfig(parsed.values), hostname: '127.0.0.1', log })
    return runtime.address
  },

  startProfile: () => profile.start(),
  stopProfile: ({ file }: { file: string | undefined }) => profile.stop(file),
})

export type MasterProgram = typeof commands
