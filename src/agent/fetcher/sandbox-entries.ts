// What of an archive is unpacked into a sandbox. Pure: it is told of one entry after the other, of all archives that are unpacked
// there, and says what tar(1) is to be given for it.
//
// - A name is taken below the sandbox, absolute or not; `..` in one is refused.
// - A name that goes through a link that was unpacked before is refused: it would be followed, wherever it leads. Links
//   themselves may lead anywhere; the task follows them with its own rights.
// - A hard link leads to a file that was unpacked before, by its name.
// - Devices and pipes are left out, and so are owners, and the bits by which a program becomes another user's.

import { UserError } from '../../base/errors.ts'
import type { TarHeader } from '../images/tar.ts'

export interface ArchiveLimits {
  readonly entries: number
  readonly bytes: number
}

const PERMISSIONS = 0o777
/** The agent writes there. */
const OUTPUT: readonly string[] = ['stdout', 'stderr']

/** The way in must stay open for whoever unpacks. */
const OWNERS = 0o700

export class SandboxEntries {
  readonly #limits: ArchiveLimits
  readonly #links = new Set<string>()
  #entries = 0
  #bytes = 0

  constructor(limits: ArchiveLimits) {
    this.#limits = limits
  }

  /** What is unpacked for this entry; undefined: nothing. Throws a `UserError` if it is not safe, or too much. */
  take(header: TarHeader): TarHeader | undefined {
    const { type, size } = header
    if (++this.#entries > this.#limits.entries) {
      throw refused(`has more than ${this.#limits.entries} files`)
    }
    this.count(size)
    const name = this.place(header.name)
    if (type === 'device' || type === 'fifo' || name === '') return undefined
    const mode =
      type === 'directory' ? (header.mode & PERMISSIONS) | OWNERS : header.mode & PERMISSIONS
    const plain = { ...header, name, mode, uid: 0, gid: 0, xattrs: new Map<string, Buffer>() }
    if (type === 'symlink') {
      this.#links.add(name)
      return plain
    }
    this.#links.delete(name)
    if (type !== 'link') return plain
    const linkName = this.place(header.linkName)
    if (this.#links.has(linkName)) throw refused(`has a hard link to the link '${linkName}'`)
    return { ...plain, linkName }
  }

  /** So many bytes more are unpacked. Throws a `UserError` if that is too much. */
  count(bytes: number): void {
    this.#bytes += bytes
    const { bytes: most } = this.#limits
    if (this.#bytes > most) throw refused(`takes more than ${most} bytes when it is unpacked`)
  }

  /** A path below the sandbox that goes through no link; empty: the sandbox itself. */
  place(path: string): string {
    const parts = path.split('/').filter(part => part !== '' && part !== '.')
    if (parts.includes('..')) throw refused(`has the name '${path}'`)
    let way = ''
    for (const part of parts.slice(0, -1)) {
      way = way === '' ? part : `${way}/${part}`
      if (this.#links.has(way)) throw refused(`has the name '${path}', which goes through a link`)
    }
    const name = parts.join('/')
    if (OUTPUT.includes(name)) throw refused(`has the name '${path}', where the task's output goes`)
    return name
  }
}

const refused = (why: string): UserError => new UserError('invalid_value', `the archive ${why}`)
