// How a task or executor is contained, and what the agent says of a container.

import type * as v from 'valibot'
import { ContainerID } from './ids.ts'
import { choice, flag, message, oneOf, optional, repeated, text, unsigned } from './schema.ts'
import { Labels, Parameter } from './values.ts'
import { Image, Volume } from './volume.ts'

/** A port of the host that leads to one of the container. `protocol` absent means tcp. */
export const PortMapping = message({
  host_port: unsigned,
  container_port: unsigned,
  protocol: optional(text),
})
export type PortMapping = v.InferOutput<typeof PortMapping>

/** In a request: the network to join and addresses wanted. In a status: the addresses it has. */
export const NetworkInfo = message({
  ip_addresses: repeated(
    message({ protocol: choice(['IPv4', 'IPv6']), ip_address: optional(text) }),
  ),
  name: optional(text),
  groups: repeated(text),
  labels: optional(Labels),
  port_mappings: repeated(PortMapping),
})
export type NetworkInfo = v.InferOutput<typeof NetworkInfo>

/** `network` absent means HOST. */
export const DockerInfo = message({
  image: text,
  network: choice(['HOST', 'BRIDGE', 'NONE', 'USER']),
  port_mappings: repeated(PortMapping),
  privileged: optional(flag),
  parameters: repeated(Parameter),
  force_pull_image: optional(flag),
  volume_driver: optional(text),
})
export type DockerInfo = v.InferOutput<typeof DockerInfo>

/** Names as in capabilities(7), without `CAP_`. */
export const CapabilityInfo = message({ capabilities: repeated(text) })
export type CapabilityInfo = v.InferOutput<typeof CapabilityInfo>

/** `share_cgroups` absent means true: a nested container lives in its executor's cgroups. `shm_size` in MB. */
export const LinuxInfo = message({
  capability_info: optional(CapabilityInfo),
  bounding_capabilities: optional(CapabilityInfo),
  effective_capabilities: optional(CapabilityInfo),
  share_pid_namespace: optional(flag),
  seccomp: optional(message({ profile_name: optional(text), unconfined: optional(flag) })),
  ipc_mode: choice(['PRIVATE', 'SHARE_PARENT']),
  shm_size: optional(unsigned),
  share_cgroups: optional(flag),
})
export type LinuxInfo = v.InferOutput<typeof LinuxInfo>

export const RLIMIT_TYPES = [
  'RLMT_AS',
  'RLMT_CORE',
  'RLMT_CPU',
  'RLMT_DATA',
  'RLMT_FSIZE',
  'RLMT_LOCKS',
  'RLMT_MEMLOCK',
  'RLMT_MSGQUEUE',
  'RLMT_NICE',
  'RLMT_NOFILE',
  'RLMT_NPROC',
  'RLMT_RSS',
  'RLMT_RTPRIO',
  'RLMT_RTTIME',
  'RLMT_SIGPENDING',
  'RLMT_STACK',
] as const

/** As in setrlimit(2). Both limits absent means unlimited. */
export const RLimitInfo = message({
  rlimits: repeated(
    message({ type: choice(RLIMIT_TYPES), hard: optional(unsigned), soft: optional(unsigned) }),
  ),
})
export type RLimitInfo = v.InferOutput<typeof RLimitInfo>

export const TTYInfo = message({
  window_size: optional(message({ rows: unsigned, columns: unsigned })),
})
export type TTYInfo = v.InferOutput<typeof TTYInfo>

export const ContainerInfo = message({
  type: oneOf(['DOCKER', 'MESOS']),
  volumes: repeated(Volume),
  hostname: optional(text),
  docker: optional(DockerInfo),
  mesos: optional(message({ image: optional(Image) })),
  network_infos: repeated(NetworkInfo),
  linux_info: optional(LinuxInfo),
  rlimit_info: optional(RLimitInfo),
  tty_info: optional(TTYInfo),
})
export type ContainerInfo = v.InferOutput<typeof ContainerInfo>

/** What an agent adds to a task's status about its container. */
export const ContainerStatus = message({
  container_id: optional(ContainerID),
  network_infos: repeated(NetworkInfo),
  cgroup_info: optional(message({ net_cls: optional(message({ classid: optional(unsigned) })) })),
  executor_pid: optional(unsigned),
})
export type ContainerStatus = v.InferOutput<typeof ContainerStatus>
