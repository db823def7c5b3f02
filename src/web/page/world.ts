// What the page's logic needs of the browser, so that its tests need neither a browser nor real
// time.

export interface Timer {
  cancel(): void
}

/**
 * The status of an answer that leads elsewhere. It is not followed: another origin would not let the page see what it says.
 */
export const REDIRECTED = 0

/** An answer of the master, whatever its status. */
export interface Reply {
  readonly status: number
  readonly etag: string | undefined
  /** The master's clock when it answered (whole seconds), if it said so. */
  readonly serverTimeMs: number | undefined
  json(): Promise<unknown>
  text(): Promise<string>
}

export interface World {
  /** Milliseconds since the epoch by this machine's clock. */
  now(): number
  delay(ms: number, fn: () => void): Timer
  /** Asks the master; rejects only when no answer comes. `path` is relative to the page. */
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Reply>
}

/**
 * 1, 2, 4, 8, then 16 s between tries: soon at first, and no burden on a master that has trouble.
 */
export function backoffMs(failures: number): number {
  return 1000 * 2 ** Math.min(Math.max(failures - 1, 0), 4)
}
