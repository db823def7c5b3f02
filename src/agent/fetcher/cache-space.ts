// Which files of the cache stay and which go. Pure: it counts bytes; who uses it has the files.

/** The least recently used goes first; what is in use stays. */
export class CacheSpace {
  readonly totalBytes: number
  /** Bytes by key; the least recently used first. */
  readonly #entries = new Map<string, number>()
  #used = 0

  constructor(totalBytes: number) {
    this.totalBytes = totalBytes
  }

  get usedBytes(): number {
    return this.#used
  }

  /** It is used now. */
  touch(key: string): void {
    const bytes = this.#entries.get(key)
    if (bytes === undefined) return
    this.#entries.delete(key)
    this.#entries.set(key, bytes)
  }

  /**
   * Makes room for a file. The keys of those that have to go for it, which are not there any more then; undefined, and nothing
   * changed, if there cannot be so much room.
   */
  admit(
    key: string,
    bytes: number,
    isInUse: (key: string) => boolean,
  ): readonly string[] | undefined {
    let used = this.#used + bytes
    const gone: string[] = []
    for (const [other, size] of this.#entries) {
      if (used <= this.totalBytes) break
      if (isInUse(other)) continue
      used -= size
      gone.push(other)
    }
    if (used > this.totalBytes) return undefined
    for (const other of gone) this.#entries.delete(other)
    this.#entries.set(key, bytes)
    this.#used = used
    return gone
  }
}
