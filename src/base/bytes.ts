// Sizes in Mesos' text form (`10MB`); inside the program they are bytes. A kilobyte is 1024 bytes.

import { UserError } from './errors.ts'

const BYTES_PER = { B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 } as const

type Unit = keyof typeof BYTES_PER
const UNITS = Object.keys(BYTES_PER) as readonly Unit[]

const wrong = (text: string, what: string, hint: string): UserError =>
  new UserError('invalid_value', `'${text}' is not a size in bytes: ${what}`, { hint })

/**
 * Bytes from a whole number and a unit, `10B|KB|MB|GB|TB` in either case (Mesos, stout `Bytes`).
 * Fractions are refused as in Mesos. Throws a `UserError` that shows an example.
 */
export function parseBytes(text: string): number {
  const [, digits, name] = /^(\d+(?:\.\d+)?)?(.*)$/s.exec(text)!
  const units = `the units are ${UNITS.join(', ')}`
  if (digits === undefined) {
    if (text.startsWith('-')) throw wrong(text, 'it is negative', 'Write for example 10MB.')
    throw wrong(text, 'it has no number', 'Write for example 10MB or 2GB.')
  }
  if (name === '') throw wrong(text, 'it has no unit', `Write for example ${digits}MB; ${units}.`)
  const unit = name!.toUpperCase()
  if (!Object.hasOwn(BYTES_PER, unit)) {
    // `M`, `MiB` and `Mb` all tell which unit was meant by their first letter.
    const meant = UNITS.find(u => u.length === 2 && u[0] === unit.trim()[0]) ?? 'MB'
    throw wrong(text, `'${name}' is no unit`, `Write for example ${digits}${meant}; ${units}.`)
  }
  const sizeBytes = Number(digits) * BYTES_PER[unit as Unit]
  if (digits.includes('.')) {
    const whole = formatBytes(Math.round(sizeBytes))
    throw wrong(text, 'fractions are not understood', `Write for example ${whole}.`)
  }
  if (!Number.isSafeInteger(sizeBytes)) {
    throw wrong(text, 'it is too large', `The largest is ${formatBytes(2 ** 53 - 2 ** 40)}.`)
  }
  return sizeBytes
}

/** The text form as Mesos prints it: in the largest unit in which it is a whole number (`1025KB`, not `1.001MB`). */
export function formatBytes(sizeBytes: number): string {
  if (sizeBytes === 0) return '0B'
  const unit = UNITS.findLast(u => sizeBytes % BYTES_PER[u] === 0) ?? 'B'
  return `${sizeBytes / BYTES_PER[unit]}${unit}`
}

export const kilobytes = (n: number): number => n * BYTES_PER.KB
export const megabytes = (n: number): number => n * BYTES_PER.MB
export const gigabytes = (n: number): number => n * BYTES_PER.GB
export const terabytes = (n: number): number => n * BYTES_PER.TB
