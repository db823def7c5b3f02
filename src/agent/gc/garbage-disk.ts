// What the collector of old sandboxes needs of a disk.

export interface Garbage {
  readonly path: string
  readonly endedAtMs: number
}

export interface GarbageDisk {
  /** Directories that agents before this one may have left: sandboxes, and checkpoints of agents that are no more. */
  find(): Promise<readonly Garbage[]>
  /** Part of the disk that is used, 0 to 1. */
  used(): Promise<number>
  /** A directory with all that is in it, and those above it that are empty then. Links are not followed, other mounts not entered. */
  remove(path: string): Promise<void>
}
