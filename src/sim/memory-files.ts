// A disk in memory for sandboxes of simulated agents. The part that is simulated is the part that agents use.

import type { Clock } from '../actors/clock.ts'
import type { FileStatus, SandboxFiles } from '../agent/sandbox-files.ts'

type Node =
  | { readonly kind: 'directory'; readonly mode: number; mtimeMs: number }
  | { readonly kind: 'file'; readonly mode: number; mtimeMs: number; bytes: Uint8Array }
  | { readonly kind: 'link'; readonly target: string }

const DIRECTORY_TYPE = 0o040000
const FILE_TYPE = 0o100000
const MAX_LINKS = 40

/** Every method answers in the same turn of the world; nothing fails unless `fail` was set. */
export class MemoryFiles implements SandboxFiles {
  readonly #clock: Pick<Clock, 'now'>
  readonly #nodes = new Map<string, Node>()
  /** When set, every method rejects with it: a disk that is full or broken. */
  failure: Error | undefined

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** All paths, sorted; for tests. */
  get paths(): string[] {
    return [...this.#nodes.keys()].sort()
  }

  /** Appends to a file, which is made if need be. Synchronous, for simulated programs' output. */
  append(path: string, text: string): void {
    const real = this.#real(path) ?? path
    const node = this.#nodes.get(real)
    const more = new TextEncoder().encode(text)
    const old = node?.kind === 'file' ? node.bytes : new Uint8Array()
    const bytes = new Uint8Array(old.length + more.length)
    bytes.set(old)
    bytes.set(more, old.length)
    this.#nodes.set(real, { kind: 'file', mode: 0o644, mtimeMs: this.#clock.now(), bytes })
  }

  /** A file's whole text; for tests. */
  text(path: string): string | undefined {
    const real = this.#real(path)
    const node = real === undefined ? undefined : this.#nodes.get(real)
    return node?.kind === 'file' ? new TextDecoder().decode(node.bytes) : undefined
  }

  async makeDirectory(path: string, mode: number): Promise<void> {
    this.#check()
    const parts = path.split('/').filter(part => part !== '')
    for (let i = 1; i <= parts.length; i++) {
      const at = `/${parts.slice(0, i).join('/')}`
      if (this.#nodes.has(at)) continue
      const own = i === parts.length ? mode : 0o755
      this.#nodes.set(at, { kind: 'directory', mode: own, mtimeMs: this.#clock.now() })
    }
  }

  async linkLatest(path: string, target: string): Promise<void> {
    this.#check()
    this.#nodes.set(path, { kind: 'link', target })
  }

  async resolve(path: string): Promise<string | undefined> {
    this.#check()
    return this.#real(path)
  }

  async status(path: string): Promise<FileStatus | undefined> {
    this.#check()
    const real = this.#real(path)
    const node = real === undefined ? undefined : this.#nodes.get(real)
    if (!node || node.kind === 'link') return undefined
    return {
      kind: node.kind,
      sizeBytes: node.kind === 'file' ? node.bytes.length : 4096,
      mode: node.mode | (node.kind === 'file' ? FILE_TYPE : DIRECTORY_TYPE),
      nlink: 1,
      mtimeMs: node.mtimeMs,
      user: 'root',
      group: 'root',
    }
  }

  async list(path: string): Promise<string[]> {
    this.#check()
    const prefix = `${this.#real(path) ?? path}/`
    return this.paths
      .filter(p => p.startsWith(prefix) && !p.slice(prefix.length).includes('/'))
      .map(p => p.slice(prefix.length))
  }

  async read(path: string, offset: number, length: number): Promise<Uint8Array> {
    this.#check()
    const real = this.#real(path)
    const node = real === undefined ? undefined : this.#nodes.get(real)
    if (node?.kind !== 'file') throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
    return node.bytes.slice(offset, offset + length)
  }

  #check(): void {
    if (this.failure) throw this.failure
  }

  #real(path: string): string | undefined {
    let real = ''
    const rest = path.split('/').filter(part => part !== '')
    for (let links = 0; rest.length > 0; ) {
      const part = rest.shift()!
      if (part === '.') continue
      if (part === '..') {
        real = real.slice(0, Math.max(0, real.lastIndexOf('/')))
        continue
      }
      const node = this.#nodes.get(`${real}/${part}`)
      if (!node) return undefined
      if (node.kind !== 'link') {
        real = `${real}/${part}`
        continue
      }
      if (++links > MAX_LINKS) return undefined
      if (node.target.startsWith('/')) real = ''
      rest.unshift(...node.target.split('/').filter(p => p !== ''))
    }
    return real === '' ? '/' : real
  }
}
