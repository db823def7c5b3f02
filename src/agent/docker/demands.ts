// What of a task's ContainerInfo the docker command cannot be told, or must not be. Pure. The words of errors that Mesos has are Mesos'.

import type { ContainerInfo } from '../../messages/container.ts'
import type { CommandInfo } from '../../messages/command.ts'
import type { Resource } from '../../messages/resource.ts'
import type { Volume } from '../../messages/volume.ts'

/**
 * Options by which the agent would lose the container, or how it ended. All others are the framework's: who may have Docker run
 * things may have them as root anyway.
 */
const OURS: ReadonlySet<string> = new Set([
  'name',
  'rm',
  'restart',
  'cidfile',
  'detach',
  'd',
  'attach',
  'a',
  'sig-proxy',
  'detach-keys',
  'env-file',
  'pull',
])

/** Why Docker cannot run this; undefined if it can be tried. */
export function whyNotInDocker(
  container: ContainerInfo,
  command: CommandInfo | undefined,
  resources: readonly Resource[],
): string | undefined {
  const { docker, network_infos: networks = [] } = container
  if (!docker) return 'No docker info found in container info'
  if (docker.image === '' || docker.image.startsWith('-') || /[\s\0]/.test(docker.image)) {
    return `'${docker.image}' is not the name of an image`
  }
  const isShell = command?.shell !== false
  if (isShell && !command?.value) return 'Shell specified but no command value provided'
  return (
    whyNoNetwork(container) ??
    whyNoPorts(docker, resources) ??
    docker.parameters?.map(({ key }) => whyNoParameter(key)).find(why => why !== undefined) ??
    container.volumes?.map(whyNoVolume).find(why => why !== undefined) ??
    (networks.length > 1 ? 'Multiple network infos are not supported' : undefined) ??
    unknownToDocker(container)
  )
}

function whyNoNetwork({ docker, hostname, network_infos: networks = [] }: ContainerInfo) {
  const { network = 'HOST' } = docker!
  if (network === 'HOST' && hostname !== undefined)
    return 'Unable to set hostname with host network mode'
  if (network !== 'USER') return undefined
  if (networks.length === 0) return 'No network info found in container info'
  const name = networks[0]?.name
  return name ? undefined : 'No network name found in network info'
}

function whyNoPorts(
  { network = 'HOST', port_mappings: mappings = [] }: NonNullable<ContainerInfo['docker']>,
  resources: readonly Resource[],
): string | undefined {
  if (mappings.length === 0) return undefined
  if (network === 'HOST' || network === 'NONE') {
    return 'Port mappings are only supported for bridge and user-defined networks'
  }
  const ranges = resources
    .filter(({ name }) => name === 'ports')
    .flatMap(resource => resource.ranges?.range ?? [])
  if (ranges.length === 0) return 'Port mappings require port resources'
  for (const { host_port: port, protocol } of mappings) {
    if (!ranges.some(({ begin, end }) => port >= begin && port <= end)) {
      return `Port [${port}] not included in resources`
    }
    if (protocol !== undefined && !/^(tcp|udp)$/i.test(protocol)) {
      return `Protocol '${protocol}' is not supported for port mappings`
    }
  }
  return undefined
}

function whyNoParameter(key: string): string | undefined {
  if (!/^[a-zA-Z][\w-]*$/.test(key)) return `'${key}' is no option of the docker command`
  return OURS.has(key) ? `the parameter '${key}' is the agent's to set` : undefined
}

function whyNoVolume({ container_path, host_path, image, source }: Volume): string | undefined {
  if (image) return 'volumes from images are not supported by Docker'
  const name =
    source?.docker_volume?.name ??
    source?.host_path?.path ??
    source?.sandbox_path?.path ??
    host_path
  for (const path of [container_path, name ?? 'x']) {
    // A colon would begin another field of the option.
    if (path === '' || /[:\0\n]/.test(path)) return `'${path}' cannot be part of a volume`
    if (path.split('/').includes('..')) return `the path '${path}' of a volume has a '..'`
  }
  switch (source?.type) {
    case undefined:
    case 'HOST_PATH':
      return undefined
    case 'DOCKER_VOLUME':
      if (source.docker_volume?.name.includes('/'))
        return `'${source.docker_volume.name}' is not the name of a volume`
      return source.docker_volume?.driver_options?.parameter?.length
        ? "options of a volume's driver are not supported"
        : undefined
    case 'SANDBOX_PATH':
      if (source.sandbox_path?.type === 'PARENT') break
      return undefined
    default:
  }
  return `volumes from a ${source?.type} are not supported by Docker here`
}

function unknownToDocker(container: ContainerInfo): string | undefined {
  if (container.tty_info) return 'terminals (tty_info) are not supported by Docker here'
  if (container.rlimit_info) return "limits (rlimit_info) are Docker's parameter 'ulimit'"
  if (container.linux_info) return "linux_info is not Docker's: it has parameters for it"
  return undefined
}
