// What of a layer's archive is unpacked, and where: the rules that keep an image inside of its directory. Pure: it is told of
// one entry after the other and says what tar(1) is to be given for it.
//
// - A name is taken below the layer's own directory, absolute or not; `..` in one is refused.
// - A name that goes through a link of the same layer is refused: tar would follow it, wherever it leads. Links themselves may
//   lead anywhere. They are followed only by those who have the image as their root.
// - A hard link leads to a file of the same layer, by a name of which the same is true.
// - Devices are left out: a container has those of its /dev, and whatever else it is to have is not an image's to say.
// - Marks of what a layer removes are told apart from files: `.wh.NAME`, and `.wh..wh..opq` for all there was in a directory.

import { UserError } from '../../base/errors.ts'
import type { TarHeader } from './tar.ts'

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'
/** Other marks of aufs, which mean nothing to anybody else. */
const OF_AUFS = '.wh..wh.'

const OPAQUE_XATTR = 'trusted.overlay.opaque'
/** What programs may be given by their files. Others are the machine's: `trusted.overlay.` tells overlayfs what to show. */
const XATTRS = /^(user\.|security\.capability$)/

const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map()

export interface LayerLimits {
  readonly entries: number
  readonly bytes: number
}

/** Which way a layer says that something is not there any more. */
export type MarkStyle = 'overlay' | 'list'

/** Paths (one character a byte) that are removed of what lies below, and directories of which all is. */
export interface Marks {
  readonly whiteouts: readonly string[]
  readonly opaques: readonly string[]
}

export class LayerEntries {
  readonly #style: MarkStyle
  readonly #limits: LayerLimits
  /** Everything that is no directory and could be gone through. */
  readonly #links = new Set<string>()
  readonly #directories = new Map<string, TarHeader>()
  readonly #whiteouts: string[] = []
  readonly #opaques: string[] = []
  #entries = 0
  #bytes = 0
  devices = 0

  constructor(style: MarkStyle, limits: LayerLimits) {
    this.#style = style
    this.#limits = limits
  }

  /** For a layer that is kept with lists of its marks. */
  get marks(): Marks {
    return { whiteouts: this.#whiteouts, opaques: this.#opaques }
  }

  /** What is unpacked for this entry; undefined: nothing, and its data is passed over. Throws if it is not safe. */
  take(header: TarHeader): TarHeader | undefined {
    this.#count(header)
    const path = inside(header.name)
    if (path === '') return header.type === 'directory' ? this.#directory('', header) : undefined
    const parts = path.split('/')
    const last = parts.at(-1)!
    if (parts.slice(0, -1).some(part => part.startsWith(WHITEOUT))) return undefined
    this.#checkWay(parts.slice(0, -1), header.name)
    if (last === OPAQUE) return this.#opaque(parts.slice(0, -1).join('/'))
    if (last.startsWith(OF_AUFS)) return undefined
    if (last.startsWith(WHITEOUT)) return this.#whiteout(parts, last.slice(WHITEOUT.length))
    return this.#entry(path, header)
  }

  #count({ size }: TarHeader): void {
    this.#entries++
    this.#bytes += size
    if (this.#entries > this.#limits.entries) throw tooLarge('files', this.#limits.entries)
    if (this.#bytes > this.#limits.bytes) throw tooLarge('bytes', this.#limits.bytes)
  }

  #checkWay(parents: readonly string[], name: string): void {
    let way = ''
    for (const part of parents) {
      way = way === '' ? part : `${way}/${part}`
      if (this.#links.has(way)) throw unsafe(name, `goes through the link '${way}'`)
    }
  }

  #entry(path: string, header: TarHeader): TarHeader | undefined {
    const kept = { ...header, name: path, xattrs: allowed(header.xattrs) }
    if (header.type === 'device') {
      this.devices++
      return undefined
    }
    if (header.type === 'directory') return this.#directory(path, kept)
    this.#directories.delete(path)
    this.#links.delete(path)
    if (header.type === 'symlink') {
      if (header.linkName === '') throw unsafe(header.name, 'is a link to nothing')
      this.#links.add(path)
    }
    if (header.type !== 'link') return kept
    const target = inside(header.linkName)
    if (target === '') throw unsafe(header.name, 'is a hard link to the root')
    this.#checkWay(target.split('/').slice(0, -1), header.linkName)
    // A second name of a link is a link.
    if (this.#links.has(target)) this.#links.add(path)
    return { ...kept, linkName: target }
  }

  #directory(path: string, header: TarHeader): TarHeader {
    const was = this.#directories.get(path)
    const isOpaque = was?.xattrs.has(OPAQUE_XATTR) ?? false
    const xattrs = allowed(header.xattrs)
    if (isOpaque) xattrs.set(OPAQUE_XATTR, Buffer.from('y'))
    const directory: TarHeader = { ...header, name: path === '' ? './' : `${path}/`, xattrs }
    this.#links.delete(path)
    this.#directories.set(path, directory)
    return directory
  }

  #opaque(path: string): TarHeader | undefined {
    if (this.#style === 'list') {
      this.#opaques.push(path)
      return undefined
    }
    const known = this.#directories.get(path) ?? plain(path === '' ? './' : `${path}/`, 'directory')
    const xattrs = new Map([...known.xattrs, [OPAQUE_XATTR, Buffer.from('y')]])
    this.#directories.set(path, { ...known, xattrs })
    // Told again, with what it is now.
    return { ...known, xattrs }
  }

  #whiteout(parts: readonly string[], name: string): TarHeader | undefined {
    if (name === '' || name === '.' || name === '..')
      throw unsafe(parts.join('/'), 'removes nothing')
    const path = [...parts.slice(0, -1), name].join('/')
    if (this.#style === 'overlay') {
      this.#links.delete(path)
      return plain(path, 'device')
    }
    this.#whiteouts.push(path)
    return undefined
  }
}

function plain(name: string, type: 'directory' | 'device'): TarHeader {
  const mode = type === 'directory' ? 0o755 : 0
  return { name, type, mode, linkName: '', uid: 0, gid: 0, size: 0, mtime: 0, xattrs: NO_XATTRS }
}

/** Relative, without `.` and empty parts. */
function inside(name: string): string {
  const parts = name.split('/').filter(part => part !== '' && part !== '.')
  if (parts.includes('..')) throw unsafe(name, "contains '..'")
  return parts.join('/')
}

const allowed = (xattrs: ReadonlyMap<string, Buffer>): Map<string, Buffer> =>
  new Map([...xattrs].filter(([name]) => XATTRS.test(name)))

const unsafe = (name: string, why: string): UserError =>
  new UserError(
    'invalid_value',
    `the image is not safe to unpack: '${Buffer.from(name, 'latin1').toString().slice(0, 200)}' ${why}`,
  )

const tooLarge = (what: string, limit: number): UserError =>
  new UserError('too_large', `a layer of the image has more than ${limit} ${what}`)
