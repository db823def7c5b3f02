// A directory that is the /dev of containers with a root file system of their own: device files, and programs of the
// machine with their loader and libraries, so that they run where nothing else of the machine is left. Made once and kept,
// as containers that outlive an agent go on using it. One of the few files that may touch the world.
//
//   <runtime_dir>/dev-<what is in it>/
//   ├── null zero full random urandom tty    devices
//   ├── ptmx fd stdin stdout stderr          links
//   ├── pts shm mqueue                       places for mounts
//   └── .mesos/
//       ├── bin lib                          programs, their loader and libraries
//       └── old                              where the machine's root is while it is left

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { messageOf, UserError } from '../../base/errors.ts'
import { makeDirectories } from '../make-directories.ts'
import type { Toolbox } from './container.ts'
import { closed } from './closed-program.ts'
import { OLD_ROOT, PLAIN_PATH } from './mount-script.ts'
import { findProgram } from './system-programs.ts'

const run = promisify(execFile)

const INSIDE = '/dev/.mesos'
/** Whoever may use the agent's containers may use these devices: major and minor numbers, as in mem(4) and tty(4). */
const DEVICES: Readonly<Record<string, readonly [string, string]>> = {
  null: ['1', '3'],
  zero: ['1', '5'],
  full: ['1', '7'],
  random: ['1', '8'],
  urandom: ['1', '9'],
  tty: ['5', '0'],
}
const LINKS: Readonly<Record<string, string>> = {
  ptmx: 'pts/ptmx',
  fd: '/proc/self/fd',
  stdin: '/proc/self/fd/0',
  stdout: '/proc/self/fd/1',
  stderr: '/proc/self/fd/2',
}
const PLACES = ['pts', 'shm', 'mqueue', OLD_ROOT, '.mesos/bin', '.mesos/lib']
const NETWORK_FILES = ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf']

/** Of what is made of the programs. Another one does not find what agents before it made. */
const EDITION = 'closed'
const PROGRAM_MODE = 0o755

/** What a program is linked with, as ldd(1) tells it: a loader, and files that are in the loader's library path. */
interface Linking {
  readonly loader: string | undefined
  readonly libraries: readonly string[]
}

/** Reads ldd's lines: `libc.so.6 => /lib/libc.so.6 (0x…)`, or a path alone for the loader. */
export function linkingOf(ldd: string): Linking {
  const libraries: string[] = []
  let loader: string | undefined
  for (const line of ldd.split('\n')) {
    const [, name, path] = /^\s*(?:(\S+) => )?(\/\S+) \(0x/.exec(line) ?? []
    if (path === undefined) continue
    if (name === undefined) loader = path
    else libraries.push(path)
  }
  // musl's C library is its loader.
  loader ??= libraries.find(path => basename(path).startsWith('ld-'))
  return { loader, libraries: libraries.filter(path => path !== loader) }
}

/** Makes it, or finds the one that is there. Rejects with a `UserError` if it cannot be made. */
export async function makeToolbox(
  runtimeDir: string,
  programs: readonly string[],
): Promise<Toolbox> {
  try {
    const linkings = new Map<string, Linking>()
    for (const program of programs) linkings.set(program, await linking(program))
    const all = [...linkings].flatMap(([program, { loader = '', libraries }]) => [
      program,
      loader,
      ...libraries,
    ])
    const mark = createHash('sha256')
      .update([EDITION, ...all].join('\n'))
      .digest('hex')
      .slice(0, 12)
    const directory = `${runtimeDir}/dev-${mark}`
    if (!existsSync(directory)) await make(directory, linkings)
    const commands = new Map(
      [...linkings].map(([program, its]) => [program, commandOf(program, its)]),
    )
    return {
      directory,
      networkFiles: NETWORK_FILES.filter(path => existsSync(path)),
      command: program => commands.get(program)!,
    }
  } catch (error) {
    throw new UserError(
      'internal',
      `The programs that 'filesystem/linux' needs in containers could not be put together: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

async function linking(program: string): Promise<Linking> {
  try {
    const { stdout } = await run('ldd', [program], { env: { PATH: '/usr/bin:/bin' } })
    return linkingOf(stdout)
  } catch (error) {
    // It says so of a static program by its exit status.
    if (/not a (valid )?dynamic/.test(messageOf(error))) return { loader: undefined, libraries: [] }
    throw error
  }
}

function commandOf(program: string, { loader }: Linking): readonly string[] {
  const path = `${INSIDE}/bin/${basename(program)}`
  const words =
    loader === undefined
      ? [path]
      : [`${INSIDE}/lib/${basename(loader)}`, '--library-path', `${INSIDE}/lib`, path]
  const odd = words.find(word => !PLAIN_PATH.test(word))
  if (odd !== undefined) throw new Error(`'${odd}' is no plain path`)
  return words
}

/** Under another name until it is whole: an agent may die on the way, and two may make it at once. */
async function make(directory: string, linkings: ReadonlyMap<string, Linking>): Promise<void> {
  const unfinished = `${directory}.${process.pid}`
  await rm(unfinished, { recursive: true, force: true })
  makeDirectories(unfinished)
  for (const place of PLACES) await mkdir(`${unfinished}/${place}`, { recursive: true })
  const mknod = findProgram('mknod', 'filesystem/linux')
  for (const [name, numbers] of Object.entries(DEVICES)) {
    await run(mknod, ['-m', '666', `${unfinished}/${name}`, 'c', ...numbers])
  }
  for (const [name, target] of Object.entries(LINKS)) await symlink(target, `${unfinished}/${name}`)
  for (const [program, { loader, libraries }] of linkings) {
    await copyClosed(program, `${unfinished}/.mesos/bin`)
    for (const file of loader === undefined ? libraries : [loader, ...libraries]) {
      await copyClosed(file, `${unfinished}/.mesos/lib`)
    }
  }
  try {
    await rename(unfinished, directory)
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true })
    if (!existsSync(directory)) throw error
  }
}

async function copyClosed(file: string, directory: string): Promise<void> {
  const bytes = closed(await readFile(file))
  await writeFile(`${directory}/${basename(file)}`, bytes, { mode: PROGRAM_MODE })
}
