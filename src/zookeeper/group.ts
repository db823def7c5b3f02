// A group of processes in ZooKeeper: each has an ephemeral node under a path, with a few bytes about itself. An actor may
// join it, and follows who is in it.
//
// One thing is done at a time, again and again: join, list, read what is new. That happens when ZooKeeper says that something
// changed, and in any case a few times within the session's timeout, in place of pings: so a notice that is lost costs a
// moment, and that ZooKeeper does not answer is noticed.
//
// *Whether a session lives* is decided by this process' own clock. ZooKeeper lets a session expire when it has heard nothing
// of it for the timeout; it had heard a question that it answered when that was asked, or later. So until timeout after
// the last answered question was *asked* the node is there, however late the answer came and whatever happened to this process
// meanwhile; after that nobody knows.

import type { Context } from '../actors/actor.ts'
import type { Timer } from '../actors/clock.ts'
import { seconds } from '../base/duration.ts'
import { UserError } from '../base/errors.ts'
import { onceAWhile } from '../base/log.ts'
import { type MemberName, memberNames } from './members.ts'
import { type OpenSession, type Session, ZooKeeperError } from './session.ts'
import type { ZooKeeperUrl } from './url.ts'

/** So many times within a session's timeout ZooKeeper is asked at least. */
const QUESTIONS = 4
/** Part of the timeout for which a session is relied upon: clocks may differ, and ZooKeeper's ticks are coarse. */
const RELIABLE_PART = 0.9
const REOPEN_MS = 100
const COMPLAINT_MS = seconds(30)
/** More than that says nobody about itself. */
const MOST_BYTES = 64 * 1024

export interface Member extends MemberName {
  /** Undefined: not asked for, or too much. */
  readonly data: Uint8Array | undefined
  readonly isOwn: boolean
}

/** A node's name begins with the label. */
export interface Entry {
  readonly label: string
  readonly data: Uint8Array
}

export interface GroupOptions {
  readonly context: Context
  readonly open: OpenSession
  readonly url: ZooKeeperUrl
  /** Of the nodes' parent. */
  readonly path: string
  readonly sessionTimeoutMs: number
  /** What this process enters itself with; absent: it only looks. */
  readonly entry?: Entry
  /** Of how many, the oldest first, the data is wanted. */
  readonly read: number
  /** Whenever that has changed, the oldest first; at first as soon as it is known. */
  readonly members: (members: readonly Member[]) => unknown
  /** This process' node is gone, or may be. It enters itself again, unless what is called ends the group. */
  readonly lost?: (why: string) => unknown
}

export class Group {
  readonly #o: GroupOptions
  readonly #complain: ReturnType<typeof onceAWhile>
  #session: Session | undefined
  /** When the last question that was answered had been asked. */
  #confirmedAtMs: number | undefined
  /** The name of this process' node. */
  #own: string | undefined
  readonly #read = new Map<string, Uint8Array | undefined>()
  #known: string | undefined
  #busy = false
  #again = false
  #isEnded = false
  #next: Timer | undefined
  #silence: Timer | undefined

  constructor(options: GroupOptions) {
    this.#o = options
    this.#complain = onceAWhile(() => options.context.clock.now(), COMPLAINT_MS)
  }

