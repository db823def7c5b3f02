// Networks of containers: made for the first that needs one, shared by those nested in it, and gone with the last.
//
// What happens to one network happens one after the other: a set-up that fails is undone before anybody else tries, and what is
// being taken down is down before it is set up again.

import { messageOf, UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import type { NetworkInfo } from '../../messages/container.ts'
import { addLoopback, attach, detach } from './attach.ts'
import { mapsPorts } from './config.ts'
import type { NetworkConfigs } from './configs.ts'
import type { NamedNetwork } from './demands.ts'
import { hostsText, resolvText } from './network-files.ts'
import type { Attachment, NetworkRecord, NetworkStore } from './network-store.ts'
import type { Plugins } from './plugins.ts'
import { joinedInfo, type PluginResult } from './result.ts'

/** A network that is there. */
export interface Joined {
  readonly id: string
  /** As a status tells of them. */
  readonly infos: readonly NetworkInfo[]
  readonly interfaces: ReadonlySet<string>
  readonly hasResolvConf: boolean
}

interface Network {
  readonly id: string
  /** Containers in it, and who else wants it to stay. */
  readonly members: Set<string>
  joined: Joined | undefined
  /** What is done to it last. Never rejects. */
  last: Promise<unknown>
}

export interface NetworksOptions {
  readonly store: NetworkStore
  readonly configs: NetworkConfigs
  readonly plugins: Plugins
  /** The token of this agent and of those before it. */
  readonly owner: string
  readonly log: Logger
}

export class Networks {
  readonly #o: NetworksOptions
  readonly #networks = new Map<string, Network>()
  readonly #networkOf = new Map<string, Network>()

  constructor(options: NetworksOptions) {
    this.#o = options
  }

  /** Rejects with a `UserError` if it cannot be had. `leave` is to be called in either case. */
  async join(
    id: string,
    member: string,
    wanted: readonly NamedNetwork[],
    hostname: string,
    stop?: AbortSignal,
  ): Promise<Joined> {
    const network = this.#with(id, member)
    return this.#next(network, async () => {
      network.joined ??= await this.#setUp(id, wanted, hostname, stop)
      return network.joined
    })
  }

  /** The network that a container of an agent before this one is in; undefined if it is on the machine's. */
  rejoin(member: string): Joined | undefined {
    const { store } = this.#o
    const id = withParents(member).find(each => store.has(each))
    const record = id === undefined ? undefined : store.read(id)
    if (id === undefined || !record) return undefined
    const network = this.#with(id, member)
    network.joined ??= joinedOf(id, record)
    return network.joined
  }

  /** Somebody wants a network to stay, once it is there. */
  hold(id: string): () => void {
    const holder = `${id} itself`
    this.#with(id, holder)
    return () => void this.leave(holder)
  }

  /** Resolves when, if it was the last, the network is gone. */
  async leave(member: string): Promise<void> {
    const network = this.#networkOf.get(member)
    if (!network) return
    this.#networkOf.delete(member)
    network.members.delete(member)
    await this.#next(network, async () => {
      if (network.members.size > 0) return
      network.joined = undefined
      if (this.#networks.get(network.id) === network) this.#networks.delete(network.id)
      await this.#tearDown(network.id)
    })
  }

  /** Takes down what nobody is in any more that is this agent's, or nobody's. */
  async collect(isOthers: (owner: string) => boolean): Promise<void> {
    const { store, owner } = this.#o
    await store.sweep(owner)
    const left = store.list().filter(id => {
      if (this.#networks.has(id)) return false
      const of = store.read(id)?.owner
      return of === undefined || of === owner || !isOthers(of)
    })
    if (left.length === 0) return
    await store.endPlugins(new Set(left))
    await Promise.all(left.map(id => this.#tearDown(id)))
  }

  /** The agent ends, and with it all containers but those that survive it. */
  async abandon(survives: (member: string) => boolean): Promise<void> {
    const gone = [...this.#networkOf.keys()].filter(member => !survives(member))
    await Promise.all(gone.map(member => this.leave(member)))
  }

  #with(id: string, member: string): Network {
    let network = this.#networks.get(id)
    if (!network) {
      network = { id, members: new Set(), joined: undefined, last: Promise.resolve() }
      this.#networks.set(id, network)
    }
    network.members.add(member)
    this.#networkOf.set(member, network)
    return network
  }

  #next<T>(network: Network, act: () => Promise<T>): Promise<T> {
    const done = network.last.then(act)
    network.last = done.catch(() => {})
    return done
  }

  async #setUp(
    id: string,
    wanted: readonly NamedNetwork[],
    hostname: string,
    stop: AbortSignal | undefined,
  ): Promise<Joined> {
    const { store, plugins, owner } = this.#o
    const attachments: Attachment[] = []
    for (const [index, info] of wanted.entries()) {
      const config = await this.#o.configs.find(info.name)
      if (info.port_mappings?.length && !mapsPorts(config)) {
        const why = `The CNI network '${info.name}' has no plugin that maps ports`
        throw new UserError('not_implemented', why)
      }
      attachments.push({ ifName: `eth${index}`, info, config })
    }
    const record: NetworkRecord = { owner, hostname, attachments }
    try {
      // Before anything is there that would have to be undone.
      await store.write(id, record)
      await store.makeNamespaces(id, hostname, stop)
      const to = { id, netns: store.path(id, 'ns') }
      await addLoopback(plugins, to, stop)
      for (const one of attachments) one.result = await attach(plugins, to, one, stop)
      await store.write(id, record)
      await this.#writeFiles(id, record)
    } catch (error) {
      await this.#tearDown(id)
      throw error
    }
    return joinedOf(id, record)
  }

  async #writeFiles(id: string, record: NetworkRecord): Promise<void> {
    const { store } = this.#o
    const results = resultsIn(record)
    const resolv = resolvText(results)
    await store.writeFile(id, 'hosts', hostsText(record.hostname, results))
    await store.writeFile(id, 'hostname', `${record.hostname}\n`)
    if (resolv !== undefined) await store.writeFile(id, 'resolv.conf', resolv)
  }

  /** What could not be undone stays on record: the next agent tries again. */
  async #tearDown(id: string): Promise<void> {
    const { store, plugins, log } = this.#o
    if (!store.has(id)) return
    const problems: string[] = []
    try {
      const netns = await store.namespace(id)
      for (const one of store.read(id)?.attachments.toReversed() ?? []) {
        problems.push(...(await detach(plugins, { id, netns }, one)))
      }
      await store.remove(id, problems.length > 0)
    } catch (error) {
      problems.push(messageOf(error))
    }
    for (const error of problems) {
      log.error({ container: id, error }, 'a container could not be taken off a network')
    }
  }
}

/** A container, and those that it is nested in. */
function withParents(id: string): string[] {
  const parts = id.split('.')
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('.'))
}

const resultsIn = ({ attachments }: NetworkRecord): PluginResult[] =>
  attachments.flatMap(({ result }) => (result ? [result] : []))

function joinedOf(id: string, record: NetworkRecord): Joined {
  const { attachments } = record
  return {
    id,
    infos: attachments.map(({ info, result }) => (result ? joinedInfo(info, result) : info)),
    interfaces: new Set(attachments.map(({ ifName }) => ifName)),
    hasResolvConf: resolvText(resultsIn(record)) !== undefined,
  }
}
