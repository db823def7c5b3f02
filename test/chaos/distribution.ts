// Times as text: percentiles and a small histogram. Pure.

/** Upper ends of the histogram's bars, in milliseconds. */
const BARS_MS = [50, 100, 200, 500, 1_000, 2_000, 4_000, 8_000]
const WIDTH = 40

/** The value below which the share `p` of all lies: nearest rank. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? Number.NaN
}

/** One line for each kind, and one for all. */
export function distributionText(byKind: ReadonlyMap<string, readonly number[]>): string {
  const all = [...byKind.values()].flat()
  const rows = [...byKind].sort(([a], [b]) => (a < b ? -1 : 1))
  const lines = [...rows, ['all', all] as const].map(([kind, values]) => {
    const of = (p: number): string => String(Math.round(percentile(values, p))).padStart(6)
    const figures = values.length === 0 ? '' : `${of(0.5)} ${of(0.9)} ${of(0.99)} ${of(1)}`
    return `  ${kind.padEnd(14)} ${String(values.length).padStart(4)}  ${figures}`
  })
  return [`  ${'ms'.padEnd(14)}    n     p50    p90    p99    max`, ...lines].join('\n')
}

export function histogramText(values: readonly number[]): string {
  const ends = [...BARS_MS, Number.POSITIVE_INFINITY]
  const counts = ends.map(
    (end, i) => values.filter(ms => ms <= end && ms > (ends[i - 1] ?? -1)).length,
  )
  const most = Math.max(1, ...counts)
  return ends
    .map((end, i) => {
      const label = end === Number.POSITIVE_INFINITY ? 'more' : `<= ${end}`
      const count = counts[i]!
      const bar = '#'.repeat(Math.ceil((count / most) * WIDTH))
      return `  ${label.padStart(8)} ms ${String(count).padStart(4)} ${bar}`.trimEnd()
    })
    .join('\n')
}
