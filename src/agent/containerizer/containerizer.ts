// Containers as the agent knows them: a launcher starts and ends them, isolators say how and watch.
//
//   launch    launcher makes the groups ─▶ isolators prepare, in order ─▶ launcher starts the first process
//   while it lives    isolators are asked for limitations, and for what it uses
//   its end   last question for limitations ─▶ launcher kills and removes what is left ─▶ isolators clean up, in reverse

import type { Clock } from '../../actors/clock.ts'
import { messageOf, UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import { commandEnvironment } from '../environment.ts'
import type { ImageProvisioner } from '../images/provisioner.ts'
import type { ContainerLogger } from '../logger/container-logger.ts'
import type { Input, WindowSize } from '../attachment.ts'
import type {
  ExecSpec,
  JoinedProcess,
  JoinSpec,
  KillSignal,
  KnownContainer,
  LaunchedProcess,
  LaunchSpec,
  Processes,
} from '../processes.ts'
import type { Accounts } from './accounts.ts'
import {
  type Amounts,
  type ContainerConfig,
  type ContainerStatistics,
  emptyPlan,
  type LaunchPlan,
  type Limitation,
} from './container.ts'
import { type Entered, Entering, type EnteringOptions } from './entering.ts'
import type { Isolator } from './isolator.ts'
import { runAs } from './isolators-privileges.ts'
import { LastUsage } from './last-usage.ts'
import type { Launcher } from './launcher.ts'

/** Containers are looked at this often, or less often where that would take more than its share of the time. */
const WATCH_MS = 1_000
const WATCH_SHARE = 0.02

/** Of a terminal that nobody looks at yet. */
const USUAL_WINDOW: WindowSize = { rows: 24, columns: 80 }

const MB = 2 ** 20
const NOTHING: Amounts = { cpus: 0, memMb: 0 }

interface Container extends Entered {
  resources: Amounts
  limits: Partial<Amounts>
  limitation: Limitation | undefined
}

export interface ContainerizerOptions {
  readonly launcher: Launcher
  /** The launcher's, too. */
  readonly logger: ContainerLogger
  /** In their order. */
  readonly isolators: readonly Isolator[]
  readonly accounts: Accounts
  /** Where setpriv(1) is; absent: all run as the agent does. */
  readonly setpriv?: string
  readonly run: EnteringOptions['run']
  /** As for LastUsage; absent: all is measured each time. */
  readonly activity?: (containerId: string) => string | undefined
  /** Makes root file systems of images, and removes them. */
  readonly provisioner?: ImageProvisioner
  readonly clock: Clock
  readonly log: Logger
}

export class Containerizer implements Processes {
  readonly #o: ContainerizerOptions
  readonly #watchers: readonly Isolator[]
  readonly #entering: Entering
  readonly #lastUsage: LastUsage
  readonly #containers = new Map<string, Container>()
  readonly #launching = new Map<string, AbortController>()
  #isWatching = false

  constructor(options: ContainerizerOptions) {
    this.#o = options
    const { launcher, clock, run } = options
    this.#entering = new Entering({ launcher, clock, run, find: id => this.#containers.get(id) })
    this.#lastUsage = new LastUsage(clock, id => attempt(() => options.activity?.(id)))
    this.#watchers = options.isolators.filter(isolator => 'limitation' in isolator)
  }

  async launch(spec: LaunchSpec): Promise<LaunchedProcess> {
    const { accounts, launcher, isolators } = this.#o
    const id = spec.containerId
    const account = spec.user === undefined ? undefined : await accounts.find(spec.user)
    if (account) await accounts.give(account, spec)
    const configured: ContainerConfig = {
      containerId: id,
      resources: spec.resources ?? NOTHING,
      limits: spec.limits ?? {},
      info: spec.container,
      sandbox: spec.cwd,
      ...(spec.parentSandbox !== undefined && { parentSandbox: spec.parentSandbox }),
      ...(spec.parent && { parent: spec.parent }),
      ...(spec.rootfs !== undefined && { rootfs: spec.rootfs }),
      ...(account && { account }),
      ...(spec.command && { command: spec.command }),
    }
    const plan = emptyPlan()
    const { tty_info: tty } = spec.container ?? {}
    if (tty) plan.terminal = tty.window_size ?? USUAL_WINDOW
    const stop = new AbortController()
    this.#launching.set(id, stop)
    let process: LaunchedProcess
    try {
      const needsImage = spec.container?.mesos?.image !== undefined
      const config = needsImage ? await this.#provisioned(configured) : configured
      launcher.prepare?.(spec)
      for (const isolator of isolators) {
        await isolator.prepare(config, plan, stop.signal)
        if (stop.signal.aborted) throw new UserError('unavailable', 'It is not wanted any more.')
      }
      if (account) runAs(plan, this.#setpriv(), account)
      process = await launcher.launch(planned(spec, plan), plan)
    } catch (error) {
      await this.#clear(id)
      throw error
    } finally {
      this.#launching.delete(id)
    }
    return this.#watched(configured, process, plan)
  }

  abandon(containerId: string): void {
    this.#launching.get(containerId)?.abort()
    this.#o.provisioner?.abandon(containerId)
  }

  async #provisioned(config: ContainerConfig): Promise<ContainerConfig> {
    const { provisioner } = this.#o
    const image = config.info!.mesos!.image!
    if (!provisioner) throw new UserError('not_implemented', 'this agent provides no images')
    return { ...config, ...(await provisioner.provision(config.containerId, image)) }
  }

  #setpriv(): string {
    const { setpriv } = this.#o
    if (setpriv !== undefined) return setpriv
    throw new UserError(
      'not_found',
      "there is no program 'setpriv' (util-linux) to change the user",
    )
  }

  async recover(known: readonly KnownContainer[]): Promise<ReadonlyMap<string, LaunchedProcess>> {
    const byId = new Map(known.map(one => [one.containerId, one]))
    const { launcher, provisioner } = this.#o
    const found = new Map<string, LaunchedProcess>()
    const left = await launcher.recover(new Set(byId.keys()))
    const roots = await provisioner?.recover(new Set(left.keys()))
    for (const [id, process] of left) {
      const { cwd, resources, limits, container: info, user, command } = byId.get(id)!
      const config = {
        containerId: id,
        resources: resources ?? NOTHING,
        limits: limits ?? {},
        info,
        sandbox: cwd,
        ...roots?.get(id),
        ...(command && { command }),
      }
      found.set(id, this.#watched(config, process, await this.#planBefore(config, user)))
    }
    for (const isolator of this.#o.isolators) await isolator.recovered?.()
    return found
  }

  /** How the agent before this one started a container, as far as it matters to what is run in it later. */
  async #planBefore(config: ContainerConfig, user: string | undefined): Promise<LaunchPlan> {
    const { accounts, isolators, log } = this.#o
    const plan = emptyPlan()
    try {
      // Those of control groups set limits, which are set. The others do nothing but plan.
      for (const isolator of isolators) {
        if (isolator.replan) isolator.replan(config, plan)
        else if (!isolator.controllers) await isolator.prepare(config, plan)
      }
      if (user !== undefined) runAs(plan, this.#setpriv(), await accounts.find(user))
      return plan
    } catch (error) {
      const fields = { container: config.containerId, error: messageOf(error) }
      log.warn(fields, 'no program can be run in a container of before')
      return { ...plan, isClosed: true }
    }
  }

  exec(spec: ExecSpec, stop: AbortSignal): Promise<number> {
    return this.#entering.exec(spec, stop)
  }

  join(spec: JoinSpec): Promise<JoinedProcess> {
    return this.#entering.join(spec)
  }

  input(containerId: string): Input | undefined {
    return this.#containers.has(containerId) ? this.#o.launcher.input(containerId) : undefined
  }

  /** A container that runs: what it uses is looked at, and when it has ended it is cleared away. */
  #watched(
    { containerId: id, ...config }: ContainerConfig,
    process: LaunchedProcess,
    plan: LaunchPlan,
  ): LaunchedProcess {
    const { pid } = process
    const { resources, limits, sandbox: cwd, command } = config
    const limitation = undefined
    const joined = new Set<number>()
    const known = { id, pid, plan, cwd, command, joined }
    const container: Container = { ...known, resources, limits, limitation }
    this.#containers.set(id, container)
    this.#watch()
    const ended = async (): Promise<number> => {
      const waitStatus = await process.exited
      this.#containers.delete(id)
      this.#lastUsage.drop(id)
      for (const other of container.joined) this.#o.launcher.killTree(other, 'SIGKILL')
      // The kernel may have killed between two looks.
      container.limitation ??= this.#limitationOf(id)
      await this.#clear(id)
      await this.#o.logger.ended?.(id)
      return waitStatus
    }
    return {
      pid,
      ...(plan.network && { presence: { networks: plan.network.infos } }),
      exited: ended(),
      whyNeverRan: () => process.whyNeverRan?.(),
      limitation: () => container.limitation,
    }
  }

  networkEntrance(containerId: string): readonly [string, ...string[]] | undefined {
    return this.#containers.get(containerId)?.plan.network?.entrance
  }

  hold(containerId: string): () => void {
    const releases = this.#o.isolators.flatMap(isolator => isolator.hold?.(containerId) ?? [])
    return () => releases.forEach(release => release())
  }

  forget(containerId: string): void {
    this.#o.launcher.forget(containerId)
  }

  killTree(pid: number, signal: KillSignal): void {
    this.#o.launcher.killTree(pid, signal)
  }

  update(containerId: string, resources: Amounts, limits: Partial<Amounts>): void {
    const container = this.#containers.get(containerId)
    if (!container) return
    for (const isolator of this.#o.isolators) isolator.update?.(containerId, resources, limits)
    container.resources = resources
    container.limits = limits
    this.#lastUsage.drop(containerId)
  }

  usage(containerId: string): ContainerStatistics | undefined {
    const container = this.#containers.get(containerId)
    if (!container) return undefined
    return this.#lastUsage.of(containerId, () => {
      const statistics = allowed(container)
      for (const isolator of this.#o.isolators) {
        // It may be ending, and its groups with it.
        attempt(() => isolator.usage?.(container.id, container.pid, statistics))
      }
      return statistics
    })
  }

  async close(): Promise<void> {
    // Nothing is to be watched any more.
    this.#containers.clear()
    for (const stop of this.#launching.values()) stop.abort()
    await this.#o.launcher.close()
    for (const isolator of this.#o.isolators) await isolator.close?.()
    await this.#o.logger.close?.()
    await this.#o.provisioner?.close()
  }

  async #clear(id: string): Promise<void> {
    const { launcher, isolators, log } = this.#o
    await launcher.release?.(id)
    for (const isolator of isolators.toReversed()) {
      try {
        await isolator.cleanup?.(id)
      } catch (error) {
        log.warn({ container: id, error: messageOf(error) }, `${isolator.name} could not clean up`)
      }
    }
    try {
      await this.#o.provisioner?.destroy(id)
    } catch (error) {
      const fields = { container: id, error: messageOf(error) }
      log.warn(fields, 'a root file system could not be removed')
    }
  }

  #limitationOf(id: string): Limitation | undefined {
    for (const isolator of this.#watchers) {
      const found = attempt(() => isolator.limitation?.(id))
      if (found) return found
    }
    return undefined
  }

  /** One timer for all. */
  #watch(): void {
    if (this.#isWatching || this.#watchers.length === 0 || this.#containers.size === 0) return
    this.#isWatching = true
    this.#watchIn(WATCH_MS)
  }

  #watchIn(ms: number): void {
    const { clock, launcher, log } = this.#o
    clock.delay(ms, () => {
      const startedAtMs = clock.now()
      for (const container of this.#containers.values()) {
        if (container.limitation) continue
        container.limitation = this.#limitationOf(container.id)
        if (!container.limitation) continue
        const { reason } = container.limitation
        log.info({ container: container.id, reason }, 'a container took too much; ending it')
        launcher.killTree(container.pid, 'SIGKILL')
      }
      this.#isWatching = false
      if (this.#containers.size === 0) return
      this.#isWatching = true
      this.#watchIn(Math.max(WATCH_MS, (clock.now() - startedAtMs) / WATCH_SHARE))
    })
  }
}

/** What is launched, when all isolators have said what they want. */
function planned(spec: LaunchSpec, { program, env }: LaunchPlan): LaunchSpec {
  const all = { ...spec, env: commandEnvironment({ ...spec.env, ...env }, spec.command) }
  if (!program) return all
  const { argv0: _, ...rest } = all
  return { ...rest, ...program }
}

/** What it may use, as far as there is a bound. Isolators that hold it to something else say so. */
function allowed({ resources, limits }: Container): ContainerStatistics {
  const { cpus = resources.cpus, memMb = resources.memMb } = limits
  return {
    cpus_soft_limit: resources.cpus,
    ...(Number.isFinite(cpus) && { cpus_limit: cpus }),
    mem_soft_limit_bytes: resources.memMb * MB,
    ...(Number.isFinite(memMb) && { mem_limit_bytes: memMb * MB }),
  }
}

/** Undefined if it throws: what is asked about may just be gone. */
function attempt<T>(ask: () => T): T | undefined {
  try {
    return ask()
  } catch {
    return undefined
  }
}
