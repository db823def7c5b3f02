// What many appends come to. Pure.

import type { Append } from './appends.ts'

/** Times in milliseconds. */
export interface Figures {
  readonly appends: number
  readonly bytes: number
  /** From the beginning of the first to the end of the last. */
  readonly took_ms: number
  readonly appends_per_second: number
  readonly bytes_per_second: number
  readonly latency_ms: Readonly<
    Record<'min' | 'mean' | 'p50' | 'p90' | 'p99' | 'p999' | 'max', number>
  >
}

/** `appends`: one at least. */
export function figures(appends: readonly Append[]): Figures {
  const times = appends.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
  // Not by spreading: there may be more than a call takes arguments.
  let [begin, end, bytes, sum] = [Number.POSITIVE_INFINITY, 0, 0, 0]
  for (const append of appends) {
    begin = Math.min(begin, append.atMs)
    end = Math.max(end, append.atMs + append.tookMs)
    bytes += append.bytes
    sum += append.tookMs
  }
  /** The value below which that share lies: nearest rank. */
  const rank = (share: number): number =>
    round(times[Math.max(0, Math.ceil(share * times.length) - 1)]!)
  const tookMs = end - begin
  return {
    appends: appends.length,
    bytes,
    took_ms: round(tookMs),
    appends_per_second: round((appends.length * 1000) / tookMs),
    bytes_per_second: Math.round((bytes * 1000) / tookMs),
    latency_ms: {
      min: rank(0),
      mean: round(sum / appends.length),
      p50: rank(0.5),
      p90: rank(0.9),
      p99: rank(0.99),
      p999: rank(0.999),
      max: rank(1),
    },
  }
}

const round = (value: number): number => Math.round(value * 1000) / 1000

export function figuresText(f: Figures): string {
  const latencies = Object.entries(f.latency_ms).map(([name, ms]) => `${name} ${ms.toFixed(3)}`)
  return [
    `Total number of appends: ${f.appends} (${f.bytes} bytes)`,
    `Total time used: ${(f.took_ms / 1000).toFixed(3)} secs`,
    `Throughput: ${f.appends_per_second.toFixed(1)} appends/s, ${(f.bytes_per_second / 2 ** 20).toFixed(2)} MB/s`,
    `Latency in ms: ${latencies.join(', ')}`,
  ].join('\n')
}
