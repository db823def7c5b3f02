// What many runs come to. Pure.

/** The middle value; of an even number of values, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** The value below which the share `p` (0 to 1) of all values lies: nearest rank. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? Number.NaN
}

/** One run: what was measured, and right after it what it is compared with. */
export interface Pair {
  readonly ours: number
  readonly yardstick: number
}

export interface Comparison {
  /** Medians. */
  readonly ours: number
  readonly yardstick: number
  /** Ratio of the medians. */
  readonly ratio: number
  /** Smallest and largest ratio of a single run. */
  readonly min: number
  readonly max: number
}

/**
 * Compares run by run, because a busy machine slows both halves of a run. `ratio` is taken of the medians, so that it
 * agrees with the two figures beside it; it always lies between `min` and `max`, as medians keep the order of what
 * they are medians of.
 */
export function compare(runs: readonly Pair[]): Comparison {
  const ratios = runs.map(run => run.ours / run.yardstick)
  const ours = median(runs.map(run => run.ours))
  const yardstick = median(runs.map(run => run.yardstick))
  return {
    ours,
    yardstick,
    ratio: ours / yardstick,
    min: Math.min(...ratios),
    max: Math.max(...ratios),
  }
}
