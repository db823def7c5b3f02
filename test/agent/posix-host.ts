// Run as a program by posix-processes.test.ts: an agent's process, as far as its tasks are concerned.
// Arguments: runtime directory, directory of the scripts, scripts.

import { fileURLToPath } from 'node:url'
import { PosixProcesses } from '../../src/agent/posix-processes.ts'
import { scriptSpec } from './containers.ts'
import { silentLogger } from '../../src/base/log.ts'

/** This file, to be given to node. */
export const HOST = fileURLToPath(import.meta.url)

if (process.argv[1] === HOST) await main(process.argv.slice(2))

async function main([runtimeDir = '', box = '', ...scripts]: readonly string[]): Promise<void> {
  const processes = await PosixProcesses.start({ runtimeDir, log: silentLogger })
  for (const [index, script] of scripts.entries()) {
    await processes.launch(scriptSpec(box, `host-${index}`, script))
  }
  process.stdout.write('ready\n')
  setInterval(() => {}, 60_000)
}
