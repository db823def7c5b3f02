// Sets of integers as arrays of inclusive ranges, and their algebra.
//
// Normal form: ascending, none empty, none touching another (31000-31005, 31006-32000 is one range). Every function
// takes and gives the normal form, except `normalise`. Results are new arrays, or an argument itself if equal to it.

import type { Range } from '../messages/values.ts'

export type Ranges = readonly Range[]

export const NO_RANGES: Ranges = Object.freeze([])

/** Any ranges to normal form: inverted ones are dropped, overlapping and touching ones joined. */
export function normalise(ranges: Ranges): Ranges {
  if (isNormal(ranges)) return ranges
  const out: Range[] = []
  const sorted = ranges.filter(range => range.begin <= range.end).sort((a, b) => a.begin - b.begin)
  for (const { begin, end } of sorted) {
    const last = out[out.length - 1]
    if (last && begin <= last.end + 1) last.end = Math.max(last.end, end)
    else out.push({ begin, end })
  }
  return out
}

function isNormal(ranges: Ranges): boolean {
  let previous = -2
  for (const { begin, end } of ranges) {
    if (begin > end || begin <= previous + 1) return false
    previous = end
  }
  return true
}

export function unionRanges(a: Ranges, b: Ranges): Ranges {
  if (a.length === 0) return b
  if (b.length === 0) return a
  return normalise([...a, ...b])
}

/** What is in `a` and not in `b`. */
export function subtractRanges(a: Ranges, b: Ranges): Ranges {
  if (a.length === 0 || b.length === 0) return a
  const out: Range[] = []
  let changed = false
  let j = 0
  for (const range of a) {
    let begin = range.begin
    while (j < b.length && b[j]!.end < begin) j++
    for (let k = j; k < b.length && b[k]!.begin <= range.end; k++) {
      changed = true
      if (b[k]!.begin > begin) out.push({ begin, end: b[k]!.begin - 1 })
      begin = b[k]!.end + 1
    }
    if (begin === range.begin) out.push(range)
    else if (begin <= range.end) out.push({ begin, end: range.end })
  }
  return changed ? out : a
}

/** Whether every member of `b` is in `a`. */
export function containsRanges(a: Ranges, b: Ranges): boolean {
  let i = 0
  for (const { begin, end } of b) {
    while (i < a.length && a[i]!.end < begin) i++
    const range = a[i]
    if (!range || range.begin > begin || range.end < end) return false
  }
  return true
}

export function equalRanges(a: Ranges, b: Ranges): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) {
    if (a[i]!.begin !== b[i]!.begin || a[i]!.end !== b[i]!.end) return false
  }
  return true
}

/** How many integers are in it. */
export function countRanges(ranges: Ranges): number {
  let count = 0
  for (const { begin, end } of ranges) count += end - begin + 1
  return count
}

/** The lowest `count` members; all of them if there are fewer. */
export function takeRanges(ranges: Ranges, count: number): Ranges {
  const out: Range[] = []
  let left = count
  for (const range of ranges) {
    if (left <= 0) break
    const size = range.end - range.begin + 1
    out.push(size <= left ? range : { begin: range.begin, end: range.begin + left - 1 })
    left -= size
  }
  return out
}
