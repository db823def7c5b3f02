// Shows files of this machine to people: the sandboxes of tasks, a log. Only what was attached, under the name it was
// attached by, and nothing that a symbolic link would lead to outside of it: tasks write what is in their sandboxes.

import { Actor } from '../actors/actor.ts'
import { type HttpRequest, type HttpResponse, json, text } from '../actors/http.ts'
import { type Served, serve } from '../actors/protocol.ts'
import {
  BAD_ENCODING,
  type BrowseRequest,
  type BrowseResponse,
  type FileInfo,
  Files,
  MAX_READ_BYTES,
  parseEncoding,
  type ReadRequest,
  type ReadResponse,
} from '../messages/files.ts'
import { modeText } from './file-mode.ts'
import type { FileStatus, SandboxFiles } from './sandbox-files.ts'

/** A download is held in memory as a whole; what is larger has to be read in parts. */
export const MAX_DOWNLOAD_BYTES = 64 * 1024 * 1024

/** Adds and removes what is shown. Both may be called at any time; they take effect in turns of the actor. */
export interface FileAttachments {
  /** Shows the file or directory `path` as `name`; both absolute. A name that exists is turned over. */
  attach(path: string, name: string): void
  detach(name: string): void
}

type Failure = Extract<ReadResponse, { ok: false }>
interface Located {
  /** Without symbolic links. */
  readonly path: string
  /** What was attached, without symbolic links. */
  readonly top: string
  readonly status: FileStatus
}
type Found = Located & { readonly ok: true }

const failure = (code: Failure['code'], message: string): Failure => ({ ok: false, code, message })

const NO_FILE = failure('NOT_FOUND', '')
const IS_DIRECTORY = 'Cannot read a directory.\n'
const NO_PATH = "Expecting 'path=value' in query.\n"

/** The actor `files`: Mesos' /files/browse, /files/read and /files/download, and the same asked by messages. */
export class FilesActor extends Actor implements FileAttachments {
  override readonly idPrefix = 'files'
  override readonly serves: readonly Served[] = [
    serve(Files, {
      browse: request => this.#browse(request),
      read: request => this.#read(request),
    }),
  ]

  readonly #files: SandboxFiles
  readonly #attached = new Map<string, string>()

  constructor(files: SandboxFiles) {
    super()
    this.#files = files
  }

  attach(path: string, name: string): void {
    this.dispatch(() => this.#attached.set(tidy(name), path))
  }

  detach(name: string): void {
    this.dispatch(() => this.#attached.delete(tidy(name)))
  }

  protected override initialize(): void {
    this.route('/browse', 'Lists a directory: ?path=/virtual/path', r => this.#httpBrowse(r))
    this.route('/read', 'Reads a part of a file: ?path=&offset=&length=&encoding=', r =>
      this.#httpRead(r),
    )
    this.route('/download', 'The whole file: ?path=', r => this.#httpDownload(r))
    this.route('/debug', 'What is attached, by virtual path', () =>
      json(Object.fromEntries(this.#attached)),
    )
  }

  async #browse({ path }: BrowseRequest): Promise<BrowseResponse> {
    if (path === '') return failure('BAD_REQUEST', NO_PATH)
    const found = await this.#find(path)
    if (!found.ok) return found
    if (found.status.kind !== 'directory') {
      return failure('BAD_REQUEST', `'${path}' is not a directory.\n`)
    }
    const listing = await this.#guarded(this.#files.list(found.path))
    if (!listing.ok) return listing
    const base = tidy(path)
    const entries = await this.resume(
      Promise.all(
        listing.value.map(async name => {
          // Gone since, or not to be looked at: the others are still worth showing.
          const entry = await this.#within(found.top, `${found.path}/${name}`).catch(
            () => undefined,
          )
          return entry && fileInfo(`${base}/${name}`, entry.status)
        }),
      ),
    )
    return { ok: true, files: entries.filter(entry => entry !== undefined) }
  }

  async #read({ path, offset, length, encoding = 'utf8' }: ReadRequest): Promise<ReadResponse> {
    if (path === '') return failure('BAD_REQUEST', NO_PATH)
    if (offset < -1) return failure('BAD_REQUEST', `Negative offset provided: ${offset}.\n`)
    if (length !== undefined && length < -1) {
      return failure('BAD_REQUEST', `Negative length provided: ${length}.\n`)
    }
    const found = await this.#find(path)
    if (!found.ok) return found
    if (found.status.kind === 'directory') return failure('BAD_REQUEST', IS_DIRECTORY)
    const total = found.status.sizeBytes
    if (offset === -1) return { ok: true, offset: total, data: '', total }
    const wanted = length === undefined || length === -1 ? total - offset : length
    const most = Math.min(Math.max(0, wanted), Math.max(0, total - offset), MAX_READ_BYTES)
    if (most === 0) return { ok: true, offset, data: '', total }
    const bytes = await this.#guarded(this.#files.read(found.path, offset, most))
    if (!bytes.ok) return bytes
    const { buffer, byteOffset, byteLength } = bytes.value
    const data =
      encoding === 'base64'
        ? Buffer.from(buffer, byteOffset, byteLength).toString('base64')
        : new TextDecoder().decode(bytes.value)
    return { ok: true, offset, data, total }
  }

  /** The file behind a virtual path. */
  async #find(path: string): Promise<Found | Failure> {
    // No file has such a name, and the system would not say so in words for people.
    if (path.includes('\0')) return failure('BAD_REQUEST', 'A path cannot contain a NUL byte.\n')
    const name = tidy(path)
    if (name.split('/').includes('..')) return NO_FILE
    const attached = this.#attachedAbove(name)
    if (attached === undefined) return NO_FILE
    const found = await this.#guarded(this.#locate(this.#attached.get(attached)!, attached, name))
    if (!found.ok) return found
    return found.value ? { ok: true, ...found.value } : NO_FILE
  }

  async #locate(root: string, attached: string, name: string): Promise<Located | undefined> {
    const top = await this.#files.resolve(root)
    return top === undefined ? undefined : this.#within(top, root + name.slice(attached.length))
  }

  /** What is at `given`, if no symbolic link leads from there out of `top`. */
  async #within(top: string, given: string): Promise<Located | undefined> {
    const path = await this.#files.resolve(given)
    if (path === undefined || (path !== top && !path.startsWith(`${top}/`))) return undefined
    const status = await this.#files.status(path)
    return status && { path, top, status }
  }

