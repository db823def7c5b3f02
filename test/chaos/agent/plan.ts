// What a round does, chosen by its seed before anything runs: which tasks, and who is killed when. Pure.

import type { Random } from '../../../src/base/random.ts'

export const STRIKE_KINDS = ['agent', 'executor', 'master'] as const
export type StrikeKind = (typeof STRIKE_KINDS)[number]

/** One `kill -9`. */
export interface Strike {
  readonly kind: StrikeKind
  /** After the one before it, or the begin of the round. */
  readonly afterMs: number
  /** Until an agent or a master is started again. The next strike need not wait for that. */
  readonly downMs: number
  /** Which of those that run then: a part of their number, from 0 up to 1. */
  readonly part: number
}

export interface TaskPlan {
  readonly id: string
  /** How it runs: by itself, with others that it ends with, or in an executor of the framework's. */
  readonly kind: 'command' | 'group' | 'custom'
  /** Of a group or a custom task. */
  readonly executor?: string
  /** Tasks with the same are launched as one group. */
  readonly group?: string
  readonly ms: number
  /** The exit status, unless a signal ends it. What a custom task says of 0 is FINISHED, else FAILED. */
  readonly code: number
  /** It ends itself so, instead of by an exit. */
  readonly signal?: 'SEGV' | 'ABRT'
  /** Leaves a process of a session of its own behind. */
  readonly forks: boolean
  /** Does not end when it is asked to. */
  readonly stubborn: boolean
  /** The scheduler kills it so long after its launch. */
  readonly killAfterMs?: number
}

export interface Round {
  readonly tasks: readonly TaskPlan[]
  readonly strikes: readonly Strike[]
  /** How many tasks an offer is used for, and how long it is looked at before; one after the other, again and again. */
  readonly portions: readonly { readonly count: number; readonly ms: number }[]
}

const EXECUTORS = 3
const LONGEST_TASK_MS = 3_000
/** Before that, nothing runs. */
const FIRST_MS = 200
const LONGEST_GAP_MS = 1_500
/** Most restart at once, as under a supervisor; some come back late. */
const DOWN_MS = [0, 200, 1_000, 2_500, 8_000]

export function planRound(
  random: Random,
  name: string,
  { tasks: count, kinds }: { readonly tasks: number; readonly kinds: readonly StrikeKind[] },
): Round {
  const tasks: TaskPlan[] = []
  for (let groups = 0; tasks.length < count; ) {
    const left = count - tasks.length
    const kind = random.next()
    if (kind < 0.2 && left >= 3) {
      const group = `${name}-g${groups++}`
      // Some groups share an executor.
      const executor = random.next() < 0.5 ? `${name}-shared` : group
      const size = 2 + random.integer(2)
      for (let i = 0; i < size; i++) {
        const id = `${group}-${i}`
        tasks.push({ ...planTask(random, id), kind: 'group', executor, group })
      }
    } else if (kind < 0.55) {
      const executor = `${name}-e${random.integer(EXECUTORS)}`
      const id = `${name}-x${tasks.length}`
      tasks.push({ ...planTask(random, id), kind: 'custom', executor })
    } else tasks.push({ ...planTask(random, `${name}-c${tasks.length}`), kind: 'command' })
  }
  const strikes = Array.from({ length: 1 + random.integer(3) }, (_, i) => ({
    kind: kinds[random.integer(kinds.length)]!,
    afterMs: (i === 0 ? FIRST_MS : 0) + random.integer(LONGEST_GAP_MS),
    downMs: downMs(random),
    part: random.next(),
  }))
  const portions = Array.from({ length: 20 }, () => ({
    count: 1 + random.integer(12),
    ms: random.integer(300),
  }))
  return { tasks, strikes, portions }
}

function downMs(random: Random): number {
  const step = Math.floor(random.next() ** 2 * (DOWN_MS.length - 1))
  const [from, to] = [DOWN_MS[step]!, DOWN_MS[step + 1]!]
  return from + random.integer(to - from)
}

function planTask(random: Random, id: string): Omit<TaskPlan, 'kind'> {
  const ms = random.next() < 0.2 ? 0 : random.integer(LONGEST_TASK_MS)
  const code = random.next() < 0.6 ? 0 : 1 + random.integer(119)
  const signal = random.next() < 0.1 ? (random.next() < 0.5 ? 'SEGV' : 'ABRT') : undefined
  const isKilled = random.next() < 0.15
  const killAfterMs = random.integer(LONGEST_TASK_MS)
  return {
    id,
    ms,
    code,
    ...(signal && { signal }),
    forks: random.next() < 0.1,
    stubborn: random.next() < 0.1,
    ...(isKilled && { killAfterMs }),
  }
}

/** What runs as a command: it writes down in `journal` that it has begun, and that it comes to its end. */
export function scriptOf(task: TaskPlan, journal: string): string {
  const note = (word: string): string => `echo ${word} >>'${journal}/${task.id}'`
  const how = task.signal ? `kill -${task.signal} $$` : `exit ${task.code}`
  return [
    ...(task.stubborn ? ["trap '' TERM"] : []),
    note('begins'),
    ...(task.forks ? ['setsid sleep 1000 </dev/null >/dev/null 2>&1 &'] : []),
    `sleep ${task.ms / 1_000}`,
    note('ends'),
    how,
  ].join('\n')
}
