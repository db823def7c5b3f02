// The name under which the agents of a work directory, one after the other, keep their containers in the runtime directory. One
// of the few files that may touch the world.

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { isToken, newToken } from './agent-guard.ts'
import { metaDir } from './checkpoint/meta-paths.ts'
import { makeDirectories } from './make-directories.ts'

/** Made if there is none. An agent without its predecessors' token does not find their containers, whose guard ends them. */
export function runtimeToken(workDir: string): string {
  const path = `${metaDir(workDir)}/runtime_token`
  try {
    const text = readFileSync(path, 'utf8').trim()
    if (isToken(text)) return text
  } catch {
    // There was no agent here yet.
  }
  const token = newToken()
  makeDirectories(metaDir(workDir))
  writeFileSync(`${path}.new`, `${token}\n`)
  renameSync(`${path}.new`, path)
  return token
}
