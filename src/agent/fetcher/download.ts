// Brings a URI's bytes to a file: by HTTP, or from this machine, where the account of the task has to be able to read it. One of
// the few files that may touch the world.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { chown } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { messageOf, UserError } from '../../base/errors.ts'
import type { Account } from '../containerizer/container.ts'
import type { Wanted } from './uri.ts'

export interface DownloadLimits {
  readonly bytes: number
  readonly stallMs: number
}

/** Runs a program as somebody. The environment is not the agent's. */
export const asAccount = (account: Account | undefined) => ({
  ...(account && { uid: account.uid, gid: account.gid }),
  env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' },
})

/** Resolves with the number of bytes. Rejects with a `UserError`; what was written is of no use then. */
export async function download(
  wanted: Wanted,
  path: string,
  account: Account | undefined,
  limits: DownloadLimits,
  stop: AbortSignal,
): Promise<number> {
  const stalled = new AbortController()
  const signal = AbortSignal.any([stop, stalled.signal])
  const hash = wanted.checksum && createHash(wanted.checksum.algorithm)
  let timer: NodeJS.Timeout | undefined
  const moved = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => stalled.abort(), limits.stallMs)
  }
  let bytes = 0
  try {
    moved()
    const source = await sourceOf(wanted, account, signal)
    const counted = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of chunks) {
        moved()
        bytes += chunk.length
        if (bytes > limits.bytes) throw new Error(`it is larger than ${limits.bytes} bytes`)
        hash?.update(chunk)
        yield chunk
      }
    }
    await pipeline(source, counted, createWriteStream(path, { flags: 'wx', mode: 0o600 }), {
      signal,
    })
  } catch (error) {
    if (stop.aborted) throw new UserError('unavailable', 'It was given up.')
    const why = stalled.signal.aborted
      ? `nothing came for ${limits.stallMs / 1000}s`
      : reasonOf(error)
    throw new UserError('unavailable', `'${wanted.uri}' could not be fetched: ${why}`, {
      cause: error,
    })
  } finally {
    clearTimeout(timer)
  }
  // What the account could read of this machine, others may not.
  if (account) await chown(path, account.uid, account.gid)
  const digest = hash?.digest('hex')
  if (digest !== undefined && digest !== wanted.checksum?.hex) {
    throw new UserError(
      'data_damaged',
      `'${wanted.uri}' has the checksum ${wanted.checksum!.algorithm}:${digest}, which is not the one that was given`,
    )
  }
  return bytes
}

async function sourceOf(
  { source }: Wanted,
  account: Account | undefined,
  signal: AbortSignal,
): Promise<Readable> {
  if ('path' in source) return local(source.path, account, signal)
  const response = await fetch(source.url, {
    signal,
    // Bytes as they are: what is compressed is an archive.
    headers: { 'accept-encoding': 'identity', 'user-agent': 'mesos-fetcher' },
  })
  if (!response.ok) {
    await response.body?.cancel()
    throw new Error(`the server answered ${response.status} ${response.statusText}`.trim())
  }
  return Readable.fromWeb((response.body ?? new Blob([]).stream()) as never)
}

/** By cat(1) as the task's account, which may read less than the agent. */
async function local(
  path: string,
  account: Account | undefined,
  signal: AbortSignal,
): Promise<Readable> {
  const child = spawn('cat', ['--', path], {
    ...asAccount(account),
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(0, 300)))
  const ended = once(child, 'close') as Promise<[number | null]>
  ended.catch(() => {})
  const read = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of child.stdout) yield chunk as Buffer
    const [code] = await ended
    if (code !== 0) throw new Error(said.trim() || `cat exited with ${code}`)
  }
  return Readable.from(read())
}

/** fetch says only that it failed; why, its cause says. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown }
  return cause instanceof Error && cause.message !== '' ? cause.message : messageOf(error)
}
