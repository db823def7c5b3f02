// Whether programs of others, which serve as yardsticks, are on this machine.

import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Why what needs these commands cannot be measured here; undefined if it can. */
export function missingCommands(
  commands: readonly string[],
  packages: readonly string[],
): string | undefined {
  const absent = commands.filter(command => !isInPath(command))
  if (absent.length === 0) return undefined
  return `there is no ${absent.join(', ')} (apt-get install ${packages.join(' ')})`
}

function isInPath(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some(folder => {
    return isAccessible(join(folder, command), constants.X_OK)
  })
}

export function isAccessible(path: string, mode: number = constants.R_OK): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
