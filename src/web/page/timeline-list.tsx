// A task's states in the order they came, with the time each took and the reasons given.

import { formatDuration } from './format.ts'
import { Ago, Since } from './now.tsx'
import type { Task } from './state.ts'
import { StateBadge } from './state-badge.tsx'
import { toneOf } from './task-state.ts'
import { type Step, timelineOf } from './timeline.ts'

export function Timeline({ task }: { readonly task: Task }) {
  const steps = timelineOf(task)
  if (steps.length === 0) {
    return (
      <p class="note">No report from the agent yet: it is fetching, or has not been reached.</p>
    )
  }
  return (
    <ol class="timeline" aria-label="States of the task">
      {steps.map((step, index) => (
        <li key={`${index} ${step.state}`} class={toneOf(step.state)}>
          <div>
            <StateBadge state={step.state} /> <Ago atMs={step.atMs} />
            {step.healthy === false && <span class="badge bad">Unhealthy</span>}
          </div>
          <Lasted step={step} />
          {(step.message || step.reason) && (
            <p class="why">
              {step.message} {step.reason && <code>{step.reason}</code>}
            </p>
          )}
        </li>
      ))}
    </ol>
  )
}

function Lasted({ step }: { readonly step: Step }) {
  if (step.lastedMs !== undefined)
    return <div class="lasted">for {formatDuration(step.lastedMs)}</div>
  if (!step.ongoing) return null
  return (
    <div class="lasted">
      for <Since atMs={step.atMs} /> so far
    </div>
  )
}
