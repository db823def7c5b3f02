// Run as a program by isolators.test.ts: an agent's process with the linux launcher, as far as its tasks are concerned.
// Arguments: runtime directory, sandbox, flags joined by blanks, scripts.

import { fileURLToPath } from 'node:url'
import { containerizer } from './containers.ts'

/** This file, to be given to node. */
export const CONTAINER_HOST = fileURLToPath(import.meta.url)

if (process.argv[1] === CONTAINER_HOST) await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<void> {
  const [runtimeDir = '', box = '', flags = '', ...scripts] = args
  const processes = containerizer(runtimeDir, ...flags.split(' '))
  for (const [index, script] of scripts.entries()) {
    await processes.launch({
      containerId: `host-${index}`,
      argv: ['/bin/sh', '-c', script],
      env: { PATH: '/usr/bin:/bin' },
      cwd: box,
      stdoutPath: `${box}/stdout`,
      stderrPath: `${box}/stderr`,
    })
  }
  process.stdout.write('ready\n')
  setInterval(() => {}, 60_000)
}
