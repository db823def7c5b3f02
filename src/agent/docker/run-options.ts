// What the docker command is told for a container. Pure: from what the agent wants to run to words of a command line, which no
// shell ever reads.

import type { ContainerInfo } from '../../messages/container.ts'
import type { Volume } from '../../messages/volume.ts'
import {
  CFS_PERIOD_US,
  cfsQuotaUs,
  cpuShares,
  memoryBytes,
  oomScoreAdj,
} from '../containerizer/cgroup-values.ts'
import { commandEnvironment } from '../environment.ts'
import type { LaunchSpec } from '../processes.ts'

/** The label by which agents of one work directory know their containers among all others of the engine. */
export const LABEL = 'mesos.agent'

const PREFIX = 'mesos-'
export const containerName = (containerId: string): string => `${PREFIX}${containerId}`
export const idOf = (name: string): string => name.slice(PREFIX.length)

export interface RunSettings {
  readonly token: string
  /** `--sandbox_directory`. */
  readonly sandboxDirectory: string
  /** `--cgroups_enable_cfs`. */
  readonly isCpuBounded: boolean
  readonly machineBytes: number
  /** Where the environment will be, if not all of it is among the words. */
  readonly envPath: string
}

export interface RunOptions {
  /** What follows `docker create`. */
  readonly words: readonly string[]
  /** What is to be in the file of the environment: values are nobody's to read in the list of processes. */
  readonly environment: string
}

/** Of a launch that passed `whyNotInDocker`. */
export function runOptions(spec: LaunchSpec, settings: RunSettings): RunOptions {
  const container = spec.container!
  const docker = container.docker!
  const { lines, words: odd } = splitEnvironment(environmentOf(spec, settings.sandboxDirectory))
  const isShell = spec.command?.shell !== false
  return {
    environment: lines.map(line => `${line}\n`).join(''),
    words: [
      `--name=${containerName(spec.containerId)}`,
      `--label=${LABEL}=${settings.token}`,
      ...(spec.taskId === undefined ? [] : [`--label=MESOS_TASK_ID=${spec.taskId}`]),
      ...limits(spec, settings),
      ...(docker.privileged ? ['--privileged'] : []),
      `--env-file=${settings.envPath}`,
      ...odd.map(variable => `--env=${variable}`),
      `--mount=${csv(['type=bind', `source=${spec.cwd}`, `target=${settings.sandboxDirectory}`])}`,
      ...volumes(container, spec.cwd, settings.sandboxDirectory),
      ...network(container),
      ...(isShell ? ['--entrypoint=/bin/sh'] : []),
      ...(docker.parameters ?? []).map(({ key, value }) =>
        key.length === 1 ? `-${key}${value}` : `--${key}=${value}`,
      ),
      '--',
      docker.image,
      ...commandWords(spec),
    ],
  }
}

function commandWords({ command }: LaunchSpec): string[] {
  const { shell, value, arguments: args = [] } = command ?? {}
  if (shell !== false) return ['-c', value ?? '']
  // As in Mesos: what the image begins with (its ENTRYPOINT) is given the value, if there is one, and the arguments.
  return [...(value ? [value] : []), ...args]
}

function limits({ resources, limits: bounds = {} }: LaunchSpec, settings: RunSettings): string[] {
  const { cpus, memMb } = resources ?? { cpus: 0, memMb: 0 }
  const quota = cfsQuotaUs(bounds.cpus ?? (settings.isCpuBounded ? cpus : Number.POSITIVE_INFINITY))
  const soft = memoryBytes(memMb)
  const hard = memoryBytes(bounds.memMb ?? memMb)
  const isBurst = hard > soft
  return [
    `--cpu-shares=${cpuShares(cpus)}`,
    ...(quota === undefined ? [] : [`--cpu-period=${CFS_PERIOD_US}`, `--cpu-quota=${quota}`]),
    ...(Number.isFinite(hard) ? [`--memory=${hard}`] : []),
    ...(isBurst
      ? [
          `--memory-reservation=${soft}`,
          `--oom-score-adj=${oomScoreAdj(soft, settings.machineBytes)}`,
        ]
      : []),
  ]
}

