// A task's state as mark and word: the colour only repeats what they say.

import { stateName } from './format.ts'
import { toneMarks, toneOf } from './task-state.ts'

export function StateBadge({ state }: { readonly state: string }) {
  const tone = toneOf(state)
  return (
    <span class={`badge ${tone}`}>
      <span aria-hidden="true">{toneMarks[tone]}</span> {stateName(state)}
    </span>
  )
}

/** The same look for the states of agents and frameworks. */
export function MemberBadge({ state }: { readonly state: string }) {
  const tone = memberTones[state] ?? 'unsure'
  return (
    <span class={`badge ${tone}`}>
      <span aria-hidden="true">{toneMarks[tone]}</span> {state}
    </span>
  )
}

const memberTones: Readonly<Record<string, 'good' | 'ended' | 'waiting' | 'unsure'>> = {
  Active: 'good',
  Completed: 'ended',
  Deactivated: 'ended',
  Drained: 'ended',
  Draining: 'waiting',
  Recovered: 'waiting',
}
