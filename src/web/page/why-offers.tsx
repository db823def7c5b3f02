// Why each framework is, or is not, offered an agent: the master's own words, for one agent.

import { useEffect, useState } from 'preact/hooks'
import { type Column, DataTable } from './data-table.tsx'
import { frameworkHref } from './routes.ts'
import type { Rows } from './rows.ts'
import type { World } from './world.ts'

/** One row of `GET /offers/why`. */
interface Why {
  readonly framework_id: string
  readonly role: string
  readonly reason: string
}

interface WhyRow extends Why {
  readonly name: string
}

const renewMs = 2000

const columns: readonly Column<WhyRow>[] = [
  {
    title: 'Framework',
    value: row => row.name,
    cell: row => (
      <a class="name" href={frameworkHref(row.framework_id)} title={row.framework_id}>
        {row.name}
      </a>
    ),
  },
  { title: 'Role', value: row => row.role, cell: row => row.role },
  {
    title: 'Why',
    value: row => row.reason,
    cell: row => <span class="reason">{row.reason}</span>,
  },
]

const keyOf = (row: WhyRow) => `${row.framework_id} ${row.role}`
const textOf = (row: WhyRow) => `${row.name} ${row.framework_id} ${row.role} ${row.reason}`

export interface WhyOffersProps {
  readonly world: World
  readonly rows: Rows
  readonly agentId: string
}

export function WhyOffers({ world, rows, agentId }: WhyOffersProps) {
  const found = useWhy(world, agentId)
  if (!found) return null
  const names = new Map(rows.frameworks.map(row => [row.id, row.name]))
  return (
    <DataTable
      title="Who is offered this agent, and why not"
      rows={found.map(why => ({ ...why, name: names.get(why.framework_id) ?? why.framework_id }))}
      columns={columns}
      keyOf={keyOf}
      textOf={textOf}
      initialSort={{ title: 'Framework', descending: false }}
      empty="There is no framework to offer it to."
    />
  )
}

/** Undefined until the master has said it, and with a master that cannot tell. */
function useWhy(world: World, agentId: string): readonly Why[] | undefined {
  const [found, setFound] = useState<readonly Why[] | undefined>(undefined)
  useEffect(() => {
    let ended = false
    let timer = world.delay(0, () => void ask())
    async function ask(): Promise<void> {
      const answer = document.hidden ? undefined : await askWhy(world, agentId)
      if (ended) return
      if (answer) setFound(answer)
      timer = world.delay(renewMs, () => void ask())
    }
    return () => {
      ended = true
      timer.cancel()
    }
  }, [world, agentId])
  return found
}

/** Undefined when nobody answers: the banner says so already. */
async function askWhy(world: World, agentId: string): Promise<readonly Why[] | undefined> {
  try {
    const reply = await world.get(`offers/why?${new URLSearchParams({ agent_id: agentId })}`)
    if (reply.status !== 200) return undefined
    return ((await reply.json()) as { frameworks: readonly Why[] }).frameworks
  } catch {
    return undefined
  }
}
