// The agent's flags about containerizers and Docker, in Mesos' spelling. `--sandbox_directory`, `--cgroups_enable_cfs` and
// `--cgroups_hierarchy` hold for Docker's containers too.

import { hours } from '../../base/duration.ts'
import { UserError } from '../../base/errors.ts'
import { defineFlags, flag, type FlagValues } from '../../base/flags.ts'

const group = 'Docker'

export const CONTAINERIZERS = ['docker', 'mesos'] as const
export type ContainerizerName = (typeof CONTAINERIZERS)[number]

export const dockerFlags = defineFlags({
  containerizers: flag.string({
    group,
    default: 'mesos',
    help: 'Who runs containers, joined by commas. docker: those that ask for it (type DOCKER), by the docker command. mesos: all others.',
    example: 'docker,mesos',
    validate: text => {
      const parsed = parseContainerizers(text)
      return typeof parsed === 'string' ? parsed : undefined
    },
  }),
  docker: flag.string({
    group,
    default: 'docker',
    help: "The docker command: a path, or a name that is looked up in the agent's PATH.",
  }),
  docker_socket: flag.path({
    group,
    default: '/var/run/docker.sock',
    help: "Docker's socket on this machine.",
  }),
  docker_config: flag.json(readConfig, {
    group,
    secret: true,
    help: 'What the docker command has in its config.json, such as the credentials of registries, which the agent uses for images that it fetches itself, too: JSON, or the path of a file with it.',
    example: '/etc/mesos/docker.json',
  }),
  docker_remove_delay: flag.duration({
    group,
    default: hours(6),
    min: 0,
    help: 'How long a container that has ended is kept by Docker, to be looked at.',
  }),
  docker_stop_timeout: flag.duration({
    group,
    default: 0,
    min: 0,
    help: 'How long a Docker task that is killed may take to end, if neither it nor the kill says so; 0: as long as any other task.',
  }),
  docker_kill_orphans: flag.boolean({
    group,
    default: true,
    help: 'At its start the agent ends containers that agents of its work directory left behind and no checkpoint names.',
  }),
})

export type DockerFlags = FlagValues<typeof dockerFlags>

/** The names in a list, or what is wrong with it. */
export function parseContainerizers(text: string): ReadonlySet<ContainerizerName> | string {
  const names = new Set<ContainerizerName>()
  for (const part of text.split(',')) {
    const name = CONTAINERIZERS.find(known => known === part.trim())
    if (!name) return `'${part.trim()}' is no containerizer; there are ${CONTAINERIZERS.join(', ')}`
    names.add(name)
  }
  return names
}

/** Of a text that was checked when the flags were read. */
export function containerizersOf(text: string): ReadonlySet<ContainerizerName> {
  const parsed = parseContainerizers(text)
  return typeof parsed === 'string' ? new Set() : parsed
}

/** Flags that say something to Docker only; or, credentials, to who fetches images. */
export function dockerErrors(flags: DockerFlags, fetchesImages: boolean): string[] {
  if (containerizersOf(flags.containerizers).has('docker')) return []
  return (Object.keys(dockerFlags) as (keyof DockerFlags)[])
    .filter(name => name !== 'containerizers' && flags[name] !== dockerFlags[name].default)
    .filter(name => name !== 'docker_config' || !fetchesImages)
    .map(
      name => `Flag '--${name}' is for the containerizer 'docker', which --containerizers has not.`,
    )
}

function readConfig(json: unknown): Readonly<Record<string, unknown>> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new UserError('invalid_value', 'it is not a JSON object')
  }
  return json as Record<string, unknown>
}
