// The headers of tar archives: ustar, the long names of GNU, and PAX. They are read from images, and written anew for the
// tar(1) that unpacks: it is never shown a header that was not understood here.
//
// Names are bytes, kept in strings one character a byte (latin1): they need not be UTF-8.

import { UserError } from '../../base/errors.ts'

export const BLOCK = 512
/** The longest path that Linux takes. */
const MAX_PATH = 4096
/** Of one long name or PAX header. */
export const MAX_EXTENSION = 2 ** 20

export type EntryType = 'file' | 'link' | 'symlink' | 'device' | 'directory' | 'fifo'

export interface TarHeader {
  readonly name: string
  readonly type: EntryType
  readonly linkName: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Of the data that follows. */
  readonly size: number
  readonly mtime: number
  readonly xattrs: ReadonlyMap<string, Buffer>
}

const TYPES: Readonly<Record<string, EntryType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'fifo',
}

const XATTR = 'SCHILY.xattr.'
const CODE_OF: Readonly<Record<EntryType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  device: '3',
  directory: '5',
  fifo: '6',
}

export const damaged = (why: string): UserError =>
  new UserError('invalid_value', `the archive is damaged: ${why}`)

/** What a header says by itself. `extension`: what follows are not a file's data, but more about the next header. */
export interface RawHeader {
  readonly code: string
  readonly size: number
  readonly extension: boolean
  readonly block: Buffer
}

/** Undefined: the archive ends here. */
export function readBlock(block: Buffer): RawHeader | undefined {
  if (block.every(byte => byte === 0)) return undefined
  let sum = 0
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : block[i]!
  if (sum !== numberAt(block, 148, 8)) throw damaged('a header has the wrong checksum')
  const code = block.toString('latin1', 156, 157)
  const extension = 'LKxg'.includes(code)
  if (!extension && !(code in TYPES)) throw damaged(`an entry is of the unknown type '${code}'`)
  const size = numberAt(block, 124, 12)
  if (extension && size > MAX_EXTENSION) throw damaged('a header is too long')
  return { code, size, extension, block }
}

/** Collects what extensions say of the entry after them. */
export class HeaderReader {
  #name: string | undefined
  #linkName: string | undefined
  #pax = new Map<string, Buffer>()

  extend({ code }: RawHeader, data: Buffer): void {
    if (code === 'L') this.#name = untilNul(data)
    else if (code === 'K') this.#linkName = untilNul(data)
    // Those of the whole archive ('g') say nothing that is needed.
    else if (code === 'x') this.#pax = new Map([...this.#pax, ...paxRecords(data)])
  }

  entry({ code, size, block }: RawHeader): TarHeader {
    const pax = this.#pax
    const text = (key: string): string | undefined => pax.get(key)?.toString('latin1')
    const number = (key: string, at: number, length: number): number =>
      pax.has(key) ? Math.floor(decimal(text(key)!)) : numberAt(block, at, length)
    if ([...pax.keys()].some(key => key.startsWith('GNU.sparse.'))) {
      throw damaged('it has sparse files, which are not read')
    }
    const name = text('path') ?? this.#name ?? ownName(block)
    // So archives said it before there was a type for it.
    const type = code !== '5' && name.endsWith('/') ? 'directory' : TYPES[code]!
    const header: TarHeader = {
      name,
      linkName: text('linkpath') ?? this.#linkName ?? untilNul(block.subarray(157, 257)),
      type,
      mode: numberAt(block, 100, 8) & 0o7777,
      uid: number('uid', 108, 8),
      gid: number('gid', 116, 8),
      size: pax.has('size') ? decimal(text('size')!) : size,
      mtime: number('mtime', 136, 12),
      xattrs: new Map(
        [...pax]
          .filter(([key]) => key.startsWith(XATTR))
          .map(([key, value]) => [key.slice(XATTR.length), value]),
      ),
    }
    this.#name = undefined
    this.#linkName = undefined
    this.#pax = new Map()
    if (header.name.length > MAX_PATH || header.linkName.length > MAX_PATH) {
      throw damaged('a name is too long')
    }
    if (header.name.includes('\0') || header.linkName.includes('\0')) {
      throw damaged('a name contains NUL')
    }
    if (!Number.isSafeInteger(header.size) || header.size < 0) throw damaged('a size is none')
    // Some archives give links the size of what they lead to; no data follows.
    return type === 'file' ? header : { ...header, size: 0 }
  }
}