  /** The longest attached name that is `name` or a directory above it. */
  #attachedAbove(name: string): string | undefined {
    for (let prefix = name; prefix !== ''; prefix = prefix.slice(0, prefix.lastIndexOf('/'))) {
      if (this.#attached.has(prefix)) return prefix
    }
    return undefined
  }

  /** Waits for the disk; its refusals become answers. */
  async #guarded<T>(work: Promise<T>): Promise<{ ok: true; value: T } | Failure> {
    try {
      return { ok: true, value: await this.resume(work) }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EACCES' || code === 'EPERM') return failure('FORBIDDEN', '')
      if (code === 'ENOENT' || code === 'ENOTDIR') return NO_FILE
      this.log.warn({ error }, 'a file could not be read')
      // The system's own words name the place on this machine, which is nobody's business.
      return failure('BAD_REQUEST', `Failed to read the file: ${code ?? 'unknown error'}.\n`)
    }
  }

  async #httpBrowse({ query }: HttpRequest): Promise<HttpResponse> {
    const answer = await this.#browse({ path: query.get('path') ?? '' })
    return answer.ok ? json(answer.files) : httpFailure(answer)
  }

  async #httpRead({ query }: HttpRequest): Promise<HttpResponse> {
    const offset = number(query.get('offset'), -1)
    const length = number(query.get('length'), -1)
    if (query.get('path') === null) return text(400, NO_PATH)
    if (offset === undefined) return text(400, 'Failed to parse offset: it is not an integer.\n')
    if (length === undefined) return text(400, 'Failed to parse length: it is not an integer.\n')
    const encoding = parseEncoding(query.get('encoding'))
    if (!encoding) return text(400, BAD_ENCODING)
    const answer = await this.#read({ path: query.get('path') ?? '', offset, length, encoding })
    return answer.ok ? json({ offset: answer.offset, data: answer.data }) : httpFailure(answer)
  }

  async #httpDownload({ query }: HttpRequest): Promise<HttpResponse> {
    const path = query.get('path')
    if (path === null || path === '') return text(400, NO_PATH)
    const found = await this.#find(path)
    if (!found.ok) {
      return found.code === 'NOT_FOUND' ? text(404, '404 Not Found.') : httpFailure(found)
    }
    const { status } = found
    if (status.kind === 'directory') return text(400, 'Cannot download a directory.\n')
    if (status.sizeBytes > MAX_DOWNLOAD_BYTES) {
      return text(
        413,
        `The file has ${status.sizeBytes} bytes; more than ${MAX_DOWNLOAD_BYTES} are not sent at once. Read it in parts with /files/read.\n`,
      )
    }
    const bytes = await this.#guarded(this.#files.read(found.path, 0, status.sizeBytes))
    if (!bytes.ok) return httpFailure(bytes)
    const name = tidy(path)
      .split('/')
      .at(-1)!
      .replaceAll(/[^\w.-]/g, '_')
    return {
      status: 200,
      headers: {
        'content-type': 'application/octet-stream',
        'content-disposition': `attachment; filename=${name}`,
      },
      body: bytes.value,
    }
  }
}

const STATUS_OF = { BAD_REQUEST: 400, FORBIDDEN: 403, NOT_FOUND: 404 } as const

function httpFailure({ code, message }: Failure): HttpResponse {
  return message === '' ? { status: STATUS_OF[code] } : text(STATUS_OF[code], message)
}

function number(given: string | null, absent: number): number | undefined {
  if (given === null) return absent
  return /^-?\d{1,15}$/.test(given) ? Number(given) : undefined
}

/** One leading slash, none at the end, none double. */
function tidy(path: string): string {
  return `/${path
    .split('/')
    .filter(part => part !== '' && part !== '.')
    .join('/')}`
}

function fileInfo(path: string, status: FileStatus): FileInfo {
  return {
    path,
    size: status.sizeBytes,
    nlink: status.nlink,
    mtime: status.mtimeMs / 1000,
    mode: modeText(status.mode),
    uid: status.user,
    gid: status.group,
  }
}
