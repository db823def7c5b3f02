// A view of the state that many ask for and that takes long to build where the cluster is large. The master has other
// things to do: it spends a tenth of its time on it at most, and who asks meanwhile sees what was true a moment ago.

/** So many times as long as the last building took, its result is good enough. */
const REST = 9
/** What takes no longer is always built anew: nobody should miss what he has just done himself. In milliseconds. */
const QUICK_MS = 20

export class Rebuilt<T> {
  readonly #nowMs: () => number
  #last:
    | {
        readonly version: number
        readonly value: T
        readonly builtAtMs: number
        readonly tookMs: number
      }
    | undefined

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** What `build` made of `version`, or of one that is a little older. */
  get(version: number, build: () => T): T {
    const last = this.#last
    const startMs = this.#nowMs()
    if (last?.version === version) return last.value
    if (last && last.tookMs > QUICK_MS && startMs - last.builtAtMs < last.tookMs * REST) {
      return last.value
    }
    const value = build()
    const builtAtMs = this.#nowMs()
    this.#last = { version, value, builtAtMs, tookMs: builtAtMs - startMs }
    return value
  }
}
