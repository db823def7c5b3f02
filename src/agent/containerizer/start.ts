// Puts the launcher and the isolators together that flags ask for, and makes sure that the machine has what they need.

import type { Clock } from '../../actors/clock.ts'
import { UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import { AgentGuard, newToken } from '../agent-guard.ts'
import { BASH } from '../argv0.ts'
import { PosixProcesses } from '../posix-processes.ts'
import { secretsDir } from '../paths.ts'
import { SystemAccounts } from './accounts.ts'
import { CgroupTree } from './cgroup-tree.ts'
import { Containerizer } from './containerizer.ts'
import type { Toolbox } from './container.ts'
import { runProgram } from './exec.ts'
import type { CniFlags } from '../cni/flags.ts'
import { startCni } from '../cni/start.ts'
import type { Credentials, ImageFlags } from '../images/flags.ts'
import type { LoggerFlags } from '../logger/flags.ts'
import { startLogger } from '../logger/start.ts'
import { dockerRuntimeIsolator } from '../images/isolator.ts'
import { startProvisioner } from '../images/start.ts'
import { type IsolationFlags, readPorts } from './flags.ts'
import { type Isolation, ISOLATORS, type IsolatorName } from './isolation.ts'
import type { Isolator } from './isolator.ts'
import { cpuIsolator } from './isolator-cpu.ts'
import { diskIsolator } from './isolator-disk.ts'
import { devicesIsolator } from './isolator-devices.ts'
import { portsIsolator } from './isolator-ports.ts'
import { memoryIsolator } from './isolator-memory.ts'
import { filesystemIsolator, volumeIsolator } from './isolators-filesystem.ts'
import { secretIsolator } from './isolator-secret.ts'
import { blkioIsolator, cpusetIsolator, pidsIsolator } from './isolators-cgroups.ts'
import { ipcIsolator, mountIsolator, pidIsolator } from './isolators-namespaces.ts'
import { posixCpuIsolator, posixMemoryIsolator } from './isolators-posix.ts'
import { capabilitiesIsolator, nnpIsolator, rlimitsIsolator } from './isolators-privileges.ts'
import { LinuxLauncher } from './linux-launcher.ts'
import type { MountPrograms } from './mount-script.ts'
import {
  deviceName,
  findProgram,
  kindOfPath,
  machinePaths,
  programAt,
  ownCapabilities,
  SessionUsage,
} from './system-programs.ts'
import { measureDisk, systemSockets } from './system-watch.ts'
import { makeToolbox } from './toolbox.ts'

export interface ContainerizerStart {
  readonly flags: IsolationFlags & ImageFlags & Credentials & LoggerFlags & CniFlags
  readonly isolation: Isolation
  readonly runtimeDir: string
  /** Where root file systems of images are made; absent: there are none. */
  readonly workDir?: string
  /** As for the guard. */
  readonly token?: string
  readonly recoveryTimeoutMs?: number
  readonly machineBytes: number
  /** The agent's PATH. */
  readonly path?: string
  readonly clock: Clock
  readonly log: Logger
}

/** Rejects with a `UserError` if something that was asked for is not to be had on this machine. Nothing runs then. */
export async function startContainerizer(start: ContainerizerStart): Promise<Containerizer> {
  const { flags, isolation, runtimeDir, token = newToken(), recoveryTimeoutMs, clock, log } = start
  const guarding = {
    runtimeDir,
    log,
    token,
    ...(recoveryTimeoutMs !== undefined && { recoveryTimeoutMs }),
  }
  const { cgroups_hierarchy: hierarchy, cgroups_root: root } = flags
  const isLinux = flags.launcher === 'linux'
  const tree = isLinux ? CgroupTree.open({ hierarchy, root }) : undefined
  const programs = isLinux ? programsOf() : undefined
  const toolbox = isolation.has('filesystem/linux')
    ? await makeToolbox(
        runtimeDir,
        [...TOOLS.map(tool => findProgram(tool, 'filesystem/linux')), BASH].filter(kindOfPath),
      )
    : undefined
  const makers = isolatorMakers({ ...start, token }, tree, toolbox)
  const isolators = ISOLATORS.filter(name => isolation.has(name)).map(name => makers[name]())
  const controllers = [...new Set(isolators.flatMap(isolator => isolator.controllers ?? []))]
  for (const isolator of isolators) {
    const missing = isolator.controllers?.find(name => !tree?.has(name))
    if (missing !== undefined) throw noController(isolator.name, missing, hierarchy)
    await isolator.recover?.()
  }
  const provisioner =
    start.workDir === undefined
      ? undefined
      : await startProvisioner({ flags, workDir: start.workDir, clock, log })
  const setpriv = programAt('setpriv')
  const logger = await startLogger({ flags, runtimeDir, token, log })
  const common = {
    isolators,
    logger,
    accounts: new SystemAccounts(() => clock.now()),
    ...(setpriv !== undefined && { setpriv }),
    run: runProgram,
    ...(provisioner && { provisioner }),
    clock,
    log,
  }
  if (!tree || !programs) {
    const launcher = await PosixProcesses.start({ ...guarding, logger })
    return new Containerizer({ launcher, ...common })
  }
  const launcher = new LinuxLauncher({
    unshare: findProgram('unshare', '--launcher=linux'),
    nsenter: findProgram('nsenter', '--launcher=linux'),
    setsid: findProgram('setsid', '--launcher=linux'),
    programs,
    logger,
    guard: await AgentGuard.start({ ...guarding, removes: tree.roots(controllers) }),
    tree,
    controllers,
    destroyTimeoutMs: flags.cgroups_destroy_timeout,
    log,
  })
  const activity = activityIn(tree, controllers)
  return new Containerizer({ launcher, ...common, ...(activity && { activity }) })
}

/** The processor time that a container has had, as the kernel counts it. */
function activityIn(
  tree: CgroupTree,
  controllers: readonly string[],
): ((containerId: string) => string) | undefined {
  const [controller, file] = tree.version === 2 ? ['cpu', 'cpu.stat'] : ['cpuacct', 'cpuacct.usage']
  if (!controllers.includes(controller)) return undefined
  return containerId => tree.of(containerId, controller).measure(file)
}

function isolatorMakers(
  {
    flags,
    runtimeDir,
    workDir,
    token,
    path,
    machineBytes,
    clock,
    log,
  }: ContainerizerStart & { readonly token: string },
  tree: CgroupTree | undefined,
  toolbox: Toolbox | undefined,
): Record<IsolatorName, () => Isolator> {
  // Isolators of control groups are refused under the posix launcher, when the flags are read.
  const cgroups = tree!
  const usage = new SessionUsage()
  return {
    'filesystem/linux': () =>
      filesystemIsolator({ toolbox: toolbox!, sandboxDirectory: flags.sandbox_directory }),
    'docker/runtime': () => dockerRuntimeIsolator,
    'volume/sandbox_path': () => volumeIsolator('sandbox_path', machinePaths),
    'volume/host_path': () => volumeIsolator('host_path', machinePaths),
    'volume/secret': () => secretIsolator(secretsDir(runtimeDir), machinePaths),
    'network/cni': () => startCni({ flags, runtimeDir, workDir, token, path, log }),
    'namespaces/mnt': () => mountIsolator,
    'namespaces/pid': () => pidIsolator(flags.disallow_sharing_agent_pid_namespace),
    'namespaces/ipc': () =>
      ipcIsolator({
        forbidsSharing: flags.disallow_sharing_agent_ipc_namespace,
        shmBytes: flags.default_container_shm_size,
      }),
    'posix/cpu': () => posixCpuIsolator(usage),
    'posix/mem': () => posixMemoryIsolator(usage),
    'cgroups/blkio': () => blkioIsolator(cgroups),
    'cgroups/cpu': () => cpuIsolator(cgroups, flags.cgroups_enable_cfs),
    'cgroups/cpuset': () => cpusetIsolator,
    'cgroups/devices': () =>
      devicesIsolator(
        cgroups,
        (flags.allowed_devices ?? []).map(({ path, access }) => `${deviceName(path)} ${access}`),
      ),
    'cgroups/mem': () =>
      memoryIsolator({ cgroups, limitsSwap: flags.cgroups_limit_swap, machineBytes }),
    'cgroups/pids': () => pidsIsolator(cgroups, flags.cgroups_pids_max),
    'disk/du': () =>
      diskIsolator({
        measure: measureDisk(findProgram('du', 'disk/du'), findProgram('nice', 'disk/du')),
        enforces: flags.enforce_container_disk_quota,
        intervalMs: flags.container_disk_watch_interval,
        clock,
        log,
      }),
    'network/ports': () =>
      portsIsolator({
        sockets: systemSockets,
        members: containerId => cgroups.members(containerId),
        checked:
          flags.container_ports_isolated_range === undefined
            ? undefined
            : readPorts(flags.container_ports_isolated_range),
        enforces: flags.enforce_container_ports,
        intervalMs: flags.container_ports_watch_interval,
        clock,
        log,
      }),
    'posix/rlimits': () => rlimitsIsolator(findProgram('prlimit', 'posix/rlimits')),
    'linux/capabilities': () =>
      capabilitiesIsolator({
        setpriv: findProgram('setpriv', 'linux/capabilities'),
        effective: flags.effective_capabilities,
        bounding: flags.bounding_capabilities,
        own: ownCapabilities,
      }),
    'linux/nnp': () => nnpIsolator(findProgram('setpriv', 'linux/nnp')),
  }
}

/** Run in containers that have a root file system of their own. */
const TOOLS = ['umount', 'setpriv', 'prlimit', 'env', 'setsid']

function programsOf(): MountPrograms {
  const find = (name: string): string => findProgram(name, '--launcher=linux')
  return {
    chmod: find('chmod'),
    chown: find('chown'),
    head: find('head'),
    mkdir: find('mkdir'),
    mount: find('mount'),
    umount: find('umount'),
    pivotRoot: find('pivot_root'),
    rm: find('rm'),
    wc: find('wc'),
  }
}

function noController(isolator: string, controller: string, hierarchy: string): UserError {
  return new UserError(
    'not_found',
    `The isolator '${isolator}' needs the controller '${controller}', which the control groups at '${hierarchy}' do not have.`,
    { hint: "Leave it out of '--isolation', or name another '--cgroups_hierarchy'." },
  )
}