/**
 * What the agent says to executors, as the container sees it, and what the command sets, which wins. What else is in the machine's
 * environment is not the container's: its image has a PATH of its own.
 */
function environmentOf(spec: LaunchSpec, sandbox: string): Record<string, string> {
  const { network = 'HOST' } = spec.container!.docker!
  const agents = Object.entries(spec.env).filter(([name]) => /^(MESOS|LIBPROCESS)_/.test(name))
  const own = {
    ...Object.fromEntries(agents),
    // The machine's address is not the container's to bind to.
    ...(network !== 'HOST' && { LIBPROCESS_IP: '0.0.0.0' }),
    MESOS_SANDBOX: sandbox,
    MESOS_DIRECTORY: sandbox,
    MESOS_CONTAINER_NAME: containerName(spec.containerId),
  }
  return commandEnvironment(own, spec.command)
}

/** Longer lines of a file Docker does not read: 64 KiB, and a character may take four bytes. */
const MAX_VALUE = 15_000

/** Docker's files of variables are lines, with names that shells take; what is no such line is a word of the command. */
export function splitEnvironment(env: Readonly<Record<string, string>>): {
  lines: string[]
  words: string[]
} {
  const [lines, words]: [string[], string[]] = [[], []]
  for (const [name, value] of Object.entries(env)) {
    const isLine =
      /^[A-Za-z_]\w*$/.test(name) && !/[\r\n\0]/.test(value) && value.length < MAX_VALUE
    ;(isLine ? lines : words).push(`${name}=${value}`)
  }
  return { lines, words }
}

function network({ docker, network_infos: infos, hostname }: ContainerInfo): string[] {
  const { network: mode = 'HOST', port_mappings: mappings = [] } = docker!
  const name = mode === 'USER' ? infos![0]!.name! : mode.toLowerCase()
  return [
    `--network=${name}`,
    ...(hostname === undefined ? [] : [`--hostname=${hostname}`]),
    ...mappings.map(
      ({ host_port, container_port, protocol }) =>
        `--publish=${host_port}:${container_port}${protocol ? `/${protocol.toLowerCase()}` : ''}`,
    ),
  ]
}

function volumes({ docker, volumes: list = [] }: ContainerInfo, host: string, inside: string) {
  const driver =
    list.find(({ source }) => source?.docker_volume?.driver)?.source?.docker_volume?.driver ??
    docker!.volume_driver
  return [
    ...list.map(volume => volumeWord(volume, host, inside)),
    ...(driver === undefined ? [] : [`--volume-driver=${driver}`]),
  ]
}

/** Paths that do not begin with a slash are in the sandbox. */
function volumeWord({ container_path, host_path, source, mode }: Volume, host: string, at: string) {
  const inside = below(at, container_path)
  const path = source?.host_path?.path ?? source?.sandbox_path?.path ?? host_path
  const from =
    source?.docker_volume?.name ??
    (source?.sandbox_path ? `${host}/${path}` : path === undefined ? undefined : below(host, path))
  // A volume of nobody's, which goes with the container.
  if (from === undefined) return `--volume=${inside}`
  const spread = source?.host_path?.mount_propagation?.mode
  const propagation =
    spread === 'BIDIRECTIONAL' ? 'rshared' : spread === 'HOST_TO_CONTAINER' ? 'rslave' : undefined
  if (!from.includes(':')) {
    const modes = [mode === 'RO' ? 'ro' : 'rw', ...(propagation ? [propagation] : [])]
    return `--volume=${from}:${inside}:${modes.join(',')}`
  }
  // A sandbox whose path has a colon in it: what is below it cannot be told the short way, which would also make it.
  return `--mount=${csv([
    'type=bind',
    `source=${from}`,
    `target=${inside}`,
    ...(mode === 'RO' ? ['readonly'] : []),
  ])}`
}

const below = (directory: string, path: string): string =>
  path.startsWith('/') ? path : `${directory}/${path}`

/** One record of comma-separated values, as `--mount` wants it: a sandbox's path has ids of tasks in it. */
function csv(fields: readonly string[]): string {
  return fields
    .map(field => (/[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field))
    .join(',')
}
