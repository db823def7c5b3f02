// What must hold of the logs when all is over. Reading is apart; the judging is pure.

import { join } from 'node:path'
import { type LogEntry, viewLog } from '../../src/log/log.ts'
import { decodeEntry, Replay } from '../../src/master/registry/entry.ts'
import { Registry } from '../../src/master/registry/registry.ts'

/** What one replica has at one position. */
export interface Held {
  readonly learned: boolean
  /** The value, as text that is equal if the values are. */
  readonly value: string
  /** Of an APPEND. */
  readonly bytes?: Uint8Array
}

export interface ReplicaLog {
  readonly name: string
  /** The first position that is not truncated. */
  readonly begin: number
  readonly held: ReadonlyMap<number, Held>
}

/** Reads the log in a stopped master's work_dir. */
export async function readReplica(name: string, workDir: string): Promise<ReplicaLog> {
  const view = await viewLog(join(workDir, 'replicated_log'))
  if (view.damage) throw view.damage
  const held = new Map<number, Held>()
  for await (const entry of view.entries()) {
    const { position, learned, performed } = entry
    if (performed === undefined) continue
    const bytes = entry.type === 'APPEND' ? Uint8Array.from(entry.bytes!) : undefined
    const value = bytes ? Buffer.from(bytes).toString('base64') : valueText(entry)
    held.set(position, { learned, value, ...(bytes && { bytes }) })
  }
  return { name, begin: view.begin, held }
}

const EMPTY = 'NOP'
/** The position is truncated, and its value was given up. */
const TOMBSTONE = 'NOP, tombstone'

function valueText(entry: LogEntry): string {
  if (entry.type === 'TRUNCATE') return `TRUNCATE ${entry.to}`
  return entry.type === 'NOP' && entry.tombstone ? TOMBSTONE : EMPTY
}

/** All replicas agree on what is learned. A position that one of them knows as truncated is not compared. */
export function disagreements(replicas: readonly ReplicaLog[]): string[] {
  const problems: string[] = []
  const first = new Map<number, { readonly name: string; readonly value: string }>()
  for (const { name, held } of replicas) {
    for (const [position, { learned, value }] of held) {
      if (!learned || value === TOMBSTONE) continue
      const other = first.get(position)
      if (!other) first.set(position, { name, value })
      else if (other.value !== value) {
        problems.push(
          `position ${position}: ${other.name} and ${name} have learned different values`,
        )
      }
    }
  }
  return problems
}

/** Reads on from what the log begins with, up to the first position that is not learned. */
export function fold(replica: ReplicaLog): {
  readonly known: ReadonlySet<string>
  readonly end: number
} {
  const replay = new Replay()
  let position = replica.begin
  // Before its first election, position 0 of a log is empty.
  if (position === 0 && !replica.held.get(0)?.learned) position = 1
  for (; replica.held.get(position)?.learned; position++) {
    const { bytes } = replica.held.get(position)!
    if (bytes) replay.apply(decodeEntry(bytes))
  }
  return { known: idsOf(replay.registry), end: position - 1 }
}

function idsOf({ agents, unreachable, gone }: Registry): ReadonlySet<string> {
  return new Set([...agents.keys(), ...unreachable.keys(), ...gone.keys()])
}

/** Every acknowledged agent is in every replica's registry. */
export function losses(replicas: readonly ReplicaLog[], acknowledged: Iterable<string>): string[] {
  const ids = [...acknowledged]
  return replicas.flatMap(replica => {
    const { known, end } = fold(replica)
    const lost = ids.filter(id => !known.has(id))
    if (lost.length === 0) return []
    return [
      `${replica.name}, learned up to ${end}, lacks ${lost.length} of ${ids.length} acknowledged agents: ${lost.slice(0, 3).join(', ')}…`,
    ]
  })
}

/** Clocks of processes on one machine show the same but for so much. */
const CLOCKS_MS = 100

/** Who wrote before another one wrote does not write after it, nor at a later time. */
export function interleavings(replicas: readonly ReplicaLog[]): string[] {
  const appended = new Map<number, Uint8Array>()
  for (const { held } of replicas) {
    for (const [position, { learned, bytes }] of held) {
      if (learned && bytes) appended.set(position, bytes)
    }
  }
  const problems: string[] = []
  const ended = new Set<string>()
  let current: { readonly id: string; timeMs: number } | undefined
  for (const [position, bytes] of [...appended].sort(([a], [b]) => a - b)) {
    const { master_id: id, time_ms: timeMs } = decodeEntry(bytes)
    if (ended.has(id)) problems.push(`position ${position}: ${id} wrote after another master had`)
    if (current && current.id !== id) {
      ended.add(current.id)
      if (timeMs < current.timeMs - CLOCKS_MS) {
        const ms = Math.round(current.timeMs - timeMs)
        problems.push(`position ${position}: ${id} began ${ms} ms before ${current.id} ended`)
      }
    }
    current = { id, timeMs }
  }
  return problems
}
