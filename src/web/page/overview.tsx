// The first view: what needs attention, how full the cluster is, what runs and what ran.

import { useMemo } from 'preact/hooks'
import { NoAgents } from './agent-table.tsx'
import { type Concern, concernsOf, recentMs } from './concerns.ts'
import {
  formatCpus,
  formatDuration,
  formatMegabytes,
  formatNumber,
  plural,
  stateName,
} from './format.ts'
import { NoFrameworks } from './framework-table.tsx'
import { useNow } from './now.tsx'
import type { Rows } from './rows.ts'
import type { ClusterState } from './state.ts'
import { type Summary, summaryOf } from './summary.ts'
import { TaskTables } from './task-table.tsx'
import { toneMarks, toneOf } from './task-state.ts'
import { UsageBar } from './usage-bar.tsx'

export interface OverviewProps {
  readonly state: ClusterState
  readonly rows: Rows
  readonly address: string
}

export function Overview({ state, rows, address }: OverviewProps) {
  // News turn into history by the minute; once a second would be work for nothing.
  const minute = Math.floor(useNow() / 60_000)
  const concerns = useMemo(() => concernsOf(state, rows, minute * 60_000), [state, rows, minute])
  const summary = useMemo(() => summaryOf(state, rows), [state, rows])
  return (
    <>
      <h1 class="visually-hidden">Overview</h1>
      <Attention concerns={concerns} summary={summary} address={address} />
      <div class="summary">
        <Counts summary={summary} />
        <Usages summary={summary} />
      </div>
      <TaskTables
        active={rows.active}
        unreachable={rows.unreachable}
        completed={rows.completed}
        noneActive={
          rows.frameworks.length === 0 && rows.agents.length > 0 ? (
            <NoFrameworks address={address} />
          ) : (
            'No active tasks.'
          )
        }
      />
    </>
  )
}

function Attention(props: {
  readonly concerns: readonly Concern[]
  readonly summary: Summary
  readonly address: string
}) {
  const { concerns, summary } = props
  const { agents } = summary
  if (concerns.length === 0 && agents.active === 0) {
    return (
      <p class="attention calm">
        <NoAgents address={props.address} />
      </p>
    )
  }
  if (concerns.length === 0) {
    return (
      <p class="attention calm">
        <span class="badge good">
          <span aria-hidden="true">✓</span> All well
        </span>{' '}
        {plural(agents.active, 'agent')} active, no task failed in the last{' '}
        {formatDuration(recentMs)}.
      </p>
    )
  }
  return (
    <section class="attention" aria-label="Needs attention">
      <ul>
        {concerns.map(({ tone, text, href }) => (
          <li key={text} class={tone}>
            <span class="mark" aria-hidden="true">
              {toneMarks[tone]}
            </span>
            {href ? <a href={href}>{text}</a> : text}
          </li>
        ))}
      </ul>
    </section>
  )
}

function Counts({ summary }: { readonly summary: Summary }) {
  const { agents, tasks } = summary
  return (
    <section class="counts" aria-label="Counts">
      <div>
        <h2>Agents</h2>
        <dl>
          <Count name="Active" count={agents.active} tone="good" />
          <Count name="Inactive" count={agents.inactive} tone="unsure" />
          <Count name="Unreachable" count={agents.unreachable} tone="bad" />
        </dl>
      </div>
      <div>
        <h2>Tasks</h2>
        <dl>
          {tasks.map(({ state, count }) => (
            <Count key={state} name={stateName(state)} count={count} tone={toneOf(state)} />
          ))}
        </dl>
      </div>
    </section>
  )
}

/** Zeros step back, so that the numbers that mean something stand out. */
function Count(props: { readonly name: string; readonly count: number; readonly tone: string }) {
  return (
    <div class={props.count === 0 ? 'zero' : props.tone}>
      <dd>{formatNumber(props.count)}</dd>
      <dt>{props.name}</dt>
    </div>
  )
}

function Usages({ summary }: { readonly summary: Summary }) {
  const { cpus, mem, disk, gpus } = summary.usage
  return (
    <section class="usages" aria-label="Resources">
      <UsageBar title="CPUs" usage={cpus} format={formatCpus} />
      <UsageBar title="Memory" usage={mem} format={formatMegabytes} />
      <UsageBar title="Disk" usage={disk} format={formatMegabytes} small />
      {gpus.total > 0 && <UsageBar title="GPUs" usage={gpus} format={formatCpus} small />}
    </section>
  )
}
