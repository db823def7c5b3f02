// Registry entries as bytes of the replicated log, and the way from a prefix of the log to the registry.

import * as v from 'valibot'
import { decode, encode } from '../../actors/codec.ts'
import { type Entry, type Operation, PackedEntry, SnapshotItems } from './operations.ts'
import { Registry } from './registry.ts'

/** So many agents of a snapshot are packed together: a matter of a few milliseconds. */
const PIECE = 500

/** An entry of version 1 is written as it is; in one of version 2 a snapshot's lists are in pieces, each packed by itself. */
export function encodeEntry(entry: Entry): Uint8Array {
  const { snapshot } = entry
  if (entry.version === 1 || !snapshot) return encode(entry)
  const packed = {
    ...snapshot,
    agents: inPieces(snapshot.agents),
    unreachable: inPieces(snapshot.unreachable),
    gone: inPieces(snapshot.gone),
  }
  return encode({ ...entry, snapshot: packed })
}

/** Reads one entry, but for what a snapshot holds; throws an `Error` that says what is wrong with it. */
export function openEntry(bytes: Uint8Array): PackedEntry {
  return checked(PackedEntry, bytes)
}

/** Unpacks a snapshot piece by piece, so that a process may do something else between two of them. Throws as `openEntry`. */
export function* unpack(entry: PackedEntry): Generator<undefined, Entry> {
  if (entry.version === 1 || !entry.snapshot) return entry as Entry
  const { agents, unreachable, gone } = entry.snapshot
  const snapshot = {
    ...entry.snapshot,
    agents: yield* unpackAll(SnapshotItems.agents, agents),
    unreachable: yield* unpackAll(SnapshotItems.departed, unreachable),
    gone: yield* unpackAll(SnapshotItems.departed, gone),
  }
  return { ...entry, snapshot }
}

/** Reads one entry, the whole of it; throws an `Error` that says what is wrong with it. */
export function decodeEntry(bytes: Uint8Array): Entry {
  const reading = unpack(openEntry(bytes))
  for (;;) {
    const { done, value } = reading.next()
    if (done) return value
  }
}

function inPieces(items: readonly unknown[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let i = 0; i < items.length; i += PIECE) pieces.push(encode(items.slice(i, i + PIECE)))
  return pieces
}

function* unpackAll<T>(
  schema: v.GenericSchema<unknown, T[]>,
  pieces: readonly Uint8Array[],
): Generator<undefined, T[]> {
  const items: T[] = []
  for (const piece of pieces) {
    for (const item of checked(schema, piece)) items.push(item)
    yield
  }
  return items
}

function checked<T>(schema: v.GenericSchema<unknown, T>, bytes: Uint8Array): T {
  // One of version 1 has a large cluster whole. What was admitted to it is bounded where it is admitted.
  const found = v.safeParse(schema, decode(bytes, Number.POSITIVE_INFINITY))
  if (found.success) return found.output
  const issue = found.issues[0]
  throw new Error(`not a registry entry: ${v.getDotPath(issue) ?? ''} ${issue.message}`)
}

/** One operation as replay sees it. */
export interface Applied {
  readonly operation: Operation
  readonly changed: boolean
}

/** The registry at some position of the log, moved on entry by entry. */
export class Replay {
  registry = new Registry()
  /** Operations since the beginning of time, those before a snapshot included. */
  sequence = 0

  /** Applies an entry. An entry is written only after its operations were found to apply, so none fails here. */
  apply(entry: Entry): readonly Applied[] {
    if (entry.snapshot) {
      this.registry = Registry.of(entry.snapshot)
      this.sequence = entry.sequence
    }
    const operations = entry.operations ?? []
    this.sequence += operations.length
    return operations.map(operation => ({ operation, changed: this.registry.apply(operation) }))
  }
}
