// A file of output that never becomes larger than it may. Run by the log writer. One of the few files that may touch the world.
//
// The directory belongs to a task, which may put there what it likes at any moment, and whoever writes here may be root. So the
// directory is opened once, when it is the agent's own choice still, and names are only looked up in it (`/proc/self/fd/N/…`).
// Files are either made new (O_EXCL, which follows no link), or were found not to be anybody else's: a plain file with one
// name. A rename moves what has the name, whatever it is, and follows nothing. Where a task keeps even that from working (by a
// directory in the way) its file is cut instead: the bound holds, and what it has lost is its own doing.

import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { OUTPUT_FLAGS, OUTPUT_MODE } from '../output-files.ts'
import type { Rotation } from './rotation.ts'

/** A FIFO in its place, without a reader, must not stop us. */
const FLAGS = OUTPUT_FLAGS | constants.O_NONBLOCK
const NEWLINE = 0x0a
/** Somebody may put something there just before we do. */
const MAX_TRIES = 3

export interface RotatingFileOptions {
  /** The open directory, and its file's name in it. */
  readonly directory: number
  readonly name: string
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
  readonly rotation: Rotation
  /** Called once for each kind of trouble. */
  readonly warn: (why: string) => void
}

export class RotatingFile {
  readonly #o: RotatingFileOptions
  #file: number | undefined
  #sizeBytes = 0
  readonly #warned = new Set<string>()

  constructor(options: RotatingFileOptions) {
    this.#o = options
    this.#attempt('opened', () => this.#open())
  }

  /** What cannot be written is lost, as it is to a program that writes to a full disk; nobody waits for the disk. */
  write(bytes: Uint8Array): void {
    let rest = bytes
    while (rest.length > 0) {
      if (this.#file === undefined && !this.#attempt('opened', () => this.#open())) return
      const roomBytes = this.#o.rotation.maxBytes - this.#sizeBytes
      const part = rest.subarray(0, this.#cut(rest, roomBytes))
      if (part.length > 0 && !this.#attempt('written', () => this.#append(part))) return
      rest = rest.subarray(part.length)
      if (rest.length > 0 && !this.#rotate()) return
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  /** How much of it goes into the room that there is: whole lines, if that is possible. */
  #cut(bytes: Uint8Array, roomBytes: number): number {
    if (bytes.length <= roomBytes) return bytes.length
    if (roomBytes <= 0) return 0
    const line = bytes.lastIndexOf(NEWLINE, roomBytes - 1) + 1
    // A line that is no longer than a file goes into the next one. What is longer is cut anyway.
    const isLong = bytes.indexOf(NEWLINE) === -1 && bytes.length > this.#o.rotation.maxBytes
    if (line > 0) return line
    return this.#sizeBytes === 0 || isLong ? roomBytes : 0
  }

  #append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const written = writeSync(this.#file!, bytes, done)
      done += written
      this.#sizeBytes += written
    }
  }

  /** Whether there is room now. */
  #rotate(): boolean {
    const { keep } = this.#o.rotation
    if (keep > 0 && this.#attempt('rotated', () => this.#shift(keep))) {
      this.close()
      return this.#attempt('made', () => this.#make())
    }
    return this.#attempt('cut', () => {
      ftruncateSync(this.#file!, 0)
      this.#sizeBytes = 0
    })
  }

  #shift(keep: number): void {
    const { name } = this.#o
    for (let n = keep - 1; n >= 0; n--) {
      const from = n === 0 ? name : `${name}.${n}`
      try {
        renameSync(this.#path(from), this.#path(`${name}.${n + 1}`))
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw error
      }
    }
  }

  #open(): void {
    try {
      const file = openSync(this.#path(this.#o.name), FLAGS & ~constants.O_CREAT)
      const stat = fstatSync(file)
      if (stat.isFile() && stat.nlink === 1) {
        this.#file = file
        this.#sizeBytes = stat.size
        return
      }
      closeSync(file)
    } catch {
      // It is not there, or is something else.
    }
    this.#make()
  }

  #make(): void {
    const { name, owner } = this.#o
    const path = this.#path(name)
    for (let tries = 1; ; tries++) {
      try {
        const file = openSync(path, FLAGS | constants.O_EXCL, OUTPUT_MODE)
        if (owner) fchownSync(file, owner.uid, owner.gid)
        this.#file = file
        this.#sizeBytes = 0
        return
      } catch (error) {
        if (codeOf(error) !== 'EEXIST' || tries === MAX_TRIES) throw error
        unlinkSync(path)
      }
    }
  }

  #path(name: string): string {
    return `/proc/self/fd/${this.#o.directory}/${name}`
  }

  #attempt(what: string, act: () => void): boolean {
    try {
      act()
      return true
    } catch (error) {
      const why = `'${this.#o.name}' could not be ${what}: ${codeOf(error)}`
      if (!this.#warned.has(why)) this.#o.warn(why)
      this.#warned.add(why)
      return false
    }
  }
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error)