/** How many bytes of data follow in the archive, with the padding. */
export const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK

function ownName(block: Buffer): string {
  const name = untilNul(block.subarray(0, 100))
  const isUstar = block.toString('latin1', 257, 263) === 'ustar\0'
  const prefix = isUstar ? untilNul(block.subarray(345, 500)) : ''
  return prefix === '' ? name : `${prefix}/${name}`
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('latin1', 0, end === -1 ? bytes.length : end)
}

/** Octal, or with its first bit set a binary number. */
function numberAt(block: Buffer, at: number, length: number): number {
  if (block[at] === 0x80) {
    let value = 0
    for (let i = at + 1; i < at + length; i++) value = value * 256 + block[i]!
    return value
  }
  const text = untilNul(block.subarray(at, at + length)).trim()
  if (text === '') return 0
  if (!/^[0-7]+$/.test(text)) throw damaged('a number in a header is none')
  return Number.parseInt(text, 8)
}

function decimal(text: string): number {
  if (!/^-?\d{1,16}(\.\d*)?$/.test(text)) throw damaged('a number in a header is none')
  return Math.max(0, Number(text))
}

function paxRecords(data: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>()
  for (let at = 0; at < data.length; ) {
    const blank = data.indexOf(0x20, at)
    const length = blank === -1 ? Number.NaN : decimal(data.toString('latin1', at, blank))
    const end = at + length
    const equals = data.indexOf(0x3d, blank)
    if (!(length > 0) || end > data.length || equals === -1 || equals >= end) {
      throw damaged('a PAX header is none')
    }
    records.set(data.toString('latin1', blank + 1, equals), data.subarray(equals + 1, end - 1))
    at = end
  }
  return records
}

/** The blocks before an entry's data. A device has the numbers 0:0, which is how overlayfs marks what was removed. */
export function headerBlocks(header: TarHeader): Buffer {
  const { name, linkName, xattrs } = header
  const blocks: Buffer[] = []
  if (xattrs.size > 0) {
    const records = [...xattrs].map(([key, value]) => paxRecord(`${XATTR}${key}`, value))
    blocks.push(...extension('x', Buffer.concat(records)))
  }
  if (name.length > 100) blocks.push(...extension('L', Buffer.from(`${name}\0`, 'latin1')))
  if (linkName.length > 100) blocks.push(...extension('K', Buffer.from(`${linkName}\0`, 'latin1')))
  blocks.push(block(header, CODE_OF[header.type]))
  return Buffer.concat(blocks)
}

/** Two blocks of nothing. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK)

function extension(code: 'x' | 'L' | 'K', data: Buffer): Buffer[] {
  const header = { name: '././@LongLink', linkName: '', mode: 0o644, uid: 0, gid: 0, mtime: 0 }
  const padding = Buffer.alloc(padded(data.length) - data.length)
  return [block({ ...header, size: data.length }, code), data, padding]
}

function block(header: Omit<TarHeader, 'type' | 'xattrs'>, code: string): Buffer {
  const out = Buffer.alloc(BLOCK)
  out.write(header.name.slice(0, 100), 0, 'latin1')
  putNumber(out, header.mode, 100, 8)
  putNumber(out, header.uid, 108, 8)
  putNumber(out, header.gid, 116, 8)
  putNumber(out, header.size, 124, 12)
  putNumber(out, header.mtime, 136, 12)
  out.write(code, 156, 'latin1')
  out.write(header.linkName.slice(0, 100), 157, 'latin1')
  out.write('ustar  \0', 257, 'latin1')
  putNumber(out, 0, 329, 8)
  putNumber(out, 0, 337, 8)
  out.fill(0x20, 148, 156)
  const sum = out.reduce((total, byte) => total + byte, 0)
  out.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return out
}

function putNumber(out: Buffer, value: number, at: number, length: number): void {
  const octal = value.toString(8)
  if (octal.length < length) {
    out.write(`${octal.padStart(length - 1, '0')}\0`, at, 'latin1')
    return
  }
  let rest = BigInt(value)
  for (let i = at + length - 1; i > at; i--) {
    out[i] = Number(rest & 0xffn)
    rest >>= 8n
  }
  out[at] = 0x80
}

/** Its own length is counted. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = key.length + value.length + 3
  let length = rest + String(rest).length
  length = rest + String(length).length
  return Buffer.concat([Buffer.from(`${length} ${key}=`, 'latin1'), value, Buffer.from('\n')])
}
