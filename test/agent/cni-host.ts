// Run as a program by cni.test.ts: an agent's process with containers in networks, until it is killed.
// Arguments: top directory, token, flags joined by blanks, then a container each as `name=network=script`; a name that begins with
// `s` survives. Says `ready` when all have been launched.

import { fileURLToPath } from 'node:url'
import { nextContainerizer, scriptSpec } from './containers.ts'

/** This file, to be given to node. */
export const CNI_HOST = fileURLToPath(import.meta.url)

if (process.argv[1] === CNI_HOST) await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<void> {
  const [top = '', token = '', flags = '', ...containers] = args
  const processes = await nextContainerizer(
    { runtimeDir: `${top}/run`, workDir: top, token, recoveryTimeoutMs: 60_000 },
    ...flags.split(' '),
  )
  process.on('SIGTERM', () => void processes.close().then(() => process.exit(0)))
  for (const each of containers) {
    const [name = '', network = '', ...script] = each.split('=')
    await processes.launch({
      ...scriptSpec(`${top}/box`, name, script.join('=')),
      survives: name.startsWith('s'),
      container: { type: 'MESOS', network_infos: [{ name: network }] },
    })
  }
  process.stdout.write('ready\n')
  setInterval(() => {}, 60_000)
}
