// Process groups: who is alive in one, and its end.

import { readdirSync, readFileSync } from 'node:fs'

/**
 * The command lines of a group's processes; those that have ended and wait for their parent to notice do not count.
 * @param {number} group
 * @returns {string[]}
 */
export function groupOf(group) {
  try {
    process.kill(-group, 0)
  } catch {
    return []
  }
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(pid => {
      try {
        // proc(5): `pid (command) state parent group …`; the command may hold any character, so read from its end.
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        const [state, , owner] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        if (Number(owner) !== group || state === 'Z' || state === 'X') return []
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()]
      } catch {
        return [] // it ended meanwhile
      }
    })
}

/**
 * Kills all processes of a group.
 * @param {number} group
 */
export function endGroup(group) {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // ESRCH: nobody is left
  }
}
