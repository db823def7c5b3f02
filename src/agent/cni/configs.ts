// The networks that there are: the files of `--network_cni_config_dir`. A network's file is read at every launch, all files when
// a network is not known; so none of it needs a restart. One of the few files that may touch the world.

import { type FileHandle, open, readdir } from 'node:fs/promises'
import { messageOf, UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import { type NetworkConfig, parseNetworkConfig } from './config.ts'

const MAX_BYTES = 2 ** 20
const MAX_FILES = 1_000

export class NetworkConfigs {
  readonly #directory: string
  readonly #log: Logger
  /** Where a network is described. */
  #files = new Map<string, string>()

  constructor(directory: string, log: Logger) {
    this.#directory = directory
    this.#log = log
  }

  get names(): string[] {
    return [...this.#files.keys()]
  }

  /** Rejects with a `UserError` if there is no such network. */
  async find(name: string): Promise<NetworkConfig> {
    const known = await this.#read(name)
    if (known) return known
    await this.load()
    const found = await this.#read(name)
    if (found) return found
    throw new UserError('not_found', `Unknown CNI network '${name}'`)
  }

  async #read(name: string): Promise<NetworkConfig | undefined> {
    const path = this.#files.get(name)
    if (path === undefined) return undefined
    try {
      const config = parseNetworkConfig(await textOf(path))
      return config.name === name ? config : undefined
    } catch {
      // It is another network's now, or none's. Looking at all of them, the log tells of it.
      return undefined
    }
  }

  /** Looks at all files. Of several that describe one network the first one counts. Rejects with a `UserError` if there is no directory. */
  async load(): Promise<void> {
    const files = new Map<string, string>()
    for (const path of await this.#paths()) {
      try {
        const { name } = parseNetworkConfig(await textOf(path))
        const other = files.get(name)
        if (other === undefined) files.set(name, path)
        else this.#log.error({ file: path, other, network: name }, 'a network is described twice')
      } catch (error) {
        const fields = { file: path, error: messageOf(error) }
        this.#log.error(fields, 'the file of a network cannot be used')
      }
    }
    this.#files = files
  }

  async #paths(): Promise<string[]> {
    let names: string[]
    try {
      const entries = await readdir(this.#directory, { withFileTypes: true })
      names = entries.filter(entry => !entry.isDirectory()).map(entry => entry.name)
    } catch (error) {
      const why = `'${this.#directory}' of --network_cni_config_dir cannot be read: ${messageOf(error)}`
      throw new UserError('not_found', why)
    }
    // Editors keep what was there before beside what they write.
    return names
      .filter(name => !name.startsWith('.') && !name.endsWith('~'))
      .toSorted()
      .slice(0, MAX_FILES)
      .map(name => `${this.#directory}/${name}`)
  }
}

async function textOf(path: string): Promise<string> {
  let file: FileHandle | undefined
  try {
    file = await open(path, 'r')
    const { size } = await file.stat()
    if (size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`)
    return await file.readFile('utf8')
  } finally {
    await file?.close()
  }
}
