// Which log a command looks at, and looking at it: on a stopped or a running master's directory.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { flag, type FlagValues } from '../../base/flags.ts'
import { DamagedLogError, type LogView, viewLog } from '../../log/log.ts'

export const where = {
  work_dir: flag.path({ help: "A master's work_dir; the log is in it, in replicated_log." }),
  path: flag.path({
    help: 'The directory of a log itself, instead of --work_dir.',
    example: '/var/lib/mesos/replicated_log',
  }),
}
type Where = FlagValues<typeof where>

export const position = (help: string) => flag.integer({ help, min: 0 })
export const json = (help = 'One JSON object a line.') => flag.boolean({ help })

/** What is wrong with the two together. */
export function checkWhere({ work_dir, path }: Where): readonly string[] {
  if ((work_dir === undefined) !== (path === undefined)) return []
  return work_dir === undefined
    ? ["One of '--work_dir' and '--path' is required, for example '--work_dir=/var/lib/mesos'."]
    : ["Only one of '--work_dir' and '--path' can be given."]
}

/** What is wrong with a range. */
export function checkRange(range: {
  readonly from: number | undefined
  readonly to: number | undefined
}): readonly string[] {
  const { from = 0, to = Number.MAX_SAFE_INTEGER } = range
  return from <= to ? [] : [`Flag '--from': ${from} is behind '--to', which is ${to}.`]
}

export function directoryOf({ work_dir, path }: Where): string {
  return path ?? join(work_dir!, 'replicated_log')
}

/** The log in a directory that is a master's work_dir, or the log's own. */
export function logIn(directory: string): string {
  const inside = join(directory, 'replicated_log')
  return existsSync(inside) ? inside : directory
}

const MOST_LOOKS = 5

/**
 * Looks at a log, and tells of a torn tail. A running master gives segments back; if it did so in the midst of reading,
 * what is missing is no damage, and the log is looked at again.
 */
export async function look(directory: string): Promise<LogView> {
  for (let looks = 1; ; looks++) {
    const before = listing(directory)
    const view = await viewLog(directory)
    if (view.damage && looks < MOST_LOOKS && listing(directory) !== before) continue
    for (const { message } of view.warnings) process.stderr.write(`mesos-log: ${message}\n`)
    return view
  }
}

/** Changes when a master begins a segment, or gives one back. */
export function listing(directory: string): string {
  try {
    return readdirSync(directory)
      .filter(name => name.endsWith('.log'))
      .join()
  } catch {
    // Whoever reads it says what is wrong with it.
    return ''
  }
}

/** To be called after all that could be read was shown. */
export function refuseDamage({ damage }: LogView): void {
  if (damage instanceof DamagedLogError) throw damage
}
