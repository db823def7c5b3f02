// Runs a program in a container of Docker's: a check of its task. `docker exec` leaves running what it started when it is ended
// itself, so that is found by a mark in its environment, among the processes in the container's group, and killed.

import { UserError } from '../../base/errors.ts'
import type { ExecSpec } from '../processes.ts'
import { exitedWith } from '../wait-status.ts'
import { type DockerCgroups, killMarked } from './docker-cgroups.ts'
import type { DockerCommand } from './docker-command.ts'
import type { DockerContainer } from './docker-ends.ts'
import type { DockerRecords } from './docker-records.ts'
import { messageIn, saysNothingThere } from './docker-state.ts'
import { splitEnvironment } from './run-options.ts'

const MARK = 'MESOS_EXEC_MARK'
/** The container has its own, from its image or its launch. */
const NOT_PASSED: ReadonlySet<string> = new Set(['PATH', 'MESOS_SANDBOX', 'MESOS_DIRECTORY'])

export interface DockerExecsOptions {
  readonly docker: DockerCommand
  readonly records: DockerRecords
  readonly cgroups: DockerCgroups
}

export class DockerExecs {
  readonly #o: DockerExecsOptions
  #count = 0

  constructor(options: DockerExecsOptions) {
    this.#o = options
  }

  /** As `Processes.exec`. */
  async run({ id, name }: DockerContainer, spec: ExecSpec, stop: AbortSignal): Promise<number> {
    const { docker, records, cgroups } = this.#o
    const mark = `${id}.${++this.#count}`
    const given = Object.entries(spec.env).filter(([key]) => !NOT_PASSED.has(key))
    const { lines, words } = splitEnvironment({ ...Object.fromEntries(given), [MARK]: mark })
    records.writeEnvironment(mark, lines.map(line => `${line}\n`).join(''))
    try {
      const { code, stderr } = await docker.run(
        [
          'exec',
          `--env-file=${records.envPath(mark)}`,
          ...words.map(variable => `--env=${variable}`),
          '--',
          name,
          ...spec.argv,
        ],
        { isLong: true, signal: stop },
      )
      if (stop.aborted) killMarked(cgroups, id, `${MARK}=${mark}`)
      // Docker has no other way to say that it is not there.
      if (saysNothingThere(stderr) || /is not running/.test(stderr) || code === undefined) {
        throw new UserError('not_found', messageIn(stderr))
      }
      return exitedWith(code)
    } finally {
      records.removeEnvironment(mark)
    }
  }
}
