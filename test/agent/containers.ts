// Real containers for tests: a containerizer as flags make it, in groups of its own, of which nothing may be left.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { Test } from 'tap'
import { whyNoCgroups } from '../../src/agent/containerizer/cgroup-tree.ts'
import type { Containerizer } from '../../src/agent/containerizer/containerizer.ts'
import { type ContainerizerStart, startContainerizer } from '../../src/agent/containerizer/start.ts'
import { agentFlags } from '../../src/agent/flags.ts'
import { isolationOf } from '../../src/agent/options.ts'
import type { LaunchSpec } from '../../src/agent/processes.ts'
import { describeWaitStatus } from '../../src/agent/wait-status.ts'
import { systemClock } from '../../src/actors/system-clock.ts'
import { parseFlags } from '../../src/base/flags.ts'
import { silentLogger } from '../../src/base/log.ts'

export const V1 = '/sys/fs/cgroup'
/** A hierarchy of v2 beside the ones of v1; it may have no controllers. */
export const V2 = '/sys/fs/cgroup/unified'

/** Tests of real containers are skipped where this says why. */
export const skip: { readonly skip: string | false } = { skip: whyNone(V1) }
export const skipV2: { readonly skip: string | false } = { skip: whyNone(V2) }

function whyNone(hierarchy: string): string | false {
  const why = whyNoCgroups(hierarchy)
  return why === undefined ? false : `containers need control groups: ${why}`
}

/** Looks again and again, for at most ten seconds: what is waited for are other processes. */
export async function until(reached: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (reached()) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error(`not within ten seconds: ${what}`)
}

export interface Ended {
  readonly how: string
  readonly whyNeverRan: string | undefined
  readonly limitation: ReturnType<NonNullable<Launched['limitation']>>
}

type Launched = Awaited<ReturnType<Containerizer['launch']>>

export interface Place {
  readonly top: string
  readonly root: string
  readonly processes: Containerizer
  readonly spec: (script: string, more?: Partial<LaunchSpec>) => LaunchSpec
  /** Runs a script to its end. */
  readonly run: (script: string, more?: Partial<LaunchSpec>) => Promise<Ended>
  /** The text of a file of the sandbox. */
  readonly text: (name: string) => string
  /** Groups of this place that are there. */
  readonly groups: () => string[]
}

let count = 0

/** The containerizer of an agent with these flags. */
export function containerizer(runtimeDir: string, ...argv: string[]): Promise<Containerizer> {
  return nextContainerizer({ runtimeDir }, ...argv)
}

/** That of an agent in whose place there was one before. */
export function nextContainerizer(
  more: Pick<ContainerizerStart, 'runtimeDir' | 'token' | 'recoveryTimeoutMs' | 'workDir'>,
  ...argv: string[]
): Promise<Containerizer> {
  const parsed = parseFlags(agentFlags, {
    argv: ['--master=127.0.0.1:1', ...argv],
    env: {},
    readFile: () => '',
  })
  if (!parsed.ok) throw new Error(parsed.errors.join('\n'))
  return startContainerizer({
    flags: parsed.values,
    isolation: isolationOf(parsed.values.isolation),
    ...more,
    machineBytes: 2 ** 33,
    clock: systemClock,
    log: silentLogger,
  })
}

export function place(t: Test, isolation: string, ...more: string[]): Promise<Place> {
  return placeWith(t, () => ['--isolation=' + isolation, ...more])
}

/** With flags that name what lies below the place's top, which is its work directory too. */
export async function placeWith(t: Test, flags: (top: string) => string[]): Promise<Place> {
  // Not the test's own directory: that is gone before the teardown, and with it what the guard goes by.
  const top = mkdtempSync(`${tmpdir()}/mesos-test-`)
  mkdirSync(`${top}/box`)
  const root = `mesos_test_${process.pid}_${++count}`
  const processes = await nextContainerizer(
    { runtimeDir: `${top}/run`, workDir: top },
    '--launcher=linux',
    `--cgroups_root=${root}`,
    ...flags(top),
  )
  const groups = (): string[] =>
    [V1, V2]
      .flatMap(at => (existsSync(at) ? readdirSync(at).map(name => `${at}/${name}`) : []))
      .concat(V1)
      .map(at => `${at}/${root}`)
      .filter(path => existsSync(path))
  t.teardown(async () => {
    await processes.close()
    rmSync(top, { recursive: true })
    if (groups().length > 0) throw new Error(`control groups are left: ${groups().join(' ')}`)
  })
  let containers = 0
  const spec = (script: string, given: Partial<LaunchSpec> = {}): LaunchSpec => ({
    containerId: `c${++containers}`,
    argv: ['/bin/sh', '-c', script],
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' },
    cwd: `${top}/box`,
    stdoutPath: `${top}/box/stdout`,
    stderrPath: `${top}/box/stderr`,
    resources: { cpus: 0.5, memMb: 64 },
    ...given,
  })
  return {
    top,
    root,
    processes,
    spec,
    groups,
    run: async (script, given) => {
      const launched = await processes.launch(spec(script, given))
      const how = describeWaitStatus(await launched.exited)
      return { how, whyNeverRan: launched.whyNeverRan?.(), limitation: launched.limitation?.() }
    },
    text: name => {
      try {
        return readFileSync(`${top}/box/${name}`, 'utf8')
      } catch {
        return ''
      }
    },
  }
}

/** A script as a container of a host program launches it. */
export const scriptSpec = (box: string, containerId: string, script: string): LaunchSpec => ({
  containerId,
  argv: ['/bin/sh', '-c', script],
  env: { PATH: '/usr/bin:/bin' },
  cwd: box,
  stdoutPath: `${box}/stdout`,
  stderrPath: `${box}/stderr`,
})
