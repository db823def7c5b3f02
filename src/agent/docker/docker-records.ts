// What is on record of Docker's containers in the runtime directory, for the guard and for the next agent. One of the few files
// that may touch the world.
//
//   <runtime_dir>/docker/<token>/
//   ├── command                 the words of the docker command, one a line
//   ├── config.json             --docker_config
//   ├── containers/<id>         there before the container is, until it has ended
//   └── environments/<id>       its environment, until it has been created

import { rmSync, writeFileSync } from 'node:fs'
import { makeDirectories } from '../make-directories.ts'

const OWNER_ONLY = 0o600

export class DockerRecords {
  readonly #dir: string

  constructor(runtimeDir: string, token: string) {
    this.#dir = `${runtimeDir}/docker/${token}`
    makeDirectories(`${this.#dir}/containers`)
    makeDirectories(`${this.#dir}/environments`)
  }

  /** Where the docker command finds a `config.json`. */
  get configDir(): string {
    return this.#dir
  }

  command(words: readonly string[]): void {
    writeFileSync(`${this.#dir}/command`, words.map(word => `${word}\n`).join(''))
  }

  config(config: Readonly<Record<string, unknown>>): void {
    const path = `${this.#dir}/config.json`
    rmSync(path, { force: true })
    writeFileSync(path, JSON.stringify(config), { mode: OWNER_ONLY })
  }

  add(id: string): void {
    writeFileSync(`${this.#dir}/containers/${id}`, '')
  }

  remove(id: string): void {
    rmSync(`${this.#dir}/containers/${id}`, { force: true })
    this.removeEnvironment(id)
  }

  envPath(id: string): string {
    return `${this.#dir}/environments/${id}`
  }

  writeEnvironment(id: string, text: string): void {
    writeFileSync(this.envPath(id), text, { mode: OWNER_ONLY })
  }

  removeEnvironment(id: string): void {
    rmSync(this.envPath(id), { force: true })
  }
}
