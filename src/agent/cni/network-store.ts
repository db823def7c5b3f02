// What there is of a container's network on this machine, beside what plugins made. One of the few files that may touch the world.
//
//   <runtime_dir or work_dir>/isolators/network/cni/<container id>/
//   ├── record              whose it is, and what plugins were or will be told: written before any of them runs
//   ├── ns, uts             its namespaces, held by a mount on these files until they are taken away
//   └── hosts, hostname, resolv.conf
//
// Namespaces that are held by mounts need no process: whoever comes after an agent that died finds them.

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import * as v from 'valibot'
import { UserError } from '../../base/errors.ts'
import { NetworkInfo } from '../../messages/container.ts'
import { NetworkConfig } from './config.ts'
import type { Plugins } from './plugins.ts'
import { PluginResult } from './result.ts'

const SHELL = '/bin/sh'
const NAMESPACES = ['ns', 'uts'] as const
const AGAIN_MS = 10
const MAX_DYING_MS = 5_000

const NetworkRecord = v.object({
  /** The token of the agents that made it. */
  owner: v.string(),
  hostname: v.string(),
  attachments: v.array(
    v.object({
      ifName: v.string(),
      info: NetworkInfo,
      config: NetworkConfig,
      /** Absent until all plugins have answered. */
      result: v.optional(PluginResult),
    }),
  ),
})
export type NetworkRecord = v.InferOutput<typeof NetworkRecord>
export type Attachment = NetworkRecord['attachments'][number]

export interface NetworkStoreOptions {
  readonly root: string
  readonly plugins: Plugins
  readonly unshare: string
  readonly umount: string
}

export class NetworkStore {
  readonly #o: NetworkStoreOptions

  constructor(options: NetworkStoreOptions) {
    this.#o = options
  }

  path(id: string, name: 'record' | 'ns' | 'uts' | 'hosts' | 'hostname' | 'resolv.conf'): string {
    return `${this.#o.root}/${id}/${name}`
  }

  /** Containers that something is there of. */
  list(): string[] {
    return this.#entries().filter(name => !name.startsWith('.'))
  }

  #entries(): string[] {
    return existsSync(this.#o.root) ? readdirSync(this.#o.root) : []
  }

  has(id: string): boolean {
    return existsSync(`${this.#o.root}/${id}`)
  }

  /** Undefined if there is none, or none that can be read. */
  read(id: string): NetworkRecord | undefined {
    try {
      return v.parse(NetworkRecord, JSON.parse(readFileSync(this.path(id, 'record'), 'utf8')))
    } catch {
      return undefined
    }
  }

  /** Whole or not at all, and on the disk: others that share the runtime directory never find one that says not whose it is. */
  async write(id: string, record: NetworkRecord): Promise<void> {
    const { root } = this.#o
    const text = JSON.stringify(record)
    const options = { flush: true, mode: 0o600 }
    if (this.has(id)) {
      const path = this.path(id, 'record')
      await writeFile(`${path}.new`, text, options)
      return rename(`${path}.new`, path)
    }
    const unfinished = `${root}/.${record.owner}.${id}`
    await mkdir(unfinished, { recursive: true })
    await writeFile(`${unfinished}/record`, text, options)
    await rename(unfinished, `${root}/${id}`)
  }

  /** Records that an agent died over. */
  async sweep(owner: string): Promise<void> {
    for (const name of this.#entries()) {
      if (name.startsWith(`.${owner}.`)) await rm(`${this.#o.root}/${name}`, { recursive: true })
    }
  }

  async writeFile(id: string, name: 'hosts' | 'hostname' | 'resolv.conf', text: string) {
    await writeFile(this.path(id, name), text)
  }

  /** A network without interfaces, and a hostname. Rejects with a `UserError` if they are not to be had. */
  async makeNamespaces(id: string, hostname: string, stop?: AbortSignal): Promise<void> {
    for (const name of NAMESPACES) await writeFile(this.path(id, name), '')
    const { ok, stderr } = await this.#o.plugins.run({
      argv: [
        this.#o.unshare,
        `--net=${this.path(id, 'ns')}`,
        `--uts=${this.path(id, 'uts')}`,
        '--',
        ...[SHELL, '-c', 'echo "$1" >/proc/sys/kernel/hostname', 'sh', hostname],
      ],
      stop,
    })
    if (!ok) throw new UserError('internal', `a network namespace could not be made: ${stderr}`)
  }

  /** The path of its network namespace, as plugins are told it; undefined if there is none any more, as after a reboot. */
  async namespace(id: string): Promise<string | undefined> {
    const path = this.path(id, 'ns')
    return (await isNamespace(path)) ? path : undefined
  }

  /** What held the namespaces goes; unless `keepsRecord`, all of it. */
  async remove(id: string, keepsRecord: boolean): Promise<void> {
    for (const name of NAMESPACES) {
      const path = this.path(id, name)
      if (!(await isNamespace(path))) continue
      // Whoever looks into it just now must not keep it.
      const { ok, stderr } = await this.#o.plugins.run({ argv: [this.#o.umount, '-l', path] })
      if (!ok) throw new UserError('internal', `'${path}' could not be unmounted: ${stderr}`)
    }
    // A file that is a mount point elsewhere, in some container's mount namespace, is one no more when it is removed.
    if (!keepsRecord) return rm(`${this.#o.root}/${id}`, { recursive: true, force: true })
    for (const name of [...NAMESPACES, 'hosts', 'hostname', 'resolv.conf'] as const) {
      await rm(this.path(id, name), { force: true })
    }
  }

  /** Plugins that an agent which died had called for these containers must not go on while others undo what they do. */
  async endPlugins(ids: ReadonlySet<string>): Promise<void> {
    for (let waitedMs = 0; waitedMs < MAX_DYING_MS; waitedMs += AGAIN_MS) {
      const pids = await pluginsOf(ids)
      if (pids.length === 0) return
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // It has ended.
        }
      }
      await new Promise(resolve => setTimeout(resolve, AGAIN_MS))
    }
  }
}

/** Files on which a namespace is mounted are on a device that has nothing else. */
async function isNamespace(path: string): Promise<boolean> {
  try {
    return (await stat(path)).dev === (await stat('/proc/self/ns/net')).dev
  } catch {
    return false
  }
}

/** Processes, plugins and those they called, that have one of these ids in their environment. */
async function pluginsOf(ids: ReadonlySet<string>): Promise<number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const environment = await readFile(`/proc/${name}/environ`, 'latin1').catch(() => '')
    const id = /(?:^|\0)CNI_CONTAINERID=([^\0]*)/.exec(environment)?.[1]
    if (id !== undefined && ids.has(id)) found.push(Number(name))
  }
  return found
}
