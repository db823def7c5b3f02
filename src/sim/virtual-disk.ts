// A disk below the real file storage: what was not synced is lost, torn or kept when the power goes, file by file and
// entry by entry.

import type { Clock } from '../actors/clock.ts'
import { UserError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { FileStorage } from '../log/file-storage.ts'
import type { LogFile, LogFiles } from '../log/files.ts'
import type { Storage } from '../log/storage.ts'
import type { UnsyncedFate } from './memory-storage.ts'

/** What a disk writes at once: of a write that was under way, some sectors are there and others are not. */
const SECTOR_BYTES = 512
const RESERVE_BYTES = 3 * SECTOR_BYTES

interface Put {
  readonly at: number
  readonly bytes: Uint8Array
}

type Write = Put | { readonly truncateTo: number }

/** A file as it is on the platter, and what was written to it since. */
class Inode {
  synced: Uint8Array = new Uint8Array()
  /** In the order of writing. */
  writes: Write[] = []

  /** As a process sees it. */
  get contents(): Uint8Array {
    return this.writes.reduce(applied, this.synced)
  }

  /** The first `count` writes are on the platter from now on. */
  settle(count: number): void {
    this.synced = this.writes.splice(0, count).reduce(applied, this.synced)
  }
}

function applied(contents: Uint8Array, write: Write): Uint8Array {
  if ('truncateTo' in write) return contents.slice(0, write.truncateTo)
  const size = Math.max(contents.length, write.at + write.bytes.length)
  const out = new Uint8Array(size)
  out.set(contents)
  out.set(write.bytes, write.at)
  return out
}

interface Directory {
  entries: Map<string, Inode>
  synced: Map<string, Inode>
}

/** A bit that has flipped. */
export interface Scar {
  readonly path: string
  readonly at: number
  /** Whether the file is still where it was. */
  readonly remains: () => boolean
}

const error = (code: string, text: string): Error => Object.assign(new Error(text), { code })

function durable(file: LogFile): LogFile {
  return {
    ...file,
    async write(bytes, offset, length, position) {
      const written = await file.write(bytes, offset, length, position)
      await file.datasync()
      return written
    },
  }
}

export class VirtualDisk {
  readonly #random: Random
  readonly #directories = new Map<string, Directory>()
  /** Directories that a living process has locked. */
  readonly #locks = new Set<string>()
  /** How long one sync takes, from the next one on. */
  syncMs = 1
  /** Nothing more fits on it; of the write that finds it so, a part does. */
  full = false
  /** How many syncs of files it has done. */
  syncs = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** A log's storage in the real format, for the process that `clock` belongs to. */
  storage(clock: Pick<Clock, 'delay'>, segmentBytes: number): Storage {
    const options = { directory: '/log', segmentBytes, reserveBytes: RESERVE_BYTES }
    return new FileStorage({ ...options, files: this.files(clock) })
  }

  /** Whether a process uses it, or did when it died. */
  get inUse(): boolean {
    return this.#locks.size > 0
  }

  /** The process that uses it dies, and the power fails with it. */
  crash(fate: UnsyncedFate = 'lost'): void {
    this.#locks.clear()
    for (const directory of this.#directories.values()) this.#crashDirectory(directory, fate)
  }

  /** The process that uses it dies alone: what it wrote is still to be read, and not yet safe from a loss of power. */
  release(): void {
    this.#locks.clear()
  }

  /** Everything is gone, as after a replaced machine. */
  wipe(): void {
    this.#locks.clear()
    this.#directories.clear()
  }

  /**
   * A bit of what is on the platter flips, anywhere in a file whose path matches, but for what is `spared`: bytes from one to
   * before another. Undefined if there is no such file, or only zeros.
   */
  flip(
    which: RegExp,
    spared: (path: string, bytes: Uint8Array) => readonly [number, number] = () => [0, 0],
  ): Scar | undefined {
    const files: { directory: Directory; name: string; path: string; inode: Inode }[] = []
    for (const [at, directory] of this.#directories) {
      for (const [name, inode] of directory.synced) {
        const path = `${at}/${name}`
        if (which.test(path)) files.push({ directory, name, path, inode })
      }
    }
    if (files.length === 0) return undefined
    const { directory, name, path, inode } = files[this.#random.integer(files.length)]!
    // Not in the space that is only taken up.
    const used = inode.synced.findLastIndex(byte => byte !== 0) + 1
    const [from, to] = spared(path, inode.synced)
    if (used <= to - from) return undefined
    const drawn = this.#random.integer(used - (to - from))
    const at = drawn < from ? drawn : drawn + (to - from)
    const bytes = inode.synced.slice()
    bytes[at]! ^= 1 << this.#random.integer(8)
    inode.synced = bytes
    return { path, at, remains: () => directory.entries.get(name) === inode }
  }

  #crashDirectory(directory: Directory, fate: UnsyncedFate): void {
    const { entries, synced } = directory
    const all = new Map([...synced, ...entries])
    for (const inode of all.values()) this.#crashFile(inode, fate)
    for (const [name, inode] of all) {
      if (entries.has(name) === synced.has(name)) continue
      const asNow = fate === 'kept' || (fate === 'torn' && this.#random.next() < 0.5)
      if (asNow === entries.has(name)) synced.set(name, inode)
      else synced.delete(name)
    }
    directory.entries = new Map(synced)
  }

  #crashFile(inode: Inode, fate: UnsyncedFate): void {
    if (fate === 'kept') return inode.settle(inode.writes.length)
    if (fate === 'torn' && inode.writes.length > 0) {
      inode.settle(this.#random.integer(inode.writes.length))
      const [torn] = inode.writes
      if (torn && 'at' in torn) inode.synced = applied(inode.synced, this.#torn(torn, inode.synced))
    }
    inode.writes = []
  }

  /** It ends early; or it has its length, and some of its sectors are as they were before. */
  #torn({ at, bytes }: Put, before: Uint8Array): Put {
    if (this.#random.next() < 0.5) {
      return { at, bytes: bytes.slice(0, this.#random.integer(bytes.length + 1)) }
    }
    const out = bytes.slice()
    const end = at + bytes.length
    for (let sector = at - (at % SECTOR_BYTES); sector < end; sector += SECTOR_BYTES) {
      if (this.#random.next() < 0.5) continue
      for (let i = Math.max(sector, at); i < Math.min(sector + SECTOR_BYTES, end); i++) {
        out[i - at] = before[i] ?? 0
      }
    }
    return { at, bytes: out }
  }

  /** The file system as a process has it; what takes time ends by its clock. */
  files(clock: Pick<Clock, 'delay'>): LogFiles {
    return {
      makeDirectory: path => {
        if (this.#directories.has(path)) return false
        this.#directories.set(path, { entries: new Map(), synced: new Map() })
        return true
      },
      lock: async path => {
        if (this.#locks.has(path)) throw new UserError('path_in_use', `${path} is in use.`)
        this.#locks.add(path)
        return { release: () => this.#locks.delete(path) }
      },
      list: async path => {
        const prefix = `${path}/`
        const below = [...this.#directories.keys()].filter(d => d.startsWith(prefix))
        return [...this.#directory(path).entries.keys(), ...below.map(d => d.slice(prefix.length))]
      },
      readFile: async path => Buffer.from(this.#inode(path).contents),
      open: async (path, flags, how) => {
        if (flags === 'w+') this.#create(path)
        const file = this.#open(this.#inode(path), clock)
        return how?.isDurable ? durable(file) : file
      },
      remove: async path => {
        const [directory, name] = this.#find(path)
        if (!directory.entries.delete(name)) throw error('ENOENT', `no such file: ${path}`)
      },
      rename: async (from, to) => {
        const [source, name] = this.#find(from)
        const [target, newName] = this.#find(to)
        const inode = this.#inode(from)
        source.entries.delete(name)
        target.entries.set(newName, inode)
      },
      size: async path => this.#inode(path).contents.length,
      syncDirectory: path => {
        const directory = this.#directories.get(path)
        const entries = new Map(directory?.entries)
        return this.#sync(clock, () => {
          if (directory) directory.synced = entries
        })
      },
      newId: () => this.#random.uuid().replaceAll('-', ''),
    }
  }

  #create(path: string): void {
    const [directory, name] = this.#find(path)
    const known = directory.entries.get(name)
    if (known) known.writes.push({ truncateTo: 0 })
    else directory.entries.set(name, new Inode())
  }

  #open(inode: Inode, clock: Pick<Clock, 'delay'>): LogFile {
    return {
      read: async (into, offset, length, position) => {
        const bytes = inode.contents.subarray(position, position + length)
        into.set(bytes, offset)
        return { bytesRead: bytes.length }
      },
      write: async (bytes, offset, length, position) => {
        const fits = this.full ? this.#random.integer(length) : length
        if (fits === 0) throw error('ENOSPC', 'ENOSPC: no space left on device, write')
        inode.writes.push({ at: position, bytes: bytes.slice(offset, offset + fits) })
        return { bytesWritten: fits }
      },
      truncate: async sizeBytes => void inode.writes.push({ truncateTo: sizeBytes }),
      datasync: () => {
        const count = inode.writes.length
        return this.#sync(clock, () => {
          this.syncs++
          inode.settle(count)
        })
      },
      close: async () => {},
    }
  }

  #sync(clock: Pick<Clock, 'delay'>, run: () => void): Promise<void> {
    return new Promise(resolve => {
      clock.delay(this.syncMs, () => {
        run()
        resolve()
      })
    })
  }

  #find(path: string): [Directory, string] {
    const slash = path.lastIndexOf('/')
    return [this.#directory(path.slice(0, slash)), path.slice(slash + 1)]
  }

  #directory(path: string): Directory {
    const directory = this.#directories.get(path)
    if (!directory) throw error('ENOENT', `no such directory: ${path}`)
    return directory
  }

  #inode(path: string): Inode {
    const [directory, name] = this.#find(path)
    const inode = directory.entries.get(name)
    if (!inode) throw error('ENOENT', `no such file: ${path}`)
    return inode
  }
}
