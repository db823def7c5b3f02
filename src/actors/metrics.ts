// What a process counts and measures, by name. Counting costs an addition; everything else is done when somebody looks.

import type { Clock } from './clock.ts'

/** Only goes up. */
export interface Counter {
  readonly value: number
  increment(by?: number): void
}

/** Durations of one kind of work. */
export interface Timing {
  record(ms: number): void
}

/** Reads a value now. A reading that throws, rejects or is not a number is left out of the snapshot. */
export type Gauge = () => number | Promise<number>

/** Measurements kept for percentiles: the latest ones. */
const KEPT = 1_000

/** Suffixes of a timing's percentiles, and which share of the measurements is below. As in Mesos. */
const PERCENTILES = [
  ['p50', 0.5],
  ['p90', 0.9],
  ['p95', 0.95],
  ['p99', 0.99],
  ['p999', 0.999],
  ['p9999', 0.9999],
] as const

class TimingData implements Timing {
  count = 0
  sumMs = 0
  readonly #latest: number[] = []

  record(ms: number): void {
    this.#latest[this.count % KEPT] = ms
    this.count++
    this.sumMs += ms
  }

  get lastMs(): number | undefined {
    return this.count === 0 ? undefined : this.#latest[(this.count - 1) % KEPT]
  }

  /** Ascending. */
  sorted(): Float64Array {
    return Float64Array.from(this.#latest).sort()
  }
}

/** Between two neighbours the value is interpolated; `sorted` is not empty. */
function percentile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1)
  const below = sorted[Math.floor(at)]!
  const above = sorted[Math.ceil(at)]!
  return below + (above - below) * (at - Math.floor(at))
}

type Metric =
  | { readonly kind: 'counter'; readonly counter: { value: number } }
  | { readonly kind: 'gauge'; readonly read: Gauge }
  | { readonly kind: 'timing'; readonly timing: TimingData }

/** The metrics of a part of the process, which leave with it. */
export interface MetricsScope {
  /** Throws if the name is taken, as do the others. */
  counter(name: string): Counter
  gauge(name: string, read: Gauge): void
  /** Gauges whose names come and go: one for each role, say. A name that is taken already is left out. */
  gauges(read: () => Iterable<readonly [name: string, value: number]>): void
  /** Milliseconds; the name should end with `_ms`. */
  timing(name: string): Timing
}

/** All metrics of a process. Names are Mesos': `master/tasks_finished`, `system/load_1min`. */
export class Metrics implements MetricsScope {
  readonly #metrics = new Map<string, Metric>()
  readonly #families = new Set<() => Iterable<readonly [string, number]>>()

  counter(name: string): Counter {
    const counter = {
      value: 0,
      increment(by = 1) {
        this.value += by
      },
    }
    this.#add(name, { kind: 'counter', counter })
    return counter
  }

  gauge(name: string, read: Gauge): void {
    this.#add(name, { kind: 'gauge', read })
  }

  gauges(read: () => Iterable<readonly [string, number]>): void {
    this.#families.add(read)
  }

  timing(name: string): Timing {
    const timing = new TimingData()
    this.#add(name, { kind: 'timing', timing })
    return timing
  }

  remove(name: string): void {
    this.#metrics.delete(name)
  }

  /** A part of this whose names are all removed by `clear`. */
  scope(): MetricsScope & { clear(): void } {
    const names: string[] = []
    const families: (() => Iterable<readonly [string, number]>)[] = []
    const own = <T>(name: string, add: () => T): T => {
      const added = add()
      names.push(name)
      return added
    }
    return {
      counter: name => own(name, () => this.counter(name)),
      gauge: (name, read) => own(name, () => this.gauge(name, read)),
      timing: name => own(name, () => this.timing(name)),
      gauges: read => {
        families.push(read)
        this.gauges(read)
      },
      clear: () => {
        for (const read of families.splice(0)) this.#families.delete(read)
        for (const name of names.splice(0)) this.remove(name)
      },
    }
  }

