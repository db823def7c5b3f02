// The form of every benchmark: figures beside their yardsticks, measured in turns in the same run.
//
// A suite is a file `bench/<name>.bench.ts` that exports experiments; `bench/main.ts` lists the suites. An experiment
// measures one figure or several at once (a median and a 99th percentile, say), each of which becomes a row.

import { nearest } from '../src/base/nearest.ts'
import type { Scope } from './scope.ts'
import { compare, type Pair } from './statistics.ts'

/** What the ratio is to reach. */
export type Goal = { readonly atLeast: number } | { readonly atMost: number }

export interface Figure {
  readonly unit: string
  /** What it is compared with: in a few words, and in its own unit where that is another one. */
  readonly yardstick: { readonly what: string; readonly unit?: string }
  /** Absent: the figure is for the reader to judge. */
  readonly goal?: Goal
}

/** A value for each figure, in the figure's unit. */
export type Values<Name extends string> = Readonly<Record<Name, number>>

/** An experiment that is set up and warm. Each call measures once, takes seconds at most, and leaves things quiet. */
export interface Contest<Name extends string> {
  ours(): Promise<Values<Name>>
  yardstick(): Promise<Values<Name>> | Values<Name>
  /** After all runs: where the time goes, as lines of text. Not part of any figure, so it may slow things down. */
  explain?(): Promise<string>
}

export interface Experiment<Name extends string = string> {
  /** By the row's name, `<suite>.<figure>`. */
  readonly figures: Readonly<Record<Name, Figure>>
  readonly runs?: number
  /** Why it cannot be measured here (a yardstick that is not installed), if so; the others are. */
  readonly skip?: () => string | undefined
  /** Sets up and warms up; what it starts through the scope is ended with it. */
  readonly open: (scope: Scope) => Promise<Contest<Name>> | Contest<Name>
}

/** Declares an experiment, so that the names of its figures are checked by the compiler. */
export function experiment<const Name extends string>(it: Experiment<Name>): Experiment {
  return it
}

/** A row as it is printed. */
export interface Row {
  readonly name: string
  readonly ours: number
  readonly yardstick: number
  readonly ratio: number
  readonly goal: string
  readonly runs: number
  readonly min: number
  readonly max: number
}

export interface Measured {
  readonly row: Row
  readonly figure: Figure
}

export interface Outcome {
  readonly measured: readonly Measured[]
  readonly explanation: string | undefined
}

/** As many as make a median that one disturbed run does not move. */
const RUNS = 5

/** `>= 5`, `<= 1.25` or `-`. */
export function goalText(goal: Goal | undefined): string {
  if (!goal) return '-'
  return 'atLeast' in goal ? `>= ${goal.atLeast}` : `<= ${goal.atMost}`
}

/** Whether a ratio reaches a goal; without a goal any does. */
export function reaches(ratio: number, goal: Goal | undefined): boolean {
  if (!goal) return true
  return 'atLeast' in goal ? ratio >= goal.atLeast : ratio <= goal.atMost
}

/**
 * Runs an experiment: ours, yardstick, ours, yardstick … so that both see the same moods of the machine.
 * Throws if a value is not a positive number: such a run measured nothing.
 */
export async function runExperiment(
  { figures, runs = RUNS, open }: Experiment,
  scope: Scope,
  progress: (text: string) => void = () => {},
): Promise<Outcome> {
  const names = Object.keys(figures)
  progress(`${names.join(', ')}: setting up`)
  const contest = await open(scope)
  const pairs = new Map<string, Pair[]>(names.map(name => [name, []]))
  for (let run = 1; run <= runs; run++) {
    progress(`${names.join(', ')}: run ${run} of ${runs}`)
    const ours = await contest.ours()
    const yardstick = await contest.yardstick()
    for (const name of names) {
      pairs.get(name)!.push({
        ours: checked(ours[name], `${name}, ours, run ${run}`),
        yardstick: checked(yardstick[name], `${name}, yardstick, run ${run}`),
      })
    }
  }
  if (contest.explain) progress(`${names.join(', ')}: where the time goes`)
  const explanation = await contest.explain?.()
  const measured = names.map(name => {
    const figure = figures[name]!
    const goal = goalText(figure.goal)
    const { ours, yardstick, ratio, min, max } = compare(pairs.get(name)!)
    return { row: { name, ours, yardstick, ratio, goal, runs, min, max }, figure }
  })
  return { measured, explanation }
}

function checked(value: number | undefined, what: string): number {
  if (value !== undefined && Number.isFinite(value) && value > 0) return value
  throw new Error(`${what}: measured ${value}, which is no positive number`)
}

export type Selection =
  | { readonly ok: true; readonly experiments: readonly Experiment[] }
  | { readonly ok: false; readonly error: string }

/** The experiments with a figure whose name begins with one of `words`; without words, all. */
export function select(all: readonly Experiment[], words: readonly string[]): Selection {
  const names = all.flatMap(it => Object.keys(it.figures))
  for (const word of words) {
    if (!names.some(name => name.startsWith(word)))
      return { ok: false, error: unknown(word, names) }
  }
  if (words.length === 0) return { ok: true, experiments: all }
  const experiments = all.filter(it => Object.keys(it.figures).some(name => chosen(name, words)))
  return { ok: true, experiments }
}

/** Whether a row is to be printed: an experiment may measure more than was asked for. */
export function chosen(name: string, words: readonly string[]): boolean {
  return words.length === 0 || words.some(word => name.startsWith(word))
}

function unknown(word: string, names: readonly string[]): string {
  const suites = names.map(name => name.split('.')[0] ?? name)
  const meant = nearest(word, new Set([...suites, ...names]))
  const hint = meant === undefined ? '' : ` Did you mean '${meant}'?`
  return `No benchmark's name begins with '${word}'.${hint} There are: ${names.join(', ')}.`
}
