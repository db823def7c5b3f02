// The flags of mesos-execute about the container of its task, and what they describe. Pure.

import { parseReference } from '../../agent/images/reference.ts'
import { messageOf } from '../../base/errors.ts'
import { defineFlags, flag, type FlagValues } from '../../base/flags.ts'
import type { CommandInfo } from '../../messages/command.ts'
import type { ContainerInfo } from '../../messages/container.ts'

export const containerFlags = defineFlags({
  containerizer: flag.choice(['mesos', 'docker'] as const, {
    default: 'mesos',
    help: 'Who runs the container on the agent. docker needs --docker_image.',
  }),
  docker_image: flag.string({
    help: 'Image to run the command in. With --no-shell, or --containerizer=docker, the command may be left out: then the image says what runs.',
    example: 'busybox:1.36',
    validate: problemWithImage,
  }),
  networks: flag.list({
    help: 'Networks that the container joins. With --containerizer=docker one: host, bridge, none, or the name of one of its own.',
    example: 'bridge',
  }),
  tty: flag.boolean({
    help: "Give the command a terminal, to which 'mesos task attach' leads.",
  }),
})

export type ContainerFlags = FlagValues<typeof containerFlags>

/** What is wrong with them together. */
export function containerErrors({
  containerizer,
  docker_image,
  networks = [],
  tty,
}: ContainerFlags) {
  if (containerizer === 'mesos') return []
  const errors: string[] = []
  if (docker_image === undefined) errors.push("'--containerizer=docker' needs '--docker_image'.")
  if (networks.length > 1) errors.push("'--containerizer=docker' takes one network.")
  if (tty) errors.push("'--containerizer=docker' has no '--tty'.")
  return errors
}

/** Undefined if nothing is wanted of it. */
export function containerOf(flags: ContainerFlags): ContainerInfo | undefined {
  const { containerizer, docker_image: image, networks = [], tty } = flags
  if (containerizer === 'docker') {
    const [name = 'host'] = networks
    const network = (['HOST', 'BRIDGE', 'NONE'] as const).find(each => each.toLowerCase() === name)
    return {
      type: 'DOCKER',
      docker: { image: image ?? '', network: network ?? 'USER' },
      ...(network === undefined && { network_infos: [{ name }] }),
    }
  }
  if (image === undefined && networks.length === 0 && !tty) return undefined
  return {
    type: 'MESOS',
    ...(image !== undefined && { mesos: { image: { type: 'DOCKER', docker: { name: image } } } }),
    ...(networks.length > 0 && { network_infos: networks.map(name => ({ name })) }),
    ...(tty && { tty_info: {} }),
  }
}

/** The words of a command: Docker names the program itself, others are told its name first. */
export function wordsOf(
  command: string | undefined,
  { containerizer }: ContainerFlags,
): CommandInfo {
  const words = (command ?? '').split(/\s+/).filter(word => word !== '')
  if (words.length === 0) return { shell: false }
  if (containerizer === 'mesos') return { shell: false, value: words[0]!, arguments: words }
  return { shell: false, value: words[0]!, arguments: words.slice(1) }
}

function problemWithImage(text: string): string | undefined {
  try {
    parseReference(text)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}
