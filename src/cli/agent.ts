// mesos-agent: the process of an agent.

import { cniErrors } from '../agent/cni/flags.ts'
import { isolationErrors } from '../agent/containerizer/flags.ts'
import { containerizersOf, dockerErrors } from '../agent/docker/flags.ts'
import { agentFlags, FALLBACK_WORK_DIR } from '../agent/flags.ts'
import { imageErrors } from '../agent/images/flags.ts'
import { loggerErrors } from '../agent/logger/flags.ts'
import { VERSION } from '../base/version.ts'
import { locate } from './locate.ts'
import type { Command } from './main.ts'
import { serve } from './server.ts'
import { checkDirectory, makeDirectory } from './work-dir.ts'

export const agentCommand: Command<typeof agentFlags> = {
  name: 'mesos-agent',
  summary: 'An agent: offers what this machine has to the master, and runs tasks on it.',
  flags: agentFlags,
  check: flags => [
    ...isolationErrors(flags, containerizersOf(flags.containerizers).has('docker')),
    ...dockerErrors(flags, flags.image_providers !== undefined),
    ...imageErrors(flags),
    ...loggerErrors(flags),
    ...cniErrors(flags),
  ],
  examples: [
    'mesos-agent --master=127.0.0.1:5050',
    'mesos-agent --master=127.0.0.1:5050 --launcher=linux --isolation=cgroups/cpu,cgroups/mem,cgroups/pids,namespaces/pid',
    "mesos-agent --master=10.0.0.1:5050 --work_dir=/var/lib/mesos --resources='cpus:4;mem:8192' --attributes=rack:r1",
  ],
  run: async (flags, { warnings }) => {
    const workDir = flags.work_dir ?? FALLBACK_WORK_DIR
    if (flags.work_dir === undefined) makeDirectory('work_dir', workDir)
    else checkDirectory('work_dir', workDir)
    return serve('agent', flags, warnings, async ({ runtime, log, hostname, end }) => {
      const [
        { SystemFiles },
        { agentOptions, FALLBACK_PATH, isolationOf },
        { systemProbes },
        { startFetcher },
        { SandboxGc },
        { SystemGarbageDisk },
        { startContainerizer },
        { startDocker },
        { startAgent, unregisterAgent },
        { defaultRuntimeDir, systemMachine },
        { lockDirectory },
        { Checkpoints },
        { SystemDisk },
        { metaTrashDir },
        { recoverAgent },
        { runtimeToken },
      ] = await Promise.all([
        import('../agent/file-system.ts'),
        import('../agent/options.ts'),
        import('../agent/checks/system-probes.ts'),
        import('../agent/fetcher/start.ts'),
        import('../agent/gc/sandbox-gc.ts'),
        import('../agent/gc/system-garbage-disk.ts'),
        import('../agent/containerizer/start.ts'),
        import('../agent/docker/start.ts'),
        import('../agent/start.ts'),
        import('../agent/system-resources.ts'),
        import('../log/lock-file.ts'),
        import('../agent/checkpoint/checkpoints.ts'),
        import('../agent/checkpoint/system-disk.ts'),
        import('../agent/checkpoint/meta-paths.ts'),
        import('../agent/recover-agent.ts'),
        import('../agent/runtime-token.ts'),
      ])
      const lock = await lockDirectory(workDir)
      if (flags.work_dir === undefined) {
        log.warn(
          { work_dir: workDir },
          'no --work_dir is given: tasks keep their files where the system may clean up at any time',
        )
      }
      const runtimeDir = flags.runtime_dir ?? defaultRuntimeDir()
      makeDirectory('runtime_dir', runtimeDir)
      const machine = await systemMachine(workDir)
      const token = runtimeToken(workDir)
      const containerizing = {
        flags,
        isolation: isolationOf(flags.isolation),
        runtimeDir,
        workDir,
        token,
        recoveryTimeoutMs: flags.recovery_timeout,
        machineBytes: machine.memBytes ?? Number.POSITIVE_INFINITY,
        path: machine.path ?? FALLBACK_PATH,
        clock: runtime.clock,
        log,
      }
      const containers = await startDocker({
        ...containerizing,
        inner: () => startContainerizer(containerizing),
      })
      const { clock } = runtime
      const fetcher = startFetcher({ flags, workDir, token, inner: containers, clock, log })
      const { processes } = fetcher
      const disk = new SystemDisk(metaTrashDir(workDir))
      await disk.emptyTrash()
      const gc = new SandboxGc({
        disk: new SystemGarbageDisk(workDir),
        delayMs: flags.gc_delay,
        headroom: flags.gc_disk_headroom,
        intervalMs: flags.disk_watch_interval,
        clock: runtime.clock,
        log,
      })
      const options = agentOptions(flags, {
        masters: await locate(flags.master, flags.zk_session_timeout),
        address: runtime.address,
        hostname,
        workDir,
        runtimeDir,
        machine,
        processes,
        probes: systemProbes(processes),
        files: new SystemFiles(),
        gc,
        measures: [metrics => gc.measure(metrics), metrics => fetcher.measure(metrics)],
        checkpoints: new Checkpoints({ disk, workDir, clock: runtime.clock, log }),
        version: VERSION,
        onShutdown: () => end('told'),
      })
      const cleanup = flags.recover === 'cleanup'
      const { strict, reconfiguration_policy: policy } = flags
      const recovered = await recoverAgent(options, { disk, strict, policy, cleanup, log })
      const close = async (): Promise<void> => {
        processes.close()
        await containers.close()
        lock.release()
      }
      if (cleanup) {
        end('done')
        return close
      }
      startAgent(runtime, { ...options, ...(recovered && { recovered }) })
      process.once('SIGUSR1', () => {
        log.info('asked to leave the cluster (SIGUSR1)')
        unregisterAgent(runtime, 'asked to by SIGUSR1').catch(() => end('failure'))
      })
      return close
    })
  },
}
