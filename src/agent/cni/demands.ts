// What a container asks of networks, and why it cannot be had. Pure.

import type { Isolation } from '../containerizer/isolation.ts'
import type { ContainerInfo, NetworkInfo } from '../../messages/container.ts'
import type { Resource } from '../../messages/resource.ts'

const MAX_PORT = 65_535
const MAX_MAPPINGS = 256
/** So many interfaces, each of which is a process or two at the start and at the end. */
const MAX_NETWORKS = 16
/** The kernel takes no longer ones. */
const HOSTNAME = /^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?$/

export type NamedNetwork = NetworkInfo & { readonly name: string }

/** Those that a container is to be attached to. Without any it is on the machine's; what has no name asks for nothing, as in Mesos. */
export function namedNetworks(container: ContainerInfo | undefined): NamedNetwork[] {
  if (container?.type === 'DOCKER') return []
  return (container?.network_infos ?? []).flatMap(({ name, ...info }) =>
    name === undefined ? [] : [{ ...info, name }],
  )
}

/** Finishes "this agent does not support …"; undefined if it can be tried. */
export function whyNoNetworks(container: ContainerInfo, isolation: Isolation): string | undefined {
  const { network_infos: infos = [], hostname } = container
  const networks = namedNetworks(container)
  if (networks.length > 0 && !isolation.has('network/cni')) {
    return "container networks without the isolator 'network/cni'"
  }
  if (infos.some(({ name, port_mappings }) => name === undefined && port_mappings?.length)) {
    return "port mappings on the machine's own network"
  }
  if (hostname !== undefined && networks.length === 0) {
    return "a container's own hostname on the machine's own network"
  }
  return undefined
}

/** What is wrong with what it asks for; undefined if nothing. `resources`: of all that is to run in it. */
export function whyMalformedNetworks(
  container: ContainerInfo,
  resources: readonly Resource[],
): string | undefined {
  const { hostname } = container
  const networks = namedNetworks(container)
  if (networks.length === 0) return undefined
  if (networks.length > MAX_NETWORKS) {
    return `A container joins at most ${MAX_NETWORKS} networks`
  }
  const names = networks.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) return `Attempted to join CNI network '${twice}' multiple times`
  if (hostname !== undefined && !HOSTNAME.test(hostname)) return `'${hostname}' is no hostname`
  if (networks.some(({ ip_addresses = [] }) => ip_addresses.some(({ ip_address }) => ip_address))) {
    return 'A container cannot choose its address'
  }
  return whyNoMappings(networks, resources)
}

/** A port of the machine that is mapped is taken from it, so it has to be one that the framework was offered. */
function whyNoMappings(
  networks: readonly NetworkInfo[],
  resources: readonly Resource[],
): string | undefined {
  const mappings = networks.flatMap(({ port_mappings = [] }) => port_mappings)
  if (mappings.length > MAX_MAPPINGS) return `A container maps at most ${MAX_MAPPINGS} ports`
  const ranges = resources
    .filter(({ name }) => name === 'ports')
    .flatMap(resource => resource.ranges?.range ?? [])
  for (const { host_port: port, container_port: inside, protocol } of mappings) {
    if (!ranges.some(({ begin, end }) => port >= begin && port <= end)) {
      return `Port [${port}] not included in resources`
    }
    if (inside < 1 || inside > MAX_PORT) return `'${inside}' is no port of a container`
    if (protocol !== undefined && !/^(tcp|udp)$/i.test(protocol)) {
      return `Protocol '${protocol}' is not supported for port mappings`
    }
  }
  return undefined
}
