// Accounts of the machine, under which tasks run. One of the few files that may touch the world.

import { execFile } from 'node:child_process'
import { chmod, chown, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { UserError } from '../../base/errors.ts'
import { OUTPUT_FLAGS, OUTPUT_MODE } from '../output-files.ts'
import type { Account } from './container.ts'

const run = promisify(execFile)

/** An account that was looked up is known for so long; an operator who changes its groups does not restart agents. */
const KNOWN_MS = 60_000
const LOOKUP_MS = 5_000
/** A name that `id` cannot take for an option. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?$/

/** Entered, but not listed. */
const PASSAGE_MODE = 0o711

export interface Accounts {
  /** Rejects with a `UserError` if there is none of this name. */
  find(name: string): Promise<Account>
  /** Gives a sandbox and its files of output to an account, and a way to it through the sandbox that it is nested in. */
  give(account: Account, place: SandboxOf): Promise<void>
}

interface SandboxOf {
  readonly cwd: string
  readonly parentSandbox?: string
  readonly stdoutPath: string
  readonly stderrPath: string
}

/** As the system's name service knows them, by id(1): it may be a directory of a whole company. */
export class SystemAccounts implements Accounts {
  readonly #now: () => number
  readonly #known = new Map<string, { readonly atMs: number; readonly account: Promise<Account> }>()

  constructor(now: () => number) {
    this.#now = now
  }

  find(name: string): Promise<Account> {
    const known = this.#known.get(name)
    if (known && this.#now() - known.atMs < KNOWN_MS) return known.account
    for (const [other, { atMs }] of this.#known) {
      if (this.#now() - atMs >= KNOWN_MS) this.#known.delete(other)
    }
    const account = lookUp(name)
    this.#known.set(name, { atMs: this.#now(), account })
    // One that is not there may be made any moment.
    account.catch(() => this.#known.delete(name))
    return account
  }

  async give({ uid, gid }: Account, place: SandboxOf): Promise<void> {
    for (const path of [place.stdoutPath, place.stderrPath]) {
      const file = await open(path, OUTPUT_FLAGS, OUTPUT_MODE)
      try {
        await file.chown(uid, gid)
      } finally {
        await file.close()
      }
    }
    await chown(place.cwd, uid, gid)
    if (place.parentSandbox === undefined) return
    await chmod(place.parentSandbox, PASSAGE_MODE)
    await chmod(dirname(place.cwd), PASSAGE_MODE)
  }
}

async function lookUp(name: string): Promise<Account> {
  const none = (why: string): UserError =>
    new UserError('not_found', `there is no account '${name}' on this machine${why}`)
  if (!NAME.test(name)) throw none('')
  const ask = async (what: string): Promise<number[]> => {
    const { stdout } = await run('id', [what, name], { timeout: LOOKUP_MS })
    return stdout.trim().split(/\s+/).map(Number)
  }
  try {
    const [[uid], [gid], groups] = await Promise.all([ask('-u'), ask('-g'), ask('-G')])
    if (!Number.isSafeInteger(uid) || !Number.isSafeInteger(gid))
      throw new Error('id(1) gives no number')
    return { uid: uid!, gid: gid!, groups: groups.filter(group => Number.isSafeInteger(group)) }
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string }
    throw none(stderr.trim() === '' ? '' : `: ${stderr.trim()}`)
  }
}