  /** Until when this process' node is certainly there, by its own clock; 0 if it is not. */
  get heldUntilMs(): number {
    if (this.#own === undefined || this.#confirmedAtMs === undefined || !this.#session) return 0
    return this.#confirmedAtMs + this.#session.timeoutMs * RELIABLE_PART
  }

  begin(): void {
    this.#open()
  }

  /** Leaves the group, and ZooKeeper. */
  end(): void {
    this.#isEnded = true
    this.#next?.cancel()
    this.#silence?.cancel()
    this.#session?.close()
    this.#session = undefined
  }

  // The session

  #open(): void {
    if (this.#isEnded) return
    const { context, open, url, sessionTimeoutMs } = this.#o
    this.#confirmedAtMs = undefined
    const current = (run: () => unknown) => () => (session === this.#session ? run() : undefined)
    const session: Session = open(
      { servers: url.servers, credentials: url.credentials, timeoutMs: sessionTimeoutMs },
      {
        connected: context.defer(current(() => this.#look())),
        changed: context.defer(current(() => this.#look())),
        ended: context.defer((why: string) =>
          session === this.#session ? this.#lose(why) : undefined,
        ),
      },
    )
    this.#session = session
    context.dispatch(() => this.#look())
  }

  /** The session is gone for good. */
  #lose(why: string): unknown {
    this.#session?.abandon()
    this.#session = undefined
    const { context } = this.#o
    context.log.warn({ why }, 'the session with ZooKeeper is lost; another one is opened')
    const left = this.#leave(why)
    context.delay(REOPEN_MS, () => this.#open())
    return left
  }

  #leave(why: string): unknown {
    if (this.#own === undefined) return undefined
    this.#own = undefined
    return this.#o.lost?.(why)
  }

  /** Asks ZooKeeper something. Nothing that was asked in a session that is gone goes on. */
  async #ask<T>(question: (session: Session) => Promise<T>): Promise<T> {
    const session = this.#session
    if (!session) throw new ZooKeeperError('SESSION_ENDED', 'there is no session')
    const { context } = this.#o
    const askedAtMs = context.clock.now()
    this.#watch(session)
    try {
      const answer = await context.resume(question(session))
      this.#answered(session, askedAtMs)
      return answer
    } catch (error) {
      if (error instanceof ZooKeeperError && error.isAnswer) this.#answered(session, askedAtMs)
      throw error
    } finally {
      this.#silence?.cancel()
    }
  }

  #answered(session: Session, askedAtMs: number): void {
    if (session !== this.#session) {
      throw new ZooKeeperError('SESSION_ENDED', 'the answer came after the session')
    }
    this.#confirmedAtMs = askedAtMs
  }

  get #pauseMs(): number {
    return (this.#session?.timeoutMs ?? this.#o.sessionTimeoutMs) / QUESTIONS
  }

  /** Looks whether anything is heard while an answer is waited for. */
  #watch(session: Session): void {
    const { heard } = session
    const { context } = this.#o
    this.#silence?.cancel()
    this.#silence = context.delay(this.#pauseMs, () => {
      if (session !== this.#session) return undefined
      const silentMs = context.clock.now() - (this.#confirmedAtMs ?? context.clock.now())
      if (silentMs > session.timeoutMs) return this.#lose('ZooKeeper has not answered for its time')
      if (session.heard === heard) {
        this.#complainOf('no answer from ZooKeeper; trying on')
        session.reconnect()
      }
      this.#watch(session)
      return undefined
    })
  }

  #complainOf(what: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const { servers } = this.#o.url
    const { path, context } = this.#o
    this.#complain(repeats => context.log.warn({ servers, path, ...fields, ...repeats }, what))
  }

  // The group

  async #look(): Promise<void> {
    this.#again = this.#busy
    if (this.#busy || this.#isEnded) return
    this.#busy = true
    this.#next?.cancel()
    try {
      await this.#round()
    } catch (error) {
      if (!(error instanceof ZooKeeperError)) throw error
      this.#refused(error)
    } finally {
      this.#busy = false
    }
    if (this.#isEnded) return
    if (this.#again) return this.#look()
    this.#next = this.#o.context.delay(this.#pauseMs, () => this.#look())
  }

  async #round(): Promise<void> {
    const { entry, path } = this.#o
    if (entry && this.#own === undefined) this.#own = await this.#join(entry)
    const names = await this.#list(path)
    if (this.#own !== undefined && !names.includes(this.#own)) {
      this.#again = true
      await this.#leave('somebody has removed its node')
      return
    }
    await this.#tell(memberNames(names))
  }

  async #list(path: string): Promise<readonly string[]> {
    try {
      return await this.#ask(session => session.children(path))
    } catch (error) {
      if (!(error instanceof ZooKeeperError) || error.code !== 'NO_NODE') throw error
      if (!this.#o.entry)
        this.#complainOf(`there is no ${path} in ZooKeeper: nobody has joined yet`)
      // Leaves a watch: ZooKeeper tells when there is one.
      if (await this.#ask(session => session.exists(path))) this.#again = true
      return []
    }
  }

  async #tell(names: readonly MemberName[]): Promise<void> {
    const there = new Set(names.map(({ name }) => name))
    for (const name of this.#read.keys()) if (!there.has(name)) this.#read.delete(name)
    for (const { name } of names.slice(0, this.#o.read)) {
      if (!this.#read.has(name)) await this.#readMember(name)
    }
    const members = names.map(member => ({
      ...member,
      data: this.#read.get(member.name),
      isOwn: member.name === this.#own,
    }))
    const known = JSON.stringify(members.map(({ name, data, isOwn }) => [name, !!data, isOwn]))
    if (known === this.#known || this.#isEnded) return
    this.#known = known
    await this.#o.members(members)
  }

  async #readMember(name: string): Promise<void> {
    try {
      const { data } = await this.#ask(session => session.read(`${this.#o.path}/${name}`))
      this.#read.set(name, data.length <= MOST_BYTES ? data : undefined)
    } catch (error) {
      // Gone meanwhile: the list is out of date.
      if (!(error instanceof ZooKeeperError) || error.code !== 'NO_NODE') throw error
      this.#again = true
    }
  }

  /** Resolves to the name of this process' node. */
  async #join(entry: Entry): Promise<string> {
    const { path } = this.#o
    const parts = path.split('/').slice(1)
    for (let depth = 1; depth <= parts.length; depth++) {
      await this.#makeNode(`/${parts.slice(0, depth).join('/')}`)
    }
    // The answer to an earlier try may be what was lost: one node is enough.
    const found = await this.#findOwn(entry)
    if (found !== undefined) return found
    const created = await this.#ask(session =>
      session.create(`${path}/${entry.label}_`, entry.data, 'ephemeral sequential'),
    )
    return created.slice(path.length + 1)
  }

  async #makeNode(path: string): Promise<void> {
    // Asked first: whoever may not create it need not, if it is there.
    if (await this.#ask(session => session.exists(path))) return
    try {
      await this.#ask(session => session.create(path, new Uint8Array(), 'persistent'))
    } catch (error) {
      if (!(error instanceof ZooKeeperError) || error.code !== 'NODE_EXISTS') throw error
    }
  }

  async #findOwn(entry: Entry): Promise<string | undefined> {
    const names = await this.#ask(session => session.children(this.#o.path))
    for (const { name, label } of memberNames(names)) {
      if (label !== entry.label) continue
      const owner = await this.#ask(session => session.read(`${this.#o.path}/${name}`)).then(
        node => node.owner,
        (error: unknown) => {
          if (error instanceof ZooKeeperError && error.code === 'NO_NODE') return undefined
          throw error
        },
      )
      if (owner === this.#session?.id) return name
    }
    return undefined
  }

  /** Something could not be done. It is tried again, unless that is in vain for who has to join. */
  #refused(error: ZooKeeperError): void {
    const { entry, path } = this.#o
    const servers = this.#o.url.servers.join()
    switch (error.code) {
      case 'NO_AUTH':
      case 'INVALID_ACL': {
        const what = `ZooKeeper at ${servers} refuses these credentials for ${path}`
        if (!entry) return this.#complainOf('ZooKeeper does not let this process read there')
        throw new UserError('forbidden', `${what}.`, {
          hint: 'The node, or one above it, belongs to another user: check user and password in zk://user:password@…, or take another path.',
        })
      }
      case 'OTHER':
        return this.#complainOf('ZooKeeper refuses what it is asked', { error: error.message })
      default:
        // A connection that breaks is made again, and that is told.
        return
    }
  }
}
