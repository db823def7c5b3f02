// One resource of the cluster as a bar: used, offered, free.

import { formatPercent } from './format.ts'
import type { Usage } from './summary.ts'

export interface UsageBarProps {
  readonly title: string
  readonly usage: Usage
  readonly format: (value: number) => string
  readonly small?: boolean
}

export function UsageBar({ title, usage, format, small = false }: UsageBarProps) {
  const { used, offered, free, total } = usage
  const words = `${format(used)} used, ${format(offered)} offered, ${format(free)} free of ${format(total)}`
  return (
    <div class={small ? 'usage small' : 'usage'}>
      <div class="usage-head">
        <span class="usage-title">{title}</span>
        <span class="usage-total">
          {total > 0 ? `${formatPercent(used / total)} of ${format(total)} used` : 'none'}
        </span>
      </div>
      <div class="usage-bar" role="img" aria-label={`${title}: ${words}`}>
        {used > 0 && <span class="used" style={{ width: percent(used, total) }} />}
        {offered > 0 && <span class="offered" style={{ width: percent(offered, total) }} />}
        <span class="free" />
      </div>
      <dl class="usage-legend">
        <Part kind="used" name="Used" value={format(used)} />
        <Part kind="offered" name="Offered" value={format(offered)} />
        <Part kind="free" name="Free" value={format(free)} />
      </dl>
    </div>
  )
}

function Part(props: { readonly kind: string; readonly name: string; readonly value: string }) {
  return (
    <div>
      <dt>
        <i class={`key ${props.kind}`} aria-hidden="true" />
        {props.name}
      </dt>
      <dd>{props.value}</dd>
    </div>
  )
}

/** Used of total in a table cell, with a thin bar below the numbers. */
export function UsedOf(props: {
  readonly used: number
  readonly total: number
  readonly format: (value: number) => string
}) {
  const { used, total, format } = props
  if (total === 0) return <span class="none">–</span>
  return (
    <span class="used-of">
      {format(used)} <span class="of">/ {format(total)}</span>
      <span class="thin-bar" aria-hidden="true">
        <span class="used" style={{ width: percent(used, total) }} />
      </span>
    </span>
  )
}

function percent(part: number, whole: number): string {
  return whole > 0 ? `${Math.min(100, (part / whole) * 100)}%` : '0%'
}
