// Records of actors of a real process, as files. One of the few files that may touch the world.

import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Logger } from '../base/log.ts'
import { Recorder } from './recorder.ts'

/**
 * Records the actors that `LIBPROCESS_RECORD` names (`registrar(1),master`), for a replay in a test. When one ends, its record
 * is written to `<id>@<host>:<port>.record` in `LIBPROCESS_RECORD_DIR` (default: the current directory), for nobody but this
 * user to read: it has the bodies of all messages. A process that is killed by SIGKILL writes none. Undefined: nobody
 * is to be recorded.
 */
export function recordFiles(
  env: Readonly<Record<string, string | undefined>>,
  log: Logger,
): ((id: string, address: string) => Recorder | undefined) | undefined {
  const ids = new Set((env['LIBPROCESS_RECORD'] ?? '').split(',').map(id => id.trim()))
  ids.delete('')
  if (ids.size === 0) return undefined
  const directory = resolve(env['LIBPROCESS_RECORD_DIR'] ?? '.')
  return (id, address) => {
    if (!ids.has(id)) return undefined
    const path = join(directory, `${id}@${address}.record`)
    log.warn({ recorded: id, path }, 'this actor is recorded, with all that it is told')
    return new Recorder({
      onEnd: recorder => {
        try {
          writeFileSync(path, recorder.toBytes(), { mode: 0o600 })
          log.info({ recorded: id, path, truncated: recorder.truncated }, 'record written')
        } catch (error) {
          log.error({ recorded: id, error }, 'the record could not be written')
        }
      },
    })
  }
}
