// The processes of this machine as /proc shows them, and which of them belong to which container. One of the few files
// that may touch the world.
//
// A process belongs to a container if it is below the container's first process, or in its group or session, or carries
// its *mark*: a variable in the environment that the first process was given and that all below it inherit. The mark
// finds those who left the session and whose parents have ended, so that nothing else leads to them. Who clears the
// environment as well is not found; only the kernel's control groups hold such a process.

import { readdirSync, readFileSync } from 'node:fs'
import { CONTAINER_MARK } from './shell-scripts.ts'

/** What `/proc/<pid>/stat` says of a process. */
export interface Stat {
  readonly pid: number
  /** One letter; `Z` has ended, and its parent has not asked how. */
  readonly state: string
  readonly parent: number
  readonly group: number
  readonly session: number
  /** Clock ticks since boot; with the pid it names a process for ever. */
  readonly start: string
}

/** The value of the mark of one container of the agent with this token. */
export function markOf(token: string, containerId: string): string {
  return `${token}/${containerId}`
}

/** Undefined when there is no such process. */
export function readStat(pid: number): Stat | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // The second field is the program's name in parentheses and may contain both blanks and parentheses.
  const [state, parent, group, session, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const start = rest[15]!
  return {
    pid,
    state: state!,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    start,
  }
}

export class ProcessTable {
  /**
   * Processes that are known to have no mark of ours, by pid: their start. The mark is there from a process' birth, so
   * they never get one, and need not be read again at the next look.
   */
  #unmarked = new Map<number, string>()

  /** For each root, given with its mark: itself, its group and session, all that carry its mark, and what is below these. */
  trees(roots: ReadonlyMap<number, string>): Map<number, Stat[]> {
    const stats = allStats()
    const children = new Map<number, Stat[]>()
    for (const stat of stats) {
      const siblings = children.get(stat.parent)
      if (siblings) siblings.push(stat)
      else children.set(stat.parent, [stat])
    }
    const byRoot = new Map<number, Stat[]>([...roots.keys()].map(root => [root, []]))
    const seen = new Set<number>()
    const add = (members: Stat[], stat: Stat): void => {
      if (seen.has(stat.pid)) return
      seen.add(stat.pid)
      members.push(stat)
      for (const child of children.get(stat.pid) ?? []) add(members, child)
    }
    for (const stat of stats) {
      const members = [stat.pid, stat.session, stat.group].find(id => byRoot.has(id))
      if (members !== undefined) add(byRoot.get(members)!, stat)
    }
    const byMark = new Map([...roots].map(([root, mark]) => [mark, byRoot.get(root)!]))
    for (const [stat, mark] of this.#marked(stats.filter(({ pid }) => !seen.has(pid)))) {
      const members = byMark.get(mark)
      if (members) add(members, stat)
    }
    return byRoot
  }

  /** The processes with a mark of this agent whose containers do not live. */
  leftBehind(token: string, lives: (containerId: string) => boolean): Stat[] {
    const ours = markOf(token, '')
    return [...this.#marked(allStats())]
      .filter(([, mark]) => mark.startsWith(ours) && !lives(mark.slice(ours.length)))
      .map(([stat]) => stat)
  }

  *#marked(stats: readonly Stat[]): IterableIterator<[Stat, string]> {
    const unmarked = new Map<number, string>()
    for (const stat of stats) {
      const { pid, start } = stat
      const mark = this.#unmarked.get(pid) === start ? '' : readMark(pid)
      if (mark === '') unmarked.set(pid, start)
      else if (mark !== undefined) yield [stat, mark]
    }
    this.#unmarked = unmarked
  }
}

/** Whether there is a process with a mark of this agent whose container does not live. Asked once: nothing is remembered. */
export function isAnyLeftBehind(token: string, lives: (containerId: string) => boolean): boolean {
  const ours = markOf(token, '')
  return readdirSync('/proc').some(name => {
    const mark = /^\d+$/.test(name) ? readMark(Number(name)) : undefined
    return mark?.startsWith(ours) === true && !lives(mark.slice(ours.length))
  })
}

const VARIABLE = `\0${CONTAINER_MARK}=`

/** The mark of a process; empty if it has none, undefined if that cannot be known at present. */
function readMark(pid: number): string | undefined {
  let environment: string
  try {
    environment = readFileSync(`/proc/${pid}/environ`, 'latin1')
  } catch {
    return undefined
  }
  // Empty: the kernel's own, one that has ended, or one that is just becoming another program.
  if (environment === '') return undefined
  const text = `\0${environment}`
  const at = text.indexOf(VARIABLE)
  return at === -1 ? '' : text.slice(at + VARIABLE.length).split('\0', 1)[0]!
}

function allStats(): Stat[] {
  const stats: Stat[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = readStat(Number(name))
    if (stat) stats.push(stat)
  }
  return stats
}
