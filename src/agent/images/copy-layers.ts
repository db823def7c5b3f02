// A root file system that is a copy of an image's layers, one upon the other, for machines without overlayfs. One of the few
// files that may touch the world.
//
// A layer may have a directory where the one below has a link that leads to who knows where. So before a layer is copied, all
// that is in its way is put aside: what is copied then goes only into directories that are none but directories. Nobody else
// writes here meanwhile.

import { lstat, mkdir, readdir, rename } from 'node:fs/promises'
import { run } from './commands.ts'
import type { Marks } from './layer-entries.ts'

export interface CopyPrograms {
  readonly cp: string
  readonly rm: string
}

export interface LayerToCopy extends Marks {
  readonly path: string
}

/** Puts something aside. */
type Take = (path: Buffer) => Promise<void>

/** `target` is there, and empty; `aside`, on the same file system, is not there. */
export async function copyLayers(
  layers: readonly LayerToCopy[],
  target: string,
  aside: string,
  { cp, rm }: CopyPrograms,
): Promise<void> {
  const top = Buffer.from(target)
  let count = 0
  await mkdir(aside)
  const take: Take = path => rename(path, `${aside}/${count++}`)
  for (const [index, { path, whiteouts, opaques }] of layers.entries()) {
    if (index > 0) {
      for (const each of opaques) await takeContents(top, each, take)
      for (const each of whiteouts) await takeOne(top, each, take)
      await clear(Buffer.from(path), top, take)
    }
    await run(cp, '--archive', '--remove-destination', '--', `${path}/.`, target)
  }
  await run(rm, '-rf', '--one-file-system', '--', aside)
}

const below = (directory: Buffer, name: Buffer): Buffer =>
  Buffer.concat([directory, Buffer.from('/'), name])

/** They need not be UTF-8. */
const namesIn = (directory: Buffer): Promise<Buffer[]> => readdir(directory, { encoding: 'buffer' })

async function kindOf(path: Buffer): Promise<'directory' | 'other' | undefined> {
  try {
    return (await lstat(path)).isDirectory() ? 'directory' : 'other'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** The directory of this path (one character a byte), if the way to it is one of directories. */
async function directoryAt(top: Buffer, parts: readonly string[]): Promise<Buffer | undefined> {
  let at = top
  for (const part of parts) {
    at = below(at, Buffer.from(part, 'latin1'))
    if ((await kindOf(at)) !== 'directory') return undefined
  }
  return at
}

const partsOf = (path: string): string[] => path.split('/').filter(part => part !== '')

async function takeContents(top: Buffer, path: string, take: Take): Promise<void> {
  const directory = await directoryAt(top, partsOf(path))
  if (!directory) return
  for (const name of await namesIn(directory)) await take(below(directory, name))
}

async function takeOne(top: Buffer, path: string, take: Take): Promise<void> {
  const parts = partsOf(path)
  const directory = await directoryAt(top, parts.slice(0, -1))
  if (!directory) return
  const at = below(directory, Buffer.from(parts.at(-1)!, 'latin1'))
  if (await kindOf(at)) await take(at)
}

/** Takes what is not a directory where the layer has one, and the other way round. */
async function clear(layer: Buffer, target: Buffer, take: Take): Promise<void> {
  for (const name of await namesIn(layer)) {
    const at = below(target, name)
    const had = await kindOf(at)
    if (!had) continue
    const source = below(layer, name)
    const has = await kindOf(source)
    if (had === 'directory' && has === 'directory') await clear(source, at, take)
    else if (had === 'directory' || has === 'directory') await take(at)
  }
}
