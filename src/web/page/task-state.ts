// The task states and what they mean to a reader: waiting, well, over, or wrong.

/** How a state is coloured and marked; the word is always there too, colour alone tells nothing. */
export type Tone = 'waiting' | 'good' | 'done' | 'ended' | 'bad' | 'unsure'

const tones: Readonly<Record<string, Tone>> = {
  TASK_STAGING: 'waiting',
  TASK_STARTING: 'waiting',
  TASK_RUNNING: 'good',
  TASK_KILLING: 'waiting',
  TASK_FINISHED: 'done',
  TASK_KILLED: 'ended',
  TASK_FAILED: 'bad',
  TASK_ERROR: 'bad',
  TASK_LOST: 'bad',
  TASK_DROPPED: 'bad',
  TASK_GONE: 'bad',
  TASK_GONE_BY_OPERATOR: 'bad',
  TASK_UNREACHABLE: 'unsure',
  TASK_UNKNOWN: 'unsure',
}

export function toneOf(state: string): Tone {
  return tones[state] ?? 'unsure'
}

/** No more updates follow: the task is over, well or not. */
export function isTerminal(state: string): boolean {
  const tone = toneOf(state)
  return tone === 'done' || tone === 'ended' || tone === 'bad'
}

export const toneMarks: Readonly<Record<Tone, string>> = {
  waiting: '◌',
  good: '●',
  done: '✓',
  ended: '■',
  bad: '✕',
  unsure: '?',
}
