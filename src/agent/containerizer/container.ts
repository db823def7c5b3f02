// What a container is to have and to be held to, as far as isolation goes, and what comes of that for its launch.

import type { CommandInfo } from '../../messages/command.ts'
import type { ContainerInfo, NetworkInfo } from '../../messages/container.ts'
import type { Resource } from '../../messages/resource.ts'
import type { Ranges } from '../../resources/ranges.ts'
import type { TaskStatusReason } from '../../messages/status.ts'
import type { RuntimeConfig } from '../images/image-config.ts'
import type { WindowSize } from '../attachment.ts'
import type { Mount } from './mount.ts'

/** An amount of each resource that a kernel can hold a container to. */
export interface Amounts {
  readonly cpus: number
  readonly memMb: number
  /** 0: it asked for none. */
  readonly diskMb?: number
  readonly ports?: Ranges
}

/** What isolators are told of a container before it starts. */
export interface ContainerConfig {
  readonly containerId: string
  /** Requested: what it may always have. */
  readonly resources: Amounts
  /** Upper bounds above the request; Infinity: none. What is absent is bounded by the request, or not at all. */
  readonly limits: Partial<Amounts>
  readonly info: ContainerInfo | undefined
  /** Its sandbox, where the machine has it. */
  readonly sandbox: string
  /** That of the container that it is nested in. */
  readonly parentSandbox?: string
  /** The container that it is nested in. */
  readonly parent?: ParentContainer
  /** Its root file system, where the machine has it; absent: the machine's own. */
  readonly rootfs?: string
  /** The account that its program runs under; absent: the agent's. */
  readonly account?: Account
  /** Of what it is mounted by the container itself; absent: it is there. */
  readonly overlay?: Overlay
  /** What the image that it was made of says. */
  readonly image?: RuntimeConfig
  /** What the program was made of. */
  readonly command?: CommandInfo
}

/** What a container is nested in; it need not have a process of its own. */
export interface ParentContainer {
  readonly id: string
  readonly info: ContainerInfo | undefined
}

/** As the machine numbers it. */
export interface Account {
  readonly uid: number
  readonly gid: number
  /** All of its groups. */
  readonly groups: readonly number[]
}

/** overlayfs' options, in which paths are relative to a directory. */
export interface Overlay {
  readonly directory: string
  readonly options: string
}

/** As in `LaunchSpec`. */
export interface Program {
  readonly argv: readonly [string, ...string[]]
  readonly argv0?: string
}

export type Namespace = 'mount' | 'pid' | 'ipc'

/** How a container is to be started. Isolators add to it, each what it is there for. */
export interface LaunchPlan {
  readonly namespaces: Set<Namespace>
  /** What is mounted in the new mount namespace, in this order but for what lies in another one. */
  readonly mounts: Mount[]
  /** The container's root file system becomes this one. */
  root?: Root
  /** Of which files are made that only the container sees (secrets.ts). */
  readonly secrets: Secret[]
  /** A network of its own; absent: the machine's. */
  network?: ContainerNetwork
  /** What runs in the place of the command's own program. */
  program?: Program
  /** Variables that the agent's own give way to; the command's do not. */
  readonly env: Record<string, string>
  /** Programs in front of the container's own, each of which becomes the next: the first one is the outermost. */
  readonly prefix: string[][]
  /** What is made for it in sandboxes is this one's. */
  owner?: Account
  /** Nothing can be run in it but what runs. */
  readonly isClosed?: boolean
  /** It is no container of its own, but a program for one that runs: `pid` is that one's first process. */
  readonly joins?: Joining
  /** Its standard input, output and error are pipes that the agent holds. */
  readonly isAttached?: boolean
  /** They are a terminal. */
  terminal?: WindowSize | undefined
  /** Written to `oom_score_adj` of all that it runs. */
  oomScoreAdj: number | undefined
}

export interface Joining {
  readonly pid: number
  readonly namespaces: ReadonlySet<Namespace>
}

export const emptyPlan = (): LaunchPlan => ({
  namespaces: new Set(),
  mounts: [],
  secrets: [],
  env: {},
  prefix: [],
  oomScoreAdj: undefined,
})

/** A file of a container's, which is on no disk, and whose it is. */
export interface Secret {
  readonly path: string
  readonly data: Buffer
  readonly owner: Pick<Account, 'uid' | 'gid'> | undefined
}

/** A network namespace and a hostname that are there before the container. */
export interface ContainerNetwork {
  /** As a status tells of it. */
  readonly infos: readonly NetworkInfo[]
  /** The command line that a program is put in after to be in them. */
  readonly entrance: readonly [string, ...string[]]
}

/** A root file system of a container's own, and what of the machine is seen in it. */
export interface Root {
  /** Where the machine has it. */
  readonly path: string
  readonly overlay?: Overlay
  /** A directory with device files and the machine's programs, as toolbox.ts makes it: the container's /dev. */
  readonly toolbox: Toolbox
  /** Where its sandbox is seen, and where its program starts unless the image says otherwise. */
  readonly sandbox: string
  readonly workingDirectory?: string
}

/** Programs of the machine that run in any root file system. */
export interface Toolbox {
  readonly directory: string
  /** By these programs find hosts. Those that the machine has; a network of the container's own puts others over them. */
  readonly networkFiles: readonly string[]
  /** The command line, inside of a container, of a program that is at this path outside. */
  command(program: string): readonly string[]
}

/** A container took more than it may have, and is ended for it. */
export interface Limitation {
  readonly reason: TaskStatusReason
  readonly message: string
  /** Of what, and how much it took. */
  readonly resources: readonly Resource[]
}

/** The fields of Mesos' `ResourceStatistics` that isolators know. */
export interface ContainerStatistics {
  cpus_user_time_secs?: number
  cpus_system_time_secs?: number
  cpus_limit?: number
  cpus_soft_limit?: number
  cpus_nr_periods?: number
  cpus_nr_throttled?: number
  cpus_throttled_time_secs?: number
  processes?: number
  threads?: number
  disk_used_bytes?: number
  disk_limit_bytes?: number
  mem_total_bytes?: number
  mem_rss_bytes?: number
  mem_cache_bytes?: number
  mem_mapped_file_bytes?: number
  mem_swap_bytes?: number
  mem_limit_bytes?: number
  mem_soft_limit_bytes?: number
  net_rx_packets?: number
  net_rx_bytes?: number
  net_rx_errors?: number
  net_rx_dropped?: number
  net_tx_packets?: number
  net_tx_bytes?: number
  net_tx_errors?: number
  net_tx_dropped?: number
  blkio_statistics?: { readonly read_bytes: number; readonly write_bytes: number }
}
