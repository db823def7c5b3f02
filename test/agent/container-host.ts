// Run as a program by isolators.test.ts: an agent's process with the linux launcher, as far as its tasks are concerned.
// Arguments: runtime directory, sandbox, flags joined by blanks, scripts. Without scripts it launches and kills until it is
// killed itself.

import { fileURLToPath } from 'node:url'
import { containerizer, scriptSpec } from './containers.ts'

/** This file, to be given to node. */
export const CONTAINER_HOST = fileURLToPath(import.meta.url)

if (process.argv[1] === CONTAINER_HOST) await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<void> {
  const [runtimeDir = '', box = '', flags = '', ...scripts] = args
  const processes = await containerizer(runtimeDir, ...flags.split(' '))
  const launch = (name: string, script: string) => processes.launch(scriptSpec(box, name, script))
  for (const [index, script] of scripts.entries()) await launch(`host-${index}`, script)
  let count = 0
  /** Launches that end, that leave something behind, and that are killed at once. */
  const storm = async (): Promise<never> => {
    for (;;) {
      const isShort = ++count % 3 !== 0
      const script = isShort ? '(setsid env -i sleep 1000 &); sleep 0.03' : 'sleep 1000'
      const launched = await launch(`host-${count}`, script)
      if (!isShort) processes.killTree(launched.pid, count % 2 === 0 ? 'SIGTERM' : 'SIGKILL')
      await launched.exited
    }
  }
  if (scripts.length === 0) for (let i = 0; i < 4; i++) void storm()
  process.stdout.write('ready\n')
  setInterval(() => {}, 60_000)
}
