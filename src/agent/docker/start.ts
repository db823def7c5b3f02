// Puts the Docker containerizer together, in front of the one that runs all else, and makes sure that Docker answers.

import type { Clock } from '../../actors/clock.ts'
import { UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import type { IsolationFlags } from '../containerizer/flags.ts'
import { cpuIsolator } from '../containerizer/isolator-cpu.ts'
import { memoryIsolator } from '../containerizer/isolator-memory.ts'
import { blkioIsolator } from '../containerizer/isolators-cgroups.ts'
import type { Processes } from '../processes.ts'
import { DockerCgroups } from './docker-cgroups.ts'
import { commandEnvironment, DockerCommand, findCommand } from './docker-command.ts'
import { DockerContainerizer } from './docker-containerizer.ts'
import { DockerRecords } from './docker-records.ts'
import { messageIn } from './docker-state.ts'
import { containerizersOf, type DockerFlags } from './flags.ts'
import { ImagePulls } from './image-pulls.ts'
import { Removals } from './removals.ts'

const ANSWER_MS = 30_000

export type Closable = Processes & { close(): Promise<void> }

export interface DockerStart {
  readonly flags: DockerFlags & IsolationFlags
  readonly runtimeDir: string
  readonly token: string
  readonly machineBytes: number
  /** The agent's. */
  readonly path: string
  readonly clock: Clock
  readonly log: Logger
  /** Starts the containerizer for all else. */
  readonly inner: () => Promise<Closable>
}

/** Rejects with a `UserError` if Docker is wanted and does not answer. Nothing runs then. */
export async function startDocker(start: DockerStart): Promise<Closable> {
  const { flags, runtimeDir, token, machineBytes, path, clock, log, inner } = start
  if (!containerizersOf(flags.containerizers).has('docker')) return inner()
  const program = findCommand(flags.docker, path)
  if (program === undefined) {
    throw new UserError('not_found', `There is no command '${flags.docker}'.`, {
      hint: "Say with '--docker' where it is, or leave docker out of '--containerizers'.",
    })
  }
  const records = new DockerRecords(runtimeDir, token)
  const config = flags.docker_config
  if (config) records.config(config)
  const docker = new DockerCommand(
    [
      program,
      '--host',
      `unix://${flags.docker_socket}`,
      ...(config ? ['--config', records.configDir] : []),
    ],
    commandEnvironment(path),
  )
  const { ok, stdout, stderr } = await docker.run(['version', '--format={{.Server.Version}}'], {
    timeoutMs: ANSWER_MS,
  })
  if (!ok || !/^\d+\./.test(stdout)) {
    throw new UserError('unavailable', `Docker does not answer: ${messageIn(stderr)}`, {
      hint: "Start it, say with '--docker_socket' where it listens, or leave docker out of '--containerizers'.",
    })
  }
  log.info({ version: stdout.trim(), socket: flags.docker_socket }, 'Docker answers')
  // Before there is a guard, which reads it.
  records.command(docker.words)
  const cgroups = new DockerCgroups(flags.cgroups_hierarchy)
  return new DockerContainerizer({
    inner: await inner(),
    docker,
    pulls: new ImagePulls(docker),
    records,
    removals: new Removals({ docker, delayMs: flags.docker_remove_delay, clock, log }),
    cgroups,
    isolators: [
      cpuIsolator(cgroups, flags.cgroups_enable_cfs),
      memoryIsolator({ cgroups, limitsSwap: false, machineBytes }),
      blkioIsolator(cgroups),
    ],
    settings: {
      token,
      sandboxDirectory: flags.sandbox_directory,
      isCpuBounded: flags.cgroups_enable_cfs,
      machineBytes,
    },
    killsOrphans: flags.docker_kill_orphans,
    clock,
    log,
  })
}
