// Run as a program by adoption.test.ts: an agent's process that launches, until it is killed.
// Arguments: runtime directory, sandbox, token, recovery timeout in ms, flags joined by blanks, then a container each as
// `name=script`; a name that begins with `s` survives. Without any it launches one survivor after the other.

import { fileURLToPath } from 'node:url'
import { nextContainerizer, scriptSpec } from './containers.ts'

/** This file, to be given to node. */
export const ADOPTION_HOST = fileURLToPath(import.meta.url)

if (process.argv[1] === ADOPTION_HOST) await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<void> {
  const [runtimeDir = '', box = '', token = '', timeout = '', flags = '', ...scripts] = args
  const recoveryTimeoutMs = Number(timeout)
  const processes = await nextContainerizer(
    { runtimeDir, token, recoveryTimeoutMs },
    ...flags.split(' ').filter(flag => flag !== ''),
  )
  const launch = (name: string, script: string) =>
    processes.launch({ ...scriptSpec(box, name, script), survives: name.startsWith('s') })
  for (const each of scripts) {
    const at = each.indexOf('=')
    await launch(each.slice(0, at), each.slice(at + 1))
  }
  process.on('SIGTERM', () => void processes.close().then(() => process.exit(0)))
  process.stdout.write('ready\n')
  for (let i = 0; scripts.length === 0; i++) {
    await launch(`s${i}`, `sleep 0.0${i % 10}; exit ${i % 100}`)
    process.stdout.write(`launched ${i}\n`)
  }
  setInterval(() => {}, 60_000)
}