  /** Name to value, sorted by name. What gauges have not answered within `timeoutMs` is left out; undefined waits. */
  async snapshot(clock: Clock, timeoutMs?: number): Promise<Record<string, number>> {
    const values = new Map<string, number>()
    for (const [name, metric] of this.#metrics) {
      if (metric.kind === 'counter') values.set(name, metric.counter.value)
      else if (metric.kind === 'timing') addTiming(values, name, metric.timing)
    }
    for (const [name, value] of await this.#gauges(clock, timeoutMs)) values.set(name, value)
    return Object.fromEntries([...values].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** Prometheus' text format, version 0.0.4: `/` in names becomes `_`, timings are summaries in milliseconds. */
  async prometheus(clock: Clock, timeoutMs?: number): Promise<string> {
    const gauges = await this.#gauges(clock, timeoutMs)
    const blocks = new Map<string, readonly string[]>()
    for (const [name, metric] of this.#metrics) {
      const id = prometheusName(name)
      const gauge = gauges.get(name)
      // Two names may become one; a text with a name twice would be refused as a whole.
      if (blocks.has(id)) continue
      gauges.delete(name)
      if (metric.kind === 'counter') blocks.set(id, ['counter', `${id} ${metric.counter.value}`])
      else if (metric.kind === 'timing') blocks.set(id, ['summary', ...summary(id, metric.timing)])
      else if (gauge !== undefined) blocks.set(id, ['gauge', `${id} ${gauge}`])
    }
    // Those of families.
    for (const [name, value] of gauges) {
      const id = prometheusName(name)
      if (!blocks.has(id)) blocks.set(id, ['gauge', `${id} ${value}`])
    }
    return [...blocks]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, [type, ...lines]]) => `# TYPE ${id} ${type}\n${lines.join('\n')}\n`)
      .join('')
  }

  #add(name: string, metric: Metric): void {
    if (this.#metrics.has(name)) throw new Error(`a metric named '${name}' exists already`)
    this.#metrics.set(name, metric)
  }

  async #gauges(clock: Clock, timeoutMs?: number): Promise<Map<string, number>> {
    const values = new Map<string, number>()
    const pending: Promise<void>[] = []
    const take = (name: string, value: number): void => {
      if (Number.isFinite(value)) values.set(name, value)
    }
    for (const [name, metric] of this.#metrics) {
      if (metric.kind !== 'gauge') continue
      try {
        const value = metric.read()
        if (typeof value === 'number') take(name, value)
        else {
          pending.push(
            value.then(
              later => take(name, later),
              () => {},
            ),
          )
        }
      } catch {
        // Left out, as is said.
      }
    }
    for (const read of this.#families) {
      try {
        for (const [name, value] of read()) if (!this.#metrics.has(name)) take(name, value)
      } catch {
        // Left out as well.
      }
    }
    if (pending.length === 0) return values
    const all = Promise.all(pending)
    if (timeoutMs === undefined) await all
    else {
      let stop = (): void => {}
      const late = new Promise(resolve => {
        const timer = clock.delay(timeoutMs, () => resolve(undefined))
        stop = () => timer.cancel()
      })
      await Promise.race([all, late])
      stop()
    }
    // Those that are late must not change what is handed out.
    return new Map(values)
  }
}

const prometheusName = (name: string): string =>
  name.replaceAll(/[^a-zA-Z0-9_:]/g, '_').replace(/^(?=\d)/, '_')

function addTiming(values: Map<string, number>, name: string, timing: TimingData): void {
  const { lastMs } = timing
  if (lastMs === undefined) return
  const sorted = timing.sorted()
  values.set(name, lastMs)
  values.set(`${name}/count`, timing.count)
  values.set(`${name}/max`, sorted.at(-1)!)
  values.set(`${name}/min`, sorted[0]!)
  for (const [suffix, share] of PERCENTILES)
    values.set(`${name}/${suffix}`, percentile(sorted, share))
}

function summary(id: string, timing: TimingData): string[] {
  const sorted = timing.sorted()
  return [
    ...PERCENTILES.filter(() => sorted.length > 0).map(
      ([, share]) => `${id}{quantile="${share}"} ${percentile(sorted, share)}`,
    ),
    `${id}_sum ${timing.sumMs}`,
    `${id}_count ${timing.count}`,
  ]
}
