// The archives and directories that images come in, read where they are: nothing is unpacked to look into it. One of the few
// files that may touch the world.

import { constants } from 'node:fs'
import { type FileHandle, open, realpath, stat } from 'node:fs/promises'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { UserError } from '../../base/errors.ts'
import { type ImageFiles, readManifest } from './manifest.ts'
import { type Reference, referenceText } from './reference.ts'
import type { Registry } from './source.ts'
import { BLOCK, damaged, HeaderReader, padded, readBlock } from './tar.ts'

/** An image has a few files for each layer. */
const MAX_FILES = 10_000
/** Layers are links in archives of some versions of docker(1). */
const MAX_LINKS = 3
const CHUNK = 2 ** 16

interface OpenFiles extends ImageFiles {
  /** The bytes of a file; undefined: there is none. */
  stream(name: string): Promise<Readable | undefined>
  close(): Promise<void>
}

/** A directory of images, as a registry. */
export const directoryRegistry = (directory: string): Registry => ({
  name: directory,
  find: async reference => {
    const files = await findImage(directory, reference)
    return (
      files && {
        manifest: architecture => readManifest(files, reference, architecture),
        stream: file => files.stream(file),
        close: () => files.close(),
      }
    )
  },
})

/**
 * What a directory has of an image: `<name>:<tag>.tar`, or a directory `<name>:<tag>` in OCI's layout; undefined if there is
 * nothing. The reference has been checked: it leads nowhere else. Links in the directory are the operator's.
 */
export async function findImage(
  registry: string,
  reference: Reference,
): Promise<OpenFiles | undefined> {
  const path = `${registry}/${referenceText(reference)}`
  for (const each of [`${path}.tar`, path]) {
    const found = await stat(each).catch(() => undefined)
    if (found?.isFile()) return openArchive(each)
    if (found?.isDirectory() && each === path) {
      const layout = await stat(`${each}/oci-layout`).catch(() => undefined)
      if (layout?.isFile()) return new LayoutDirectory(await realpath(each))
    }
  }
  return undefined
}

/** A layout is the operator's, but its files are named by what is in it: a name may not lead outside. */
class LayoutDirectory implements OpenFiles {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  async read(name: string, maxBytes: number): Promise<Buffer | undefined> {
    const file = await this.#open(name)
    if (!file) return undefined
    try {
      const { size } = await file.stat()
      if (size > maxBytes) throw tooLarge(name, maxBytes)
      return await readAt(file, 0, size)
    } finally {
      await file.close()
    }
  }

  async stream(name: string): Promise<Readable | undefined> {
    const file = await this.#open(name)
    if (!file) return undefined
    const stream = streamOf(file, 0, (await file.stat()).size)
    stream.once('close', () => void file.close().catch(() => {}))
    return stream
  }

  async #open(name: string): Promise<FileHandle | undefined> {
    if (posix.normalize(`/${name}`) !== `/${name}`) return undefined
    const path = await realpath(`${this.#directory}/${name}`).catch(() => undefined)
    if (!path?.startsWith(`${this.#directory}/`)) return undefined
    // Not waited for, should it be a pipe.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    if ((await file.stat()).isFile()) return file
    await file.close()
    return undefined
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

interface Stored {
  readonly offset: number
  readonly size: number
  readonly link: string | undefined
}

async function openArchive(path: string): Promise<OpenFiles> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return new Archive(file, await indexOf(file))
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Where everything is in an archive. Data is jumped over. */
async function indexOf(file: FileHandle): Promise<Map<string, Stored>> {
  const files = new Map<string, Stored>()
  const reader = new HeaderReader()
  const { size: end } = await file.stat()
  for (let at = 0; at + BLOCK <= end; ) {
    const raw = readBlock(await readAt(file, at, BLOCK))
    if (!raw) break
    at += BLOCK
    if (raw.extension) {
      reader.extend(raw, await readAt(file, at, raw.size))
      at += padded(raw.size)
      continue
    }
    const header = reader.entry(raw)
    const isLink = header.type === 'symlink' || header.type === 'link'
    if (header.type === 'file' || isLink) {
      const name = posix.normalize(header.name)
      const target = isLink ? header.linkName : undefined
      const link =
        target !== undefined && header.type === 'symlink'
          ? posix.join(posix.dirname(name), target)
          : target && posix.normalize(target)
      files.set(name, { offset: at, size: header.size, link })
      if (files.size > MAX_FILES) throw damaged(`it has more than ${MAX_FILES} files`)
    }
    at += padded(header.size)
    if (at > end) throw damaged('it is cut off')
  }
  return files
}

class Archive implements OpenFiles {
  readonly #file: FileHandle
  readonly #files: ReadonlyMap<string, Stored>

  constructor(file: FileHandle, files: ReadonlyMap<string, Stored>) {
    this.#file = file
    this.#files = files
  }

  async read(name: string, maxBytes: number): Promise<Buffer | undefined> {
    const stored = this.#stored(name)
    if (!stored) return undefined
    if (stored.size > maxBytes) throw tooLarge(name, maxBytes)
    return readAt(this.#file, stored.offset, stored.size)
  }

  async stream(name: string): Promise<Readable | undefined> {
    const stored = this.#stored(name)
    if (!stored) return undefined
    const { offset: start, size } = stored
    if (size === 0) throw damaged(`'${name}' is empty`)
    return streamOf(this.#file, start, size)
  }

  #stored(name: string): Stored | undefined {
    let found = this.#files.get(posix.normalize(name))
    for (let i = 0; found?.link !== undefined && i < MAX_LINKS; i++) {
      found = this.#files.get(found.link)
    }
    return found?.link === undefined ? found : undefined
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

/** Does not close the file: it is one of many in it. */
function streamOf(file: FileHandle, start: number, size: number): Readable {
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let done = 0; done < size; done += CHUNK) {
      yield await readAt(file, start + done, Math.min(CHUNK, size - done))
    }
  }
  return Readable.from(chunks(), { objectMode: false, highWaterMark: CHUNK })
}

async function readAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, at + done)
    if (bytesRead === 0) throw damaged('it is cut off')
    done += bytesRead
  }
  return bytes
}

const tooLarge = (name: string, maxBytes: number): UserError =>
  new UserError('too_large', `the image's '${name.slice(0, 200)}' is larger than ${maxBytes} bytes`)
