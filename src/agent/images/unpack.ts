// Unpacks a layer: its archive is read, checked entry by entry (layer-entries.ts), and what is safe is written anew to a tar(1)
// in the new directory. What the archive's digest is, is known at its end. One of the few files that may touch the world.

import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { messageOf, UserError } from '../../base/errors.ts'
import { ByteReader } from './byte-reader.ts'
import { LayerEntries, type LayerLimits, type Marks, type MarkStyle } from './layer-entries.ts'
import {
  BLOCK,
  damaged,
  END_OF_ARCHIVE,
  HeaderReader,
  headerBlocks,
  padded,
  readBlock,
  type TarHeader,
} from './tar.ts'

/** Of what tar(1) says, if it fails. */
const MAX_WORDS = 500

export interface Unpacking {
  readonly tar: string
  /** Empty, and nobody else's. */
  readonly directory: string
  readonly style: MarkStyle
  readonly limits: LayerLimits
}

export interface Unpacked {
  readonly digest: string
  readonly marks: Marks
  /** Left out. */
  readonly devices: number
}

/** Rejects with a `UserError` if it could not be unpacked whole; the directory is of no use then. */
export async function unpackLayer(
  archive: Readable,
  { tar, directory, style, limits }: Unpacking,
): Promise<Unpacked> {
  const entries = new LayerEntries(style, limits)
  const hash = createHash('sha256')
  await unpack(archive, {
    child: startTar(tar, directory),
    entries,
    limits,
    seen: bytes => void hash.update(bytes),
    what: 'a layer',
  })
  const { marks, devices } = entries
  return { digest: `sha256:${hash.digest('hex')}`, marks, devices }
}

export interface Unpack {
  /** A tar(1) that unpacks what it is given. */
  readonly child: ChildProcess
  readonly entries: { take(header: TarHeader): TarHeader | undefined }
  readonly limits: LayerLimits
  readonly seen: (bytes: Buffer) => void
  readonly what: string
}

/** Gives what is safe of an archive, which may be gzipped, to tar. Rejects with a `UserError`; tar has ended in any case. */
export async function unpack(
  archive: Readable,
  { child, entries, limits, seen, what }: Unpack,
): Promise<void> {
  const said = words(child)
  const ended = once(child, 'close') as Promise<[number | null]>
  ended.catch(() => {})
  try {
    const reader = new ByteReader(await uncompressed(archive, what), seen)
    await pump(reader, entries, child.stdin!, limits)
    child.stdin!.end(END_OF_ARCHIVE)
    const [code] = await ended
    if (code !== 0) throw new Error(`tar exited with ${code}: ${said()}`)
    await reader.drain(limits.bytes)
  } catch (error) {
    child.kill('SIGKILL')
    // It writes no more.
    await ended.catch(() => {})
    if (error instanceof UserError) throw error
    const why = `${what} could not be unpacked: ${messageOf(error)}`
    throw new UserError('invalid_value', said() === '' ? why : `${why} (${said()})`, {
      cause: error,
    })
  } finally {
    archive.destroy()
  }
}

async function pump(
  reader: ByteReader,
  entries: Unpack['entries'],
  out: Writable,
  limits: LayerLimits,
): Promise<void> {
  const headers = new HeaderReader()
  // It may end before all is written; how it ended tells why.
  out.on('error', () => {})
  const write = async (bytes: Buffer): Promise<void> => {
    if (out.destroyed || out.errored) throw new Error('tar ended')
    if (out.write(bytes)) return
    await drained(out)
  }
  for (let extensions = 0; ; ) {
    const block = await reader.take(BLOCK)
    const raw = block && readBlock(block)
    if (!raw) return
    if (raw.extension) {
      if (++extensions > limits.entries) throw damaged('it has too many headers')
      const data = await reader.take(padded(raw.size))
      if (!data) throw damaged('it is cut off')
      headers.extend(raw, data.subarray(0, raw.size))
      continue
    }
    const header = headers.entry(raw)
    const kept = entries.take(header)
    if (kept) await write(headerBlocks(kept))
    const isFile = kept?.type === 'file'
    await reader.pass(padded(header.size), isFile ? write : undefined)
  }
}

/** Resolves when it takes more, or never will. */
function drained(out: Writable): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      out.off('drain', done).off('close', done)
      resolve()
    }
    out.on('drain', done).on('close', done)
  })
}

async function uncompressed(archive: Readable, what: string): Promise<AsyncIterable<Buffer>> {
  const first = await firstBytes(archive)
  if (first.length >= 2 && first[0] === 0x1f && first[1] === 0x8b) {
    const gunzip = createGunzip()
    archive.on('error', error => gunzip.destroy(error))
    archive.once('close', () => {
      if (!archive.readableEnded) gunzip.destroy()
    })
    return archive.pipe(gunzip)
  }
  // As zstd begins.
  if (first.length >= 4 && first.readUInt32LE(0) === 0xfd2fb528) {
    throw new UserError('invalid_value', `${what} is compressed with zstd, which is not read`)
  }
  return archive
}

async function firstBytes(archive: Readable): Promise<Buffer> {
  for (;;) {
    const chunk = archive.read() as Buffer | null
    if (chunk) {
      archive.unshift(chunk)
      return chunk
    }
    if (archive.readableEnded) return Buffer.alloc(0)
    if (archive.errored) throw archive.errored
    await Promise.race([once(archive, 'readable'), once(archive, 'end')])
  }
}

/**
 * Owners by number, and modes as they are. `--xattrs-include`: also those that are not a user's. Nothing of the agent's own
 * environment: TAR_OPTIONS would change what it does.
 */
function startTar(tar: string, directory: string): ChildProcess {
  const args = ['--extract', '--file=-', `--directory=${directory}`, '--numeric-owner']
  const more = ['--same-owner', '--preserve-permissions', '--xattrs', '--xattrs-include=*']
  return spawn(tar, [...args, ...more, '--warning=no-timestamp'], {
    env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
}

function words(child: ChildProcess): () => string {
  let text = ''
  child.stderr!.on('data', (chunk: Buffer) => {
    if (text.length < MAX_WORDS) text = (text + chunk.toString()).slice(0, MAX_WORDS)
  })
  return () => text.trim().replaceAll('\n', '; ')
}
