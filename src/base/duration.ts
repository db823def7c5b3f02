// Spans of time in Mesos' text form (`15secs`, `1.5mins`); inside the program they are milliseconds.

import { UserError } from './errors.ts'

const MS_PER = {
  ns: 1e-6,
  us: 1e-3,
  ms: 1,
  secs: 1_000,
  mins: 60_000,
  hrs: 3_600_000,
  days: 86_400_000,
  weeks: 604_800_000,
} as const

type Unit = keyof typeof MS_PER
const UNITS = Object.keys(MS_PER) as readonly Unit[]

/** What people write by habit, and what Mesos calls it. */
const MEANT: Readonly<Record<string, Unit>> = {
  s: 'secs',
  sec: 'secs',
  second: 'secs',
  seconds: 'secs',
  m: 'mins',
  min: 'mins',
  minute: 'mins',
  minutes: 'mins',
  h: 'hrs',
  hr: 'hrs',
  hour: 'hrs',
  hours: 'hrs',
  d: 'days',
  day: 'days',
  w: 'weeks',
  week: 'weeks',
  msec: 'ms',
  msecs: 'ms',
  millis: 'ms',
}

const wrong = (text: string, what: string, hint: string): UserError =>
  new UserError('invalid_value', `'${text}' is not a duration: ${what}`, { hint })

/**
 * Milliseconds (a float) from a number and a unit: `10ns|us|ms|secs|mins|hrs|days|weeks`, decimals allowed,
 * nothing between the two, never negative (Mesos, stout `Duration`). Throws a `UserError` that shows an example.
 */
export function parseDuration(text: string): number {
  const [, digits, name] = /^(\d+(?:\.\d+)?|\.\d+)?(.*)$/s.exec(text)!
  const units = `the units are ${UNITS.join(', ')}`
  if (digits === undefined) {
    if (text.startsWith('-')) throw wrong(text, 'it is negative', 'Write for example 15secs.')
    throw wrong(text, 'it has no number', 'Write for example 15secs, 1.5mins or 200ms.')
  }
  if (name === '') throw wrong(text, 'it has no unit', `Write for example ${digits}secs; ${units}.`)
  if (Object.hasOwn(MS_PER, name!)) return toMs(digits, MS_PER[name as Unit])
  const meant = MEANT[name!.trim().toLowerCase()] ?? UNITS.find(u => u === name!.trim())
  throw wrong(
    text,
    `'${name}' is no unit`,
    `Write for example ${digits}${meant ?? 'secs'}; ${units}.`,
  )
}

// Rounded to the nanosecond, which is Mesos' own grain: 1.1secs is 1100 and not 1100.0000000000002.
const toMs = (digits: string, msPerUnit: number): number =>
  Math.round(Number(digits) * Math.round(msPerUnit * 1e6)) / 1e6

/**
 * The text form as Mesos prints it: in the largest unit not above the duration if it is whole there, otherwise in
 * the next smaller one (`90secs`, not `1.5mins`; `10days`, not `1.43weeks`). 15 significant digits.
 */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`
  const ns = Math.round(ms * 1e6)
  let index = 0
  while (index + 1 < UNITS.length && ns >= nsPer(index + 1)) index++
  if (index > 0 && ns % nsPer(index) !== 0) index--
  return `${Number((ns / nsPer(index)).toPrecision(15))}${UNITS[index]!}`
}

const nsPer = (index: number): number => Math.round(MS_PER[UNITS[index]!] * 1e6)

export const milliseconds = (n: number): number => n
export const seconds = (n: number): number => n * MS_PER.secs
export const minutes = (n: number): number => n * MS_PER.mins
export const hours = (n: number): number => n * MS_PER.hrs
export const days = (n: number): number => n * MS_PER.days
export const weeks = (n: number): number => n * MS_PER.weeks
