// Old sandboxes on the real disk. One of the few files that may touch the world.

import { execFile } from 'node:child_process'
import { lstat, readdir, readlink, rmdir, statfs, unlink } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { promisify } from 'node:util'
import { metaAgentsDir, metaLatestLink } from '../checkpoint/meta-paths.ts'
import { agentsDir } from '../paths.ts'
import type { Garbage, GarbageDisk } from './garbage-disk.ts'

const run = promisify(execFile)

const LATEST = /^latest(\.\d+\.new)?$/
/** What rm says of a directory is as much as can be read. */
const MAX_OUTPUT_BYTES = 64 * 1024

export class SystemGarbageDisk implements GarbageDisk {
  readonly #workDir: string

  constructor(workDir: string) {
    this.#workDir = workDir
  }

  async find(): Promise<readonly Garbage[]> {
    const found: Garbage[] = []
    const agents = agentsDir(this.#workDir)
    for (const agent of await namesIn(agents)) {
      for (const framework of await namesIn(`${agents}/${agent}/frameworks`)) {
        const executors = `${agents}/${agent}/frameworks/${framework}/executors`
        for (const executor of await namesIn(executors)) {
          const runs = `${executors}/${executor}/runs`
          for (const id of await namesIn(runs)) found.push(...(await garbageAt(`${runs}/${id}`)))
        }
      }
    }
    const meta = metaAgentsDir(this.#workDir)
    const own = await this.#ownId()
    for (const agent of await namesIn(meta)) {
      if (agent !== own) found.push(...(await garbageAt(`${meta}/${agent}`)))
    }
    return found
  }

  /** Of the agent that is here: its checkpoints are its own matter. */
  async #ownId(): Promise<string | undefined> {
    try {
      return basename(await readlink(metaLatestLink(this.#workDir)))
    } catch {
      return undefined
    }
  }

  async used(): Promise<number> {
    const { blocks, bavail } = await statfs(this.#workDir)
    return blocks === 0 ? 0 : 1 - bavail / blocks
  }

  /**
   * By rm(1): it goes down by directories that it has open, so that nobody can lead it elsewhere by putting a link in its way, and
   * the agent's threads do not wait for a disk with millions of files.
   */
  async remove(path: string): Promise<void> {
    await run('rm', ['-rf', '--one-file-system', '--', path], { maxBuffer: MAX_OUTPUT_BYTES })
    await unlinkLatest(dirname(path), basename(path))
    // runs, the executor, executors, the framework, frameworks, the agent. Those that are not empty stay.
    const agents = `${agentsDir(this.#workDir)}/`
    for (let at = dirname(path); at.startsWith(agents); at = dirname(at)) {
      if (!(await isGone(at))) return
    }
  }
}

/** Entries of a directory that are no links; none if there is none. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries.filter(entry => entry.isDirectory()).map(({ name }) => name)
  } catch {
    return []
  }
}

async function garbageAt(path: string): Promise<Garbage[]> {
  try {
    return [{ path, endedAtMs: (await lstat(path)).mtimeMs }]
  } catch {
    return []
  }
}

/**
 * The links to the latest run, if that is the one that is gone: the link itself, and one that an agent had begun to put in its place
 * when it died.
 */
async function unlinkLatest(directory: string, name: string): Promise<void> {
  try {
    for (const link of await readdir(directory)) {
      if (!LATEST.test(link)) continue
      const path = `${directory}/${link}`
      if (basename(await readlink(path)) === name) await unlink(path)
    }
  } catch {
    // There is none any more.
  }
}

async function isGone(directory: string): Promise<boolean> {
  try {
    await rmdir(directory)
    return true
  } catch {
    return false
  }
}
