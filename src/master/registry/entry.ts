// Registry entries as bytes of the replicated log, and the way from a prefix of the log to the registry.

import * as v from 'valibot'
import { decode, encode } from '../../actors/codec.ts'
import { Entry, type Operation } from './operations.ts'
import { Registry } from './registry.ts'

export function encodeEntry(entry: Entry): Uint8Array {
  return encode(entry)
}

/** Reads one entry; throws an `Error` that says what is wrong with it. */
export function decodeEntry(bytes: Uint8Array): Entry {
  // A snapshot of a large cluster is one entry. What was admitted to it is bounded where it is admitted.
  const checked = v.safeParse(Entry, decode(bytes, Number.POSITIVE_INFINITY))
  if (checked.success) return checked.output
  const issue = checked.issues[0]
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
