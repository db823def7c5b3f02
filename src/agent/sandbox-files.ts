// What an agent does with files: sandboxes are made, and looked at from outside. Real in file-system.ts, in memory in
// the simulator. Paths are absolute.

export type FileKind = 'file' | 'directory' | 'other'

/** As stat(2) says it, of the file itself for a symbolic link that leads nowhere. */
export interface FileStatus {
  readonly kind: FileKind
  readonly sizeBytes: number
  /** `st_mode`: type and permission bits. */
  readonly mode: number
  readonly nlink: number
  readonly mtimeMs: number
  /** Names, or numbers as text where the machine knows no name. */
  readonly user: string
  readonly group: string
}

/** Where nothing is said, a method rejects with the system's error (`code` is `EACCES`, `ENOSPC` …). */
export interface SandboxFiles {
  /** Makes a directory and those above it; exactly `mode` for the last one. Fine if it exists. */
  makeDirectory(path: string, mode: number): Promise<void>
  /** Makes the symbolic link `path`, or turns it over to `target` in one step. */
  linkLatest(path: string, target: string): Promise<void>
  /** The path without symbolic links; undefined if there is nothing. */
  resolve(path: string): Promise<string | undefined>
  /** Undefined if there is nothing. */
  status(path: string): Promise<FileStatus | undefined>
  /** Names in a directory, sorted. */
  list(path: string): Promise<string[]>
  /**
   * Up to `length` bytes from `offset`; less at the end of the file. `path` is as `resolve` gives it; rejects with `ENOENT` if a
   * link has come into its way.
   */
  read(path: string, offset: number, length: number): Promise<Uint8Array>
}
