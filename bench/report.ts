// How results are printed: a table for people, or one JSON object a row for programs.

import type { Measured } from './harness.ts'
import { reaches } from './harness.ts'

const COLUMNS = ['name', 'ours', 'yardstick', 'ratio', 'goal', 'runs', 'min', 'max'] as const

/** One line: name, ours, yardstick, ratio, goal, runs, min, max; then the units of the two figures. */
export function jsonLine({ row, figure }: Measured): string {
  const { ours, yardstick, ratio, min, max } = row
  return JSON.stringify({
    ...row,
    ours: rounded(ours),
    yardstick: rounded(yardstick),
    ratio: rounded(ratio),
    min: rounded(min),
    max: rounded(max),
    unit: figure.unit,
    yardstick_unit: figure.yardstick.unit ?? figure.unit,
    yardstick_is: figure.yardstick.what,
  })
}

/** The table, what each row is compared with, and which goals were missed. */
export function tableText(all: readonly Measured[]): string {
  const cells = [
    [...COLUMNS],
    ...all.map(({ row, figure }) => [
      row.name,
      `${amount(row.ours)} ${figure.unit}`,
      `${amount(row.yardstick)} ${figure.yardstick.unit ?? figure.unit}`,
      amount(row.ratio),
      row.goal,
      String(row.runs),
      amount(row.min),
      amount(row.max),
    ]),
  ]
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map(line => line[column]!.length)))
  const lines = cells.map(line =>
    line
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
  const beside = all.map(({ row, figure }) => `${row.name} beside: ${figure.yardstick.what}`)
  const missed = all
    .filter(({ row, figure }) => !reaches(row.ratio, figure.goal))
    .map(({ row }) => `goal missed: ${row.name}, ratio ${amount(row.ratio)}, goal ${row.goal}`)
  return [...lines, '', ...beside, ...missed].join('\n')
}

/** Five digits tell more than the machine knows. */
function rounded(value: number): number {
  return Number(value.toPrecision(5))
}

/** Three digits for people, without an exponent, thousands apart. */
export function amount(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumFractionDigits: 6 })
}
