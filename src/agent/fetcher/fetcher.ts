// Fetches what commands ask for into their sandboxes, before they run. What is to be cached is fetched once, however many tasks
// want it at a time, and kept as long as there is room. One of the few files that may touch the world.
//
//   <fetcher_cache_dir>/<token of the agents of this work directory>/
//   ├── c<n>    for all who want it
//   └── f<n>/   of one fetch: gone when that has ended
//
// The directory is emptied when an agent starts: what the one before it was about is not known to be whole.

import { chmodSync, rmSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { messageOf, UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import type { CommandURI } from '../../messages/command.ts'
import type { Account } from '../containerizer/container.ts'
import { makeDirectories } from '../make-directories.ts'
import { CacheSpace } from './cache-space.ts'
import { download } from './download.ts'
import { place } from './placing.ts'
import { SandboxEntries } from './sandbox-entries.ts'
import { type Wanted, wantedOf } from './uri.ts'

export interface FetcherOptions {
  /** This agent's own. */
  readonly directory: string
  readonly cacheBytes: number
  /** Of one download, and of what one command unpacks. */
  readonly limitBytes: number
  readonly stallMs: number
  readonly home: string | undefined
  readonly log: Logger
}

export interface Fetch {
  readonly containerId: string
  readonly uris: readonly CommandURI[]
  readonly sandbox: string
  readonly account: Account | undefined
}

/** Files that one command may unpack. */
const MAX_ENTRIES = 1_000_000
/** Others may go through, but not look. */
const PASSAGE_MODE = 0o711

interface Cached {
  path: Promise<string>
  /** Who waits for it or uses it. The last one who gives up ends the fetch. */
  users: number
  readonly stop: AbortController
  state: 'coming' | 'kept' | 'too large'
}

export class Fetcher {
  readonly #o: FetcherOptions
  readonly #space: CacheSpace
  /** Being fetched, or there. */
  readonly #cached = new Map<string, Cached>()
  #count = 0
  succeeded = 0
  failed = 0

  constructor(options: FetcherOptions) {
    this.#o = options
    this.#space = new CacheSpace(options.cacheBytes)
    const { directory } = options
    rmSync(directory, { recursive: true, force: true })
    makeDirectories(directory)
    chmodSync(directory, PASSAGE_MODE)
  }

  get cache(): Pick<CacheSpace, 'usedBytes' | 'totalBytes'> {
    return this.#space
  }

  /** Rejects with a `UserError` that names the URI that was not to be had. */
  async fetch({ containerId, uris, sandbox, account }: Fetch, stop: AbortSignal): Promise<void> {
    const { home, limitBytes, log } = this.#o
    const own = `${this.#o.directory}/f${this.#count++}`
    const limits = { entries: MAX_ENTRIES, bytes: limitBytes }
    try {
      const all = uris.map(uri => wantedOf(uri, { home }))
      await mkdir(own, { mode: PASSAGE_MODE })
      const entries = new SandboxEntries(limits)
      for (const wanted of all) {
        const where = { sandbox, account, entries, limits, scratch: own, stop }
        await this.#with(wanted, own, account, stop, file => place(wanted, file, where))
      }
      this.succeeded++
    } catch (error) {
      this.failed++
      throw new UserError(
        'unavailable',
        `Failed to fetch all URIs for container '${containerId}': ${messageOf(error)}`,
        { cause: error },
      )
    } finally {
      await rm(own, { recursive: true, force: true }).catch((error: unknown) => {
        log.warn({ path: own, error: messageOf(error) }, 'what was fetched could not be removed')
      })
    }
  }

  /** Calls `use` with the file, which is there for as long. */
  async #with(
    wanted: Wanted,
    own: string,
    account: Account | undefined,
    stop: AbortSignal,
    use: (file: string) => Promise<void>,
  ): Promise<void> {
    if (!wanted.cached) {
      const file = `${own}/file`
      await this.#download(wanted, file, account, stop)
      await use(file)
      return rm(file, { force: true })
    }
    const key = JSON.stringify([account?.uid, wanted.uri, wanted.checksum])
    const cached = this.#cached.get(key) ?? this.#begin(key, wanted, account)
    cached.users++
    this.#space.touch(key)
    const givenUp = new Promise<never>((_, reject) => {
      const giveUp = (): void => reject(new UserError('unavailable', 'It was given up.'))
      if (stop.aborted) giveUp()
      else stop.addEventListener('abort', giveUp, { once: true })
    })
    // Nobody may be left to hear of it.
    givenUp.catch(() => {})
    try {
      await use(await Promise.race([cached.path, givenUp]))
    } finally {
      if (--cached.users === 0) this.#unused(key, cached)
    }
  }

  #unused(key: string, cached: Cached): void {
    if (cached.state === 'kept') return
    if (cached.state === 'too large') return void this.#remove(cached)
    cached.stop.abort()
    // Who comes now begins anew.
    if (this.#cached.get(key) === cached) this.#cached.delete(key)
  }

  #download(
    wanted: Wanted,
    file: string,
    account: Account | undefined,
    stop: AbortSignal,
  ): Promise<number> {
    const { limitBytes: bytes, stallMs } = this.#o
    return download(wanted, file, account, { bytes, stallMs }, stop)
  }

  #begin(key: string, wanted: Wanted, account: Account | undefined): Cached {
    const stop = new AbortController()
    const cached: Cached = { path: Promise.resolve(''), users: 0, stop, state: 'coming' }
    cached.path = this.#keep(key, cached, wanted, account)
    this.#cached.set(key, cached)
    cached.path.catch(() => {
      if (this.#cached.get(key) === cached) this.#cached.delete(key)
    })
    return cached
  }

  async #keep(
    key: string,
    cached: Cached,
    wanted: Wanted,
    account: Account | undefined,
  ): Promise<string> {
    const { directory, log } = this.#o
    const path = `${directory}/c${this.#count++}`
    let bytes: number
    try {
      bytes = await this.#download(wanted, path, account, cached.stop.signal)
    } catch (error) {
      await rm(path, { force: true })
      throw error
    }
    const isInUse = (other: string): boolean => (this.#cached.get(other)?.users ?? 0) > 0
    const gone = this.#space.admit(key, bytes, isInUse)
    cached.state = gone ? 'kept' : 'too large'
    for (const other of gone ?? []) {
      const old = this.#cached.get(other)
      this.#cached.delete(other)
      if (old) void this.#remove(old)
    }
    if (!gone) {
      // Those who wait for it have it, and the next one fetches it anew.
      log.info({ uri: wanted.uri, bytes }, 'there is no room in the cache for what was fetched')
      this.#cached.delete(key)
    }
    return path
  }

  async #remove({ path }: Cached): Promise<void> {
    await rm(await path, { force: true }).catch(() => {})
  }
}
