// Puts what was fetched into a sandbox, as it is or unpacked: always by programs that run as the account of the task, so that
// nothing in the sandbox can make the agent write where the task could not. One of the few files that may touch the world.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { chown, mkdir, open, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { messageOf, UserError } from '../../base/errors.ts'
import type { Account } from '../containerizer/container.ts'
import { unpack } from '../images/unpack.ts'
import { asAccount } from './download.ts'
import type { ArchiveLimits, SandboxEntries } from './sandbox-entries.ts'
import type { Wanted } from './uri.ts'

export interface Place {
  readonly sandbox: string
  readonly account: Account | undefined
  readonly entries: SandboxEntries
  readonly limits: ArchiveLimits
  /** Nobody else's; for what is unpacked on the way. */
  readonly scratch: string
  readonly stop: AbortSignal
}

/** Arguments: file, directory below the sandbox, name, and whether it is a program. What is there is replaced, not written to. */
const COPY = `
umask 022
mkdir -p -- "./$2" && cp -T --remove-destination -- "$1" "./$2/$3" || exit
if [ "$4" ]; then chmod 0755 -- "./$2/$3"; fi
`
/** The same of what it is given. */
const WRITE = `
umask 022
mkdir -p -- "./$1" && rm -f -- "./$1/$2" && exec cat >"./$1/$2"
`

/** Rejects with a `UserError` that says what is wrong with the file. */
export async function place(wanted: Wanted, file: string, where: Place): Promise<void> {
  const { packing, uri, isExecutable } = wanted
  // It goes through no link that an archive before it brought.
  const name = where.entries.place(wanted.name)
  const directory = name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '.'
  const base = name.slice(name.lastIndexOf('/') + 1)
  switch (packing) {
    case undefined:
      return shell(where, uri, COPY, file, directory, base, isExecutable ? 'yes' : '')
    case 'gz':
      return gunzip(where, uri, file, directory, base.replace(/\.gz$/, ''))
    case 'tar':
      return untar(where, await uncompressed(file, where))
    case 'zip':
      return unzip(where, uri, file)
  }
}

async function gunzip(
  where: Place,
  uri: string,
  file: string,
  directory: string,
  name: string,
): Promise<void> {
  const { account, entries, sandbox, stop } = where
  const base = entries
    .place(`${directory}/${name}`)
    .slice(directory === '.' ? 0 : directory.length + 1)
  const child = spawn('/bin/sh', ['-c', WRITE, 'sh', directory, base], {
    ...asAccount(account),
    cwd: sandbox,
    stdio: ['pipe', 'ignore', 'ignore'],
    signal: stop,
    killSignal: 'SIGKILL',
  })
  const ended = end(child)
  ended.catch(() => {})
  const bounded = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      entries.count(chunk.length)
      yield chunk
    }
  }
  try {
    await pipeline(createReadStream(file), createGunzip(), bounded, child.stdin, { signal: stop })
    const code = await ended
    if (code !== 0) throw new Error(`it could not be written (${code})`)
  } catch (error) {
    child.kill('SIGKILL')
    const why = messageOf(error)
    throw new UserError('invalid_value', `'${uri}' could not be unpacked: ${why}`, { cause: error })
  }
}

function untar(
  { sandbox, account, entries, limits, stop }: Place,
  archive: Readable,
): Promise<void> {
  const args = ['--extract', '--file=-', '--no-same-owner', '--warning=no-timestamp']
  const child = spawn('tar', args, {
    ...asAccount(account),
    cwd: sandbox,
    stdio: ['pipe', 'ignore', 'pipe'],
    signal: stop,
    killSignal: 'SIGKILL',
  })
  child.on('error', () => {})
  return unpack(archive, { child, entries, limits, seen: () => {}, what: 'the archive' })
}

/** gzip is read by `unpack` itself. */
async function uncompressed(file: string, where: Place): Promise<Readable> {
  const first = await firstBytes(file, 6)
  const program = first.startsWith('BZh')
    ? 'bzip2'
    : first.startsWith('\xfd7zXZ\0')
      ? 'xz'
      : undefined
  if (program === undefined) return createReadStream(file)
  return decompressed(program, file, where)
}

function decompressed(program: string, file: string, { account, stop }: Place): Readable {
  const child = spawn(program, ['-dc', '--', file], {
    ...asAccount(account),
    cwd: '/',
    stdio: ['ignore', 'pipe', 'ignore'],
    signal: stop,
    killSignal: 'SIGKILL',
  })
  const ended = end(child)
  ended.catch(() => {})
  const read = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of child.stdout) yield chunk as Buffer
    const code = await ended
    // What is cut off is not whole, though what came of it might look so.
    if (code !== 0) throw new Error(`${program} exited with ${code}`)
  }
  return Readable.from(read())
}

/** To a directory of its own, and from there as a tar archive, of which it is checked what is safe. */
async function unzip(where: Place, uri: string, file: string): Promise<void> {
  const { account, scratch, limits, stop } = where
  const directory = `${scratch}/zip`
  await mkdir(directory, { mode: 0o700 })
  try {
    if (account) await chown(directory, account.uid, account.gid)
    await run(
      where,
      uri,
      directory,
      'prlimit',
      `--fsize=${limits.bytes}`,
      'unzip',
      '-q',
      '-o',
      file,
    )
    const child = spawn('tar', ['--create', '--file=-', '.'], {
      ...asAccount(account),
      cwd: directory,
      stdio: ['ignore', 'pipe', 'ignore'],
      signal: stop,
      killSignal: 'SIGKILL',
    })
    child.on('error', error => child.stdout.destroy(error))
    await untar(where, child.stdout)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function shell(where: Place, uri: string, script: string, ...args: string[]): Promise<void> {
  return run(where, uri, where.sandbox, '/bin/sh', '-c', script, 'sh', ...args)
}

async function run(
  { account, stop }: Place,
  uri: string,
  cwd: string,
  program: string,
  ...args: string[]
): Promise<void> {
  const child = spawn(program, args, {
    ...asAccount(account),
    cwd,
    stdio: ['ignore', 'ignore', 'pipe'],
    signal: stop,
    killSignal: 'SIGKILL',
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(0, 300)))
  try {
    const code = await end(child)
    if (code !== 0) throw new Error(said.trim() || `${program} exited with ${code}`)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? `there is no program '${program}' on this machine` : message
    throw new UserError('invalid_value', `'${uri}' could not be put into the sandbox: ${why}`, {
      cause: error,
    })
  }
}

async function end(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null]
  return code
}

async function firstBytes(file: string, length: number): Promise<string> {
  const opened = await open(file, 'r')
  try {
    const { buffer, bytesRead } = await opened.read(Buffer.alloc(length), 0, length, 0)
    return buffer.toString('latin1', 0, bytesRead)
  } finally {
    await opened.close()
  }
}
