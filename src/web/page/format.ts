// Numbers, sizes, times and ids as text for people.

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/**
 * A count or an amount of CPUs: at most four decimals (no `0.30000000000000004`), thousands
 * grouped.
 */
export function formatNumber(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 4 })
}

/** CPUs where room is short: two decimals. */
export function formatCpus(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 2 })
}

const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']

/** Bytes in powers of 1024: whole up to MB, one decimal from GB on. */
export function formatBytes(sizeBytes: number): string {
  let value = sizeBytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${value.toFixed(unit >= 3 ? 1 : 0)} ${units[unit]}`
}

/** The unit that Mesos counts memory and disk in. */
export function formatMegabytes(sizeMb: number): string {
  return formatBytes(sizeMb * 1024 * 1024)
}

export function formatPercent(share: number): string {
  const percent = share * 100
  return `${percent > 0 && percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`
}

/** The two largest units that matter: `3 h 12 min`, `45 s`; below a second in milliseconds. */
export function formatDuration(durationMs: number): string {
  const ms = Math.max(0, durationMs)
  if (ms < second) return `${Math.round(ms)} ms`
  if (ms < 10 * second) return `${trimZero((ms / second).toFixed(1))} s`
  if (ms < minute) return `${Math.floor(ms / second)} s`
  if (ms < hour) return pair(ms, minute, 'min', second, 's', 10 * minute)
  if (ms < day) return pair(ms, hour, 'h', minute, 'min', day)
  return pair(ms, day, 'd', hour, 'h', 10 * day)
}

function trimZero(text: string): string {
  return text.endsWith('.0') ? text.slice(0, -2) : text
}

/** The small unit is left out from `plainFromMs` on, where it would only flicker. */
function pair(
  ms: number,
  large: number,
  largeName: string,
  small: number,
  smallName: string,
  plainFromMs: number,
): string {
  const rest = Math.floor((ms % large) / small)
  const head = `${Math.floor(ms / large)} ${largeName}`
  return rest === 0 || ms >= plainFromMs ? head : `${head} ${rest} ${smallName}`
}

/** `4 min ago`: one unit only, so that it seldom changes under the reader's eyes. */
export function formatAgo(atMs: number, nowMs: number): string {
  const ms = nowMs - atMs
  // Clocks of two machines differ a little: the near future is now.
  if (ms < -5 * second) return `in ${oneUnit(-ms)}`
  if (ms < second) return 'just now'
  return `${oneUnit(ms)} ago`
}

function oneUnit(ms: number): string {
  if (ms < minute) return `${Math.floor(ms / second)} s`
  if (ms < hour) return `${Math.floor(ms / minute)} min`
  if (ms < 2 * day) return `${Math.floor(ms / hour)} h`
  return `${Math.floor(ms / day)} d`
}

/** Universal time to the millisecond, as it stands in logs. */
export function formatIso(atMs: number): string {
  return new Date(atMs).toISOString()
}

const uuidHead = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{8}([0-9a-f]{4})/

/**
 * Mesos' ids begin with the master's UUID, the same for all: `…8979-S9`. Other long ids keep both
 * ends.
 */
export function shortId(id: string): string {
  const short = id.replace(uuidHead, '…$1')
  if (short.length <= 30) return short
  return `${short.slice(0, 16)}…${short.slice(-12)}`
}

/** `TASK_RUNNING` → `Running`, `TASK_GONE_BY_OPERATOR` → `Gone by operator`. */
export function stateName(state: string): string {
  const words = state
    .replace(/^TASK_/, '')
    .replaceAll('_', ' ')
    .toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** `3 agents`, `1 agent`. */
export function plural(count: number, noun: string): string {
  return `${formatNumber(count)} ${noun}${count === 1 ? '' : 's'}`
}
