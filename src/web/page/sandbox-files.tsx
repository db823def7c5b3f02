// The files of a task's sandbox, as the agent lists them.

import { useEffect, useState } from 'preact/hooks'
import { type Column, DataTable } from './data-table.tsx'
import { formatBytes } from './format.ts'
import { Ago } from './now.tsx'
import { taskHref } from './routes.ts'
import type { TaskRow } from './rows.ts'
import type { World } from './world.ts'

/** One entry of `GET /files/browse`; `path` is absolute, `mtime` seconds since the epoch. */
export interface FileEntry {
  readonly path: string
  readonly size: number
  readonly mtime: number
  readonly mode: string
}

export interface SandboxFilesProps {
  readonly world: World
  readonly row: TaskRow
  /** Relative to the sandbox; empty for the sandbox itself. */
  readonly path: string
  readonly virtualPath: string
}

export function SandboxFiles({ world, row, path, virtualPath }: SandboxFilesProps) {
  const [listed, setListed] = useState<readonly FileEntry[] | string | undefined>(undefined)
  const [asked, setAsked] = useState(0)
  useEffect(() => {
    let wanted = true
    void browse(world, row.agentId, virtualPath).then(found => wanted && setListed(found))
    return () => {
      wanted = false
    }
  }, [world, row.agentId, virtualPath, asked])

  const again = (
    <button type="button" class="quiet" onClick={() => setAsked(asked + 1)}>
      List again
    </button>
  )
  if (listed === undefined) return <p class="empty">Asking the agent…</p>
  if (typeof listed === 'string') {
    return (
      <p class="empty">
        Cannot list it: {listed} {again}
      </p>
    )
  }
  return (
    <>
      <DataTable
        title={path === '' ? 'Sandbox' : path}
        rows={listed}
        columns={columnsOf(row, path)}
        keyOf={nameOf}
        textOf={nameOf}
        initialSort={{ title: 'Name', descending: false }}
        empty="The folder is empty."
      />
      <p>{again}</p>
    </>
  )
}

function columnsOf(row: TaskRow, path: string): Column<FileEntry>[] {
  return [
    {
      title: 'Name',
      // Folders first, as in every file list.
      value: entry => `${isFolder(entry) ? 0 : 1}${nameOf(entry)}`,
      cell: entry => <EntryLink row={row} path={path} entry={entry} />,
    },
    {
      title: 'Size',
      kind: 'number',
      value: entry => entry.size,
      cell: entry => formatBytes(entry.size),
    },
    {
      title: 'Changed',
      kind: 'time',
      value: entry => entry.mtime,
      cell: entry => <Ago atMs={entry.mtime * 1000} />,
    },
    { title: 'Mode', cell: entry => <code>{entry.mode}</code>, from: 'medium' },
  ]
}

function EntryLink(props: {
  readonly row: TaskRow
  readonly path: string
  readonly entry: FileEntry
}) {
  const { row, path, entry } = props
  const name = nameOf(entry)
  const inner = path === '' ? name : `${path}/${name}`
  const view = isFolder(entry) ? 'browse' : 'read'
  return (
    <a class="name" href={taskHref(row.frameworkId, row.id, { view, path: inner })}>
      {isFolder(entry) ? `${name}/` : name}
    </a>
  )
}

/** The listed entries, or what went wrong in words. */
async function browse(
  world: World,
  agentId: string,
  path: string,
): Promise<readonly FileEntry[] | string> {
  try {
    const reply = await world.get(
      `files/browse?${new URLSearchParams({ agent_id: agentId, path })}`,
    )
    if (reply.status === 200) return (await reply.json()) as FileEntry[]
    return (await reply.text()).trim() || `the master answered ${reply.status}`
  } catch {
    return 'the master does not answer.'
  }
}

function nameOf(entry: FileEntry): string {
  return entry.path.split('/').filter(Boolean).at(-1) ?? entry.path
}

function isFolder(entry: FileEntry): boolean {
  return entry.mode.startsWith('d')
}
