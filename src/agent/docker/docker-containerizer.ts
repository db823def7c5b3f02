// Containers that Docker runs, beside all others, which the containerizer behind this one runs.
//
//   launch    pull ─▶ record ─▶ docker create ─▶ docker start --attach ─▶ inspect, until it has started
//   its end   the command that is attached ends ─▶ inspect: exit status, out of memory ─▶ removed after a while
//
// The attached command writes what the container says to the sandbox. It is a container of the other containerizer, with the same
// id: so it is on record, survives the agent or does not, and is adopted, as any program. The guard ends the container itself by
// its own record (docker-records.ts). What counts in the end is what Docker says of the container, not how the command ended.

import type { Clock } from '../../actors/clock.ts'
import { messageOf, UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import type { Input } from '../attachment.ts'
import type { Amounts, ContainerStatistics } from '../containerizer/container.ts'
import type { Isolator } from '../containerizer/isolator.ts'
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
import { type DockerCgroups, startOf } from './docker-cgroups.ts'
import type { DockerCommand } from './docker-command.ts'
import { DockerExecs } from './docker-exec.ts'
import type { DockerRecords } from './docker-records.ts'
import {
  type DockerState,
  messageIn,
  parseInspect,
  parseNames,
  saysNothingThere,
} from './docker-state.ts'
import type { ImagePulls } from './image-pulls.ts'
import { DockerEnds, type DockerContainer } from './docker-ends.ts'
import { containerName, idOf, LABEL, type RunSettings, runOptions } from './run-options.ts'
import { presenceOf } from './presence.ts'
import type { Removals } from './removals.ts'

/** Docker did not answer. */
const UNKNOWN = 'unknown'
const FIRST_RETRY_MS = 1_000
const MAX_RETRY_MS = 60_000
/** A start takes Docker a quarter of a second; then it is asked ever more seldom. */
const FIRST_LOOK_MS = 150
const MAX_LOOK_MS = 1_000
const INSPECT_TIMEOUT_MS = 10_000
/** Names in one question. */
const AT_ONCE = 200
const MB = 2 ** 20

/** The attached command is there for its container only: it may have what it needs. */
const OF_CLIENT = {
  resources: { cpus: 0.1, memMb: 32 },
  limits: { cpus: Number.POSITIVE_INFINITY, memMb: Number.POSITIVE_INFINITY },
}

export interface DockerContainerizerOptions {
  readonly inner: Processes & { close(): Promise<void> }
  readonly docker: DockerCommand
  readonly pulls: ImagePulls
  readonly records: DockerRecords
  readonly removals: Removals
  readonly cgroups: DockerCgroups
  /** Read, and on an update written, what Docker's groups hold. */
  readonly isolators: readonly Isolator[]
  readonly settings: Omit<RunSettings, 'envPath'>
  readonly killsOrphans: boolean
  readonly clock: Clock
  readonly log: Logger
}

export class DockerContainerizer implements Processes {
  readonly #o: DockerContainerizerOptions
  readonly #ends: DockerEnds
  readonly #execs: DockerExecs
  readonly #launching = new Map<string, AbortController>()
  readonly #containers = new Map<string, DockerContainer>()
  #isClosed = false

  constructor(options: DockerContainerizerOptions) {
    this.#o = options
    const { docker, records, cgroups, clock, log } = options
    this.#execs = new DockerExecs({ docker, records, cgroups })
    const inspect = (name: string): Promise<DockerState | undefined> => this.#inspect(name)
    this.#ends = new DockerEnds({ docker, inspect, clock, log, isClosed: () => this.#isClosed })
  }

  async launch(spec: LaunchSpec): Promise<LaunchedProcess> {
    const { inner, records } = this.#o
    if (spec.container?.type !== 'DOCKER') return inner.launch(spec)
    const id = spec.containerId
    const abort = new AbortController()
    this.#launching.set(id, abort)
    try {
      const { docker } = spec.container
      await this.#o.pulls.have(docker!.image, docker!.force_pull_image ?? false, abort.signal)
      this.#check(abort.signal)
      records.add(id)
      await this.#create(spec)
      this.#check(abort.signal)
      return await this.#start(spec)
    } catch (error) {
      this.#clear(id, 'now')
      throw error
    } finally {
      this.#launching.delete(id)
    }
  }

  abandon(containerId: string): void {
    this.#launching.get(containerId)?.abort()
    this.#o.inner.abandon?.(containerId)
  }

  networkEntrance(containerId: string): readonly [string, ...string[]] | undefined {
    return this.#o.inner.networkEntrance?.(containerId)
  }

  hold(containerId: string): () => void {
    return this.#o.inner.hold?.(containerId) ?? (() => {})
  }

  #check(signal: AbortSignal): void {
    if (signal.aborted) throw new UserError('unavailable', 'It is not wanted any more.')
    if (this.#isClosed) throw new UserError('unavailable', 'The agent ends.')
  }

  async #create(spec: LaunchSpec): Promise<void> {
    const { docker, records, settings } = this.#o
    const id = spec.containerId
    const { words, environment } = runOptions(spec, { ...settings, envPath: records.envPath(id) })
    records.writeEnvironment(id, environment)
    try {
      const { ok, stderr } = await docker.run(['create', ...words])
      if (!ok) throw new UserError('internal', `Docker did not create it: ${messageIn(stderr)}`)
    } finally {
      records.removeEnvironment(id)
    }
  }

  async #start(spec: LaunchSpec): Promise<LaunchedProcess> {
    const { inner, docker, clock } = this.#o
    const { containerId: id, survives, cwd, stdoutPath, stderrPath } = spec
    const name = containerName(id)
    const client = await inner.launch({
      containerId: id,
      argv: [...docker.words, 'start', '--attach', '--', name],
      env: docker.env,
      cwd,
      stdoutPath,
      stderrPath,
      ...OF_CLIENT,
      ...(survives && { survives }),
    })
    let hasEnded = false
    const ended = client.exited.then(() => void (hasEnded = true))
    for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, MAX_LOOK_MS)) {
      const pause = new Promise<void>(resolve => clock.delay(waitMs, resolve))
      await (hasEnded ? pause : Promise.race([ended, pause]))
      // The agent ends: somebody else will ask.
      if (this.#isClosed) return new Promise(() => {})
      const isLast = hasEnded
      const state = await this.#inspect(name).catch((): typeof UNKNOWN => UNKNOWN)
      // It may run, and must not be said to have failed while nobody knows.
      if (state === UNKNOWN) continue
      if (state?.hasStarted) return this.#watched(spec, client, state)
      if (!isLast) continue
      inner.forget?.(id)
      const why = client.whyNeverRan?.() ?? (state?.error || 'it was not started by Docker')
      throw new UserError('internal', messageIn(why))
    }
  }

  /** A container that has started. */
  #watched(
    { containerId: id, resources, limits, container: info }: KnownContainer,
    client: LaunchedProcess,
    state: DockerState,
  ): LaunchedProcess {
    const { pid } = client
    const { pid: first, stopSignal } = state
    const container: DockerContainer = {
      id,
      name: containerName(id),
      pid,
      first,
      firstStart: startOf(first),
      stopSignal,
      resources: resources ?? { cpus: 0, memMb: 0 },
      limits: limits ?? {},
      kill: undefined,
      limitation: undefined,
    }
    this.#containers.set(id, container)
    this.#o.cgroups.add(id, first)
    const exited = async (): Promise<number> => {
      const ofClient = await client.exited
      const waitStatus = await this.#ends.of(container, ofClient)
      this.#clear(id, 'later')
      return waitStatus
    }
    const presence = presenceOf(info, state)
    return { pid, presence, exited: exited(), limitation: () => container.limitation }
  }

  /** Nothing of it runs any more. */
  #clear(id: string, when: 'now' | 'later'): void {
    const { cgroups, records, removals } = this.#o
    this.#containers.delete(id)
    cgroups.remove(id)
    const name = containerName(id)
    if (when === 'now') return void this.#removeNow(id, name)
    removals.add(name)
    records.remove(id)
  }

  /** It may run: on record, by which a guard ends it, until Docker says that it is not there. */
  async #removeNow(id: string, name: string): Promise<void> {
    const { clock, docker, log, records } = this.#o
    for (
      let waitMs = FIRST_RETRY_MS;
      !this.#isClosed;
      waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)
    ) {
      const { ok, stderr } = await docker.run(['rm', '--force', '--volumes', '--', name])
      if (ok || saysNothingThere(stderr)) return records.remove(id)
      log.warn({ container: name, error: messageIn(stderr) }, 'not removed by Docker; tried again')
      await new Promise<void>(resolve => clock.delay(waitMs, resolve))
    }
  }

  async recover(known: readonly KnownContainer[]): Promise<ReadonlyMap<string, LaunchedProcess>> {
    const commands = known.map(one =>
      one.container?.type === 'DOCKER'
        ? { containerId: one.containerId, cwd: one.cwd, ...OF_CLIENT }
        : one,
    )
    const clients = (await this.#o.inner.recover?.(commands)) ?? new Map<string, LaunchedProcess>()
    const found = new Map(clients)
    const ours = new Map(
      known
        .filter(({ container }) => container?.type === 'DOCKER')
        .map(one => [containerName(one.containerId), one]),
    )
    const names = await this.#names()
    const states = await this.#inspectAll(names)
    for (const [name, one] of ours) {
      const { containerId: id } = one
      const client = clients.get(id)
      const state = states.get(name)
      if (state?.hasStarted || (state && client)) {
        // Without its command, what it says from now on is lost; how it ends is not. If it has ended, there is nothing to signal.
        const stand: LaunchedProcess = { pid: state.pid, exited: Promise.resolve(0) }
        found.set(id, this.#watched(one, client ?? stand, state))
      } else if (state) this.#clear(id, 'now')
      // Removed by somebody: its command knows how it ended.
    }
    for (const name of names) if (!ours.has(name)) this.#endOrphan(name, states.get(name))
    return found
  }

  #endOrphan(name: string, state: DockerState | undefined): void {
    const { killsOrphans, log, records, removals } = this.#o
    const id = idOf(name)
    if (!state?.isRunning) {
      records.remove(id)
      return removals.add(name)
    }
    if (!killsOrphans) return
    log.info({ container: name }, "ending a container of Docker's that nobody asks for any more")
    // A guard ends it if the agent ends before Docker has.
    records.add(id)
    void this.#removeNow(id, name)
  }

  async #names(): Promise<string[]> {
    const { docker, settings } = this.#o
    const filter = `label=${LABEL}=${settings.token}`
    const args = ['ps', '--all', '--no-trunc', `--filter=${filter}`, '--format={{.Names}}']
    const { ok, stdout, stderr } = await docker.run(args)
    if (ok) return parseNames(stdout)
    throw new UserError(
      'unavailable',
      `Docker does not tell which containers it has: ${messageIn(stderr)}`,
    )
  }

  async #inspectAll(names: readonly string[]): Promise<ReadonlyMap<string, DockerState>> {
    const states = new Map<string, DockerState>()
    for (let at = 0; at < names.length; at += AT_ONCE) {
      const some = names.slice(at, at + AT_ONCE)
      const { ok, stdout, stderr } = await this.#o.docker.run([
        'inspect',
        '--type=container',
        '--',
        ...some,
      ])
      // One that is just being removed makes it fail, though it tells of the others.
      if (!ok && !saysNothingThere(stderr)) {
        throw new UserError(
          'unavailable',
          `Docker does not tell of its containers: ${messageIn(stderr)}`,
        )
      }
      for (const state of parseInspect(stdout)) states.set(state.name, state)
    }
    return states
  }

  /** Undefined if there is no such container. Rejects if that is not known. */
  async #inspect(name: string): Promise<DockerState | undefined> {
    const { ok, stdout, stderr } = await this.#o.docker.run(
      ['inspect', '--type=container', '--', name],
      { timeoutMs: INSPECT_TIMEOUT_MS },
    )
    if (ok) return parseInspect(stdout)[0]
    if (saysNothingThere(stderr)) return undefined
    throw new UserError('unavailable', messageIn(stderr))
  }

  killTree(pid: number, signal: KillSignal): void {
    if (pid === 0) return
    for (const container of this.#containers.values()) {
      if (container.pid !== pid) continue
      // Who ends because the agent does must not take along what survives it.
      if (!this.#isClosed) this.#ends.kill(container, signal)
      return
    }
    this.#o.inner.killTree(pid, signal)
  }

  forget(containerId: string): void {
    this.#o.inner.forget?.(containerId)
  }

  async exec(spec: ExecSpec, stop: AbortSignal): Promise<number> {
    const container = this.#containers.get(spec.containerId)
    if (container) return this.#execs.run(container, spec, stop)
    const { inner } = this.#o
    if (inner.exec) return inner.exec(spec, stop)
    throw new UserError('not_found', 'No program can be run in the container.')
  }

  async join(spec: JoinSpec): Promise<JoinedProcess> {
    const { inner } = this.#o
    if (inner.join && !this.#containers.has(spec.containerId)) return inner.join(spec)
    throw new UserError('not_implemented', "Nobody can talk to programs in Docker's containers.", {
      hint: "Use 'docker exec' on the agent's machine.",
    })
  }

  input(containerId: string): Input | undefined {
    return this.#o.inner.input?.(containerId)
  }

  update(containerId: string, resources: Amounts, limits: Partial<Amounts>): void {
    const { inner, isolators } = this.#o
    const container = this.#containers.get(containerId)
    if (!container) return inner.update?.(containerId, resources, limits)
    for (const isolator of isolators) isolator.update?.(containerId, resources, limits)
    container.resources = resources
    container.limits = limits
  }

  usage(containerId: string): ContainerStatistics | undefined {
    const { inner, isolators, log } = this.#o
    const container = this.#containers.get(containerId)
    if (!container) return inner.usage?.(containerId)
    const { cpus, memMb } = container.resources
    const limit = container.limits.cpus ?? cpus
    const statistics: ContainerStatistics = {
      cpus_soft_limit: cpus,
      ...(Number.isFinite(limit) && { cpus_limit: limit }),
      mem_soft_limit_bytes: memMb * MB,
    }
    for (const isolator of isolators) {
      try {
        isolator.usage?.(containerId, container.first, statistics)
      } catch (error) {
        log.debug({ container: containerId, error: messageOf(error) }, 'no statistics')
      }
    }
    return statistics
  }

  close(): Promise<void> {
    this.#isClosed = true
    this.#o.removals.close()
    return this.#o.inner.close()
  }
}
