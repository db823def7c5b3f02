// How actors look to people. Pure.

export interface ActorView {
  readonly id: string
  /** What waits. */
  readonly events: readonly { readonly type: string; readonly name?: string | undefined }[]
  /** What was served last, oldest first. */
  readonly recent: readonly {
    readonly type: string
    readonly name: string
    readonly from?: string | undefined
    readonly count: number
    readonly first: string
    readonly last: string
  }[]
}

/** One line an actor: its id, how much waits, and the latest of what it was served. */
export function actorsTable(actors: readonly ActorView[]): string {
  const rows = actors.map(({ id, events, recent }) => {
    const latest = recent.at(-1)
    return [id, String(events.length), ...(latest ? eventCells(latest) : ['-'])]
  })
  return table([['ID', 'WAITING', 'LAST', 'TYPE', 'COUNT', 'WHAT', 'FROM'], ...rows])
}

/** All that is known of one actor: what it was served, then what waits, as many as fit a screen. */
export function actorText({ id, events, recent }: ActorView): string {
  const served = table([['LAST', 'TYPE', 'COUNT', 'WHAT', 'FROM'], ...recent.map(eventCells)])
  const waiting = [...countsOf(events)].map(([what, count]) => `  ${count} × ${what}\n`)
  return `${clean(id)}: ${events.length} waiting\n${waiting.join('')}\n${recent.length > 0 ? served : 'Nothing was served yet.\n'}`
}

function countsOf(events: ActorView['events']): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { type, name = '' } of events) {
    const what = `${type} ${name}`.trim()
    counts.set(what, (counts.get(what) ?? 0) + 1)
  }
  return counts
}

const eventCells = ({ last, type, count, name, from = '' }: ActorView['recent'][number]) => [
  last.slice(11, 23),
  type,
  String(count),
  name,
  from,
]

/** Columns as wide as their longest cell and two blanks more. */
function table(rows: readonly (readonly string[])[]): string {
  const cleaned = rows.map(row => row.map(clean))
  const widths: number[] = []
  for (const row of cleaned) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  }
  return cleaned
    .map(
      row =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i]! + 2))
          .join('')
          .trimEnd()}\n`,
    )
    .join('')
}

/** Names may come from anybody: what would move a terminal's cursor is shown as a question mark. */
const clean = (text: string): string => text.replaceAll(/\p{Cc}/gu, '?')
