// What isolators need to find on the machine. One of the few files that may touch the world.

import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { UserError } from '../../base/errors.ts'
import type { TerminalPrograms } from './terminal.ts'
import { capabilitiesIn } from './capabilities.ts'
import type { ContainerStatistics } from './container.ts'
import type { MachinePaths } from './volumes.ts'

const DIRECTORIES = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin']

const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096
/** One look at all processes serves all containers that are asked for at a time. */
const LOOK_MS = 100

/** Where a program is; undefined if nowhere. */
export const programAt = (name: string): string | undefined =>
  DIRECTORIES.map(directory => `${directory}/${name}`).find(each => existsSync(each))

/** The path of a program of util-linux. Not looked for in PATH: tasks are not to choose what runs before them. */
export function findProgram(name: string, neededBy: string): string {
  const path = programAt(name)
  if (path !== undefined) return path
  throw new UserError('not_found', `There is no program '${name}', which '${neededBy}' needs.`, {
    hint: 'It is part of util-linux.',
  })
}

/** What is at a path; undefined if nothing that a container could be given. */
export function kindOfPath(path: string): 'file' | 'directory' | undefined {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found?.isDirectory()) return 'directory'
  return found ? 'file' : undefined
}

export const machinePaths: MachinePaths = {
  kindOf: kindOfPath,
  resolve: path => {
    try {
      return realpathSync(path)
    } catch {
      return undefined
    }
  },
}

/** The most that this process can give to others. */
export function ownCapabilities(): ReadonlySet<string> {
  const status = readFileSync('/proc/self/status', 'utf8')
  return capabilitiesIn(/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0')
}

const MINOR_BITS = 0xffn
const MAJOR_BITS = 0xfffn

/** `c 1:3` of a device's file. */
export function deviceName(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found || (!found.isCharacterDevice() && !found.isBlockDevice())) {
    throw new UserError('invalid_value', `'${path}' of --allowed_devices is no device.`)
  }
  const device = BigInt(found.rdev)
  const major = ((device >> 8n) & MAJOR_BITS) | ((device >> 32n) & ~MAJOR_BITS)
  const minor = (device & MINOR_BITS) | ((device >> 12n) & ~MINOR_BITS)
  return `${found.isBlockDevice() ? 'b' : 'c'} ${major}:${minor}`
}

/** What a session of processes uses. */
export class SessionUsage {
  #sessions = new Map<number, { cpu: { user: number; system: number }; pages: number }>()
  #lookedAtMs = Number.NEGATIVE_INFINITY

  /** Adds what the session that `leader` leads uses. Processes that left it are not seen. */
  cpu(leader: number, statistics: ContainerStatistics): void {
    const { user = 0, system = 0 } = this.#of(leader)?.cpu ?? {}
    statistics.cpus_user_time_secs = user / TICKS_PER_SECOND
    statistics.cpus_system_time_secs = system / TICKS_PER_SECOND
  }

  memory(leader: number, statistics: ContainerStatistics): void {
    statistics.mem_rss_bytes = (this.#of(leader)?.pages ?? 0) * PAGE_BYTES
  }

  #of(leader: number) {
    const now = performance.now()
    if (now - this.#lookedAtMs > LOOK_MS) {
      this.#look()
      this.#lookedAtMs = now
    }
    return this.#sessions.get(leader)
  }

  #look(): void {
    this.#sessions = new Map()
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue
      let text: string
      try {
        text = readFileSync(`/proc/${name}/stat`, 'latin1')
      } catch {
        continue
      }
      // After the name, which may contain anything: the third field of proc(5) is the first one here.
      const fields = text
        .slice(text.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number)
      const session = fields[3]!
      const sum = this.#sessions.get(session) ?? { cpu: { user: 0, system: 0 }, pages: 0 }
      // Its own, and that of children whose end it has seen.
      sum.cpu.user += fields[11]! + fields[13]!
      sum.cpu.system += fields[12]! + fields[14]!
      sum.pages += fields[21]!
      this.#sessions.set(session, sum)
    }
  }
}

/** What terminals take. Throws a `UserError` if one is missing. */
export function terminalPrograms(): TerminalPrograms {
  const find = (name: string): string => findProgram(name, 'a terminal')
  return {
    script: find('script'),
    stty: find('stty'),
    tty: find('tty'),
    chown: find('chown'),
    mkfifo: find('mkfifo'),
  }
}
