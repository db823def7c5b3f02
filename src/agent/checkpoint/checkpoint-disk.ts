// What checkpoints are written to. Real in system-disk.ts, in memory in the simulator. Paths are absolute.

export interface CheckpointDisk {
  /**
   * Makes or replaces a file in one step, and the directories above it: there is the old text or the new one. `durable`: after a loss
   * of power, too.
   */
  write(path: string, text: string, options?: { readonly durable?: boolean }): Promise<void>
  /** Writes at a position of a file, which is made if need be in a directory that there is; what was behind goes first, if `cut`. */
  writeAt(path: string, at: number, text: string, cut: boolean): Promise<void>
  /** Undefined if there is none. */
  read(path: string): Promise<string | undefined>
  /** Names in a directory; none if there is no directory. */
  list(path: string): Promise<readonly string[]>
  /** A file, or a directory with all that is in it, in one step: nobody finds half of it. Fine if there is none. */
  remove(path: string): Promise<void>
  /** Makes the symbolic link `path`, or turns it over to `target` in one step. */
  link(path: string, target: string): Promise<void>
  /** What a symbolic link says; undefined if there is none. */
  readLink(path: string): Promise<string | undefined>
}
