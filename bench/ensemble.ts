// Three processes with a replica of one log each, on the disk of the temporary folder.

import { join } from 'node:path'
import type { Program } from './program.ts'
import type { ReplicaProgram } from './programs/replica.ts'
import type { Scope } from './scope.ts'

export const REPLICAS = 3

export interface Ensemble {
  /** The one that is elected, and appends. */
  readonly writer: Program<ReplicaProgram>
  readonly all: readonly Program<ReplicaProgram>[]
}

/** Starts them on empty directories and elects the first. */
export async function openEnsemble(scope: Scope): Promise<Ensemble> {
  const folder = scope.temporaryFolder()
  const all = Array.from({ length: REPLICAS }, () => scope.program<ReplicaProgram>('replica'))
  const replicas = await Promise.all(all.map(it => it.call('listen')))
  await Promise.all(
    all.map((it, i) => it.call('open', { directory: join(folder, String(i)), replicas })),
  )
  const writer = all[0]!
  await writer.call('elect')
  return { writer, all }
}
