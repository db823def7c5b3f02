// Containers whose commands have URIs: what is fetched, is in the sandbox before the container is launched. All else is passed on.

import type { Accounts } from '../containerizer/accounts.ts'
import type { Input } from '../attachment.ts'
import type { Amounts, ContainerStatistics } from '../containerizer/container.ts'
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
import type { Fetcher } from './fetcher.ts'

export class FetchingProcesses implements Processes {
  readonly #inner: Processes
  readonly #fetcher: Fetcher
  readonly #accounts: Accounts
  readonly #fetching = new Map<string, AbortController>()

  constructor(inner: Processes, fetcher: Fetcher, accounts: Accounts) {
    this.#inner = inner
    this.#fetcher = fetcher
    this.#accounts = accounts
  }

  async launch(spec: LaunchSpec): Promise<LaunchedProcess> {
    const uris = spec.command?.uris ?? []
    if (uris.length > 0) await this.#fetch(spec, uris)
    return this.#inner.launch(spec)
  }

  async #fetch(spec: LaunchSpec, uris: NonNullable<LaunchSpec['command']>['uris']): Promise<void> {
    const { containerId, cwd: sandbox, user } = spec
    const stop = new AbortController()
    this.#fetching.set(containerId, stop)
    try {
      const account = user === undefined ? undefined : await this.#accounts.find(user)
      if (account) await this.#accounts.give(account, spec)
      await this.#fetcher.fetch({ containerId, uris: uris ?? [], sandbox, account }, stop.signal)
    } finally {
      this.#fetching.delete(containerId)
    }
  }

  abandon(containerId: string): void {
    this.#fetching.get(containerId)?.abort()
    this.#inner.abandon?.(containerId)
  }

  killTree(pid: number, signal: KillSignal): void {
    this.#inner.killTree(pid, signal)
  }

  recover(known: readonly KnownContainer[]): Promise<ReadonlyMap<string, LaunchedProcess>> {
    return this.#inner.recover?.(known) ?? Promise.resolve(new Map())
  }

  forget(containerId: string): void {
    this.#inner.forget?.(containerId)
  }

  update(containerId: string, resources: Amounts, limits: Partial<Amounts>): void {
    this.#inner.update?.(containerId, resources, limits)
  }

  usage(containerId: string): ContainerStatistics | undefined {
    return this.#inner.usage?.(containerId)
  }

  networkEntrance(containerId: string): readonly [string, ...string[]] | undefined {
    return this.#inner.networkEntrance?.(containerId)
  }

  hold(containerId: string): () => void {
    return this.#inner.hold?.(containerId) ?? (() => {})
  }

  exec(spec: ExecSpec, stop: AbortSignal): Promise<number> {
    return this.#inner.exec!(spec, stop)
  }

  join(spec: JoinSpec): Promise<JoinedProcess> {
    return this.#inner.join!(spec)
  }

  input(containerId: string): Input | undefined {
    return this.#inner.input?.(containerId)
  }

  /** No fetch outlives its agent. */
  close(): void {
    for (const stop of this.#fetching.values()) stop.abort()
  }
}
