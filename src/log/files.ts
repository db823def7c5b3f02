// The file system as a storage needs it: the real one here, one that loses what was not synced in the simulator
// (sim/virtual-disk.ts). One of the few files that may touch the world.

import { randomBytes } from 'node:crypto'
import { constants, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { type Lock, lockDirectory, makeDirectory } from './lock-file.ts'

/** An open file; a `FileHandle` is one. */
export interface LogFile {
  read(
    into: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesWritten: number }>
  truncate(sizeBytes: number): Promise<void>
  /** Resolves when what was written is on disk, and may be read after a loss of power. */
  datasync(): Promise<void>
  close(): Promise<void>
}

export type OpenFlags = 'r' | 'r+' | 'w+'

/** All methods reject, or throw, with the system's errors. */
export interface LogFiles {
  /** Makes a directory in one that exists; returns whether it was missing. */
  makeDirectory(path: string): boolean
  /** Keeps other processes from writing there. */
  lock(directory: string): Promise<Lock>
  list(directory: string): Promise<readonly string[]>
  readFile(path: string): Promise<Buffer>
  /** `isDurable`: a write resolves when it is on disk, as if `datasync` had followed; what it rejects with may be that one's. */
  open(path: string, flags: OpenFlags, how?: { readonly isDurable: boolean }): Promise<LogFile>
  remove(path: string): Promise<void>
  /** Within one directory, or into one below it. */
  rename(from: string, to: string): Promise<void>
  /** Bytes. */
  size(path: string): Promise<number>
  /** Resolves when the entries of a directory are on disk. */
  syncDirectory(path: string): Promise<void>
  /** An id that no other replica has. */
  newId(): string
}

const { O_RDONLY, O_RDWR, O_CREAT, O_TRUNC } = constants
const MODES = { r: O_RDONLY, 'r+': O_RDWR, 'w+': O_RDWR | O_CREAT | O_TRUNC }

export const systemFiles: LogFiles = {
  makeDirectory,
  lock: lockDirectory,
  list: readdir,
  readFile: path => readFile(path),
  // One trip through the thread pool for each write that has to be on disk, where a sync of its own would be another.
  open: (path, flags, how) => open(path, how?.isDurable ? MODES[flags] | constants.O_DSYNC : flags),
  remove: rm,
  rename,
  size: async path => (await stat(path)).size,
  async syncDirectory(path) {
    const handle = await open(path, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
  newId: () => randomBytes(16).toString('hex'),
}
