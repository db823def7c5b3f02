// FIFOs, made in stock: there is no system call for them here, and a program that makes one costs more than all the rest of what a
// log writer does for a container. One of the few files that may touch the world.

import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { promisify } from 'node:util'

const run = promisify(execFile)

const STOCK = 64
const LOW = 16
/** Owner only. Who has one open may open it once more as /dev/stdout; to others there is no way. */
const MODE = '0600'

export class Fifos {
  readonly #directory: string
  readonly #stock: string[] = []
  #made = 0
  #making: Promise<void> | undefined

  /** Uses a directory of its own. */
  constructor(directory: string) {
    this.#directory = directory
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  }

  /** Puts a new one to each of these paths. */
  async put(paths: readonly string[]): Promise<void> {
    while (this.#stock.length < paths.length) await this.#make()
    for (const path of paths) renameSync(this.#stock.pop()!, path)
    if (this.#stock.length < LOW) this.#make().catch(() => {})
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #make(): Promise<void> {
    this.#making ??= this.#fill().finally(() => {
      this.#making = undefined
    })
    return this.#making
  }

  async #fill(): Promise<void> {
    const paths = Array.from({ length: STOCK }, () => `${this.#directory}/${this.#made++}`)
    await run('mkfifo', ['-m', MODE, '--', ...paths])
    this.#stock.push(...paths)
  }
}

/** Removes the stock of writers that are no more. */
export function removeStocks(directory: string, isStock: (name: string) => boolean): void {
  for (const name of readdirSync(directory)) {
    if (isStock(name)) rmSync(`${directory}/${name}`, { recursive: true, force: true })
  }
}
