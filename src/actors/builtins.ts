// What every process answers over HTTP, whichever actors it has: help, metrics, log level, what waits in mailboxes.

import { parseDuration } from '../base/duration.ts'
import { messageOf } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { VERSION } from '../base/version.ts'
import type { Clock } from './clock.ts'
import { type FlightEntry, shown } from './flight.ts'
import { type Endpoint, type HelpfulProcess, help } from './help.ts'
import { type HttpHandler, type HttpResponse, json, type Route, text, trimmedPath } from './http.ts'
import { LogLevel } from './log-level.ts'
import type { ActorEvent, Mailbox } from './mailbox.ts'
import type { Metrics } from './metrics.ts'

/** Samples what the process spends its time on. */
export interface Profiler {
  readonly running: boolean
  start(): Promise<void>
  /** The profile, in the form that Chromium's developer tools read (`.cpuprofile`). */
  stop(): Promise<string>
}

/** The machine, for `system/…`. */
export interface SystemStats {
  cpus(): number
  /** Over 1, 5 and 15 minutes. */
  loads(): readonly number[]
  memTotalBytes(): number
  memFreeBytes(): number
}

export interface BuiltinsHost {
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Absent: not enabled. */
  readonly profiler?: () => Promise<Profiler>
  readonly system?: SystemStats
  cells(): Iterable<{
    readonly id: string
    readonly routes: ReadonlyMap<string, Route>
    readonly mailbox: Mailbox
    lastEvents(): readonly FlightEntry[]
  }>
}

/** Of each actor in a list of all. */
const RECENT = 3

interface Builtin extends Route {
  /** An actor that serves this path is asked instead. */
  readonly yields: boolean
}

export class Builtins {
  readonly #host: BuiltinsHost
  readonly #routes = new Map<string, Builtin>()
  readonly #logLevel: LogLevel

  constructor(host: BuiltinsHost) {
    this.#host = host
    this.#logLevel = new LogLevel(host.log, host.clock)
    this.#add(
      '/__processes__',
      'Actors, what waits in their mailboxes, and what they were served last. ?id=master: more of one',
      request => json(this.#processes(request.query.get('id'))),
    )
    this.#add('/help', 'This. /help/<id> and /help/<id>/<name> for less; ?format=json', request =>
      help(this.#helpful(), request.path, request.query),
    )
    this.#add('/logging/toggle', 'Verbosity of the log; ?level=1&duration=15mins sets it.', r =>
      this.#logLevel.toggle(r),
    )
    this.#add('/metrics', "All metrics, in Prometheus' text format. ?timeout=10secs", request =>
      this.#metrics(request.query, async timeoutMs => ({
        status: 200,
        headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
        body: await host.metrics.prometheus(host.clock, timeoutMs),
      })),
    )
    this.#add('/metrics/snapshot', 'All metrics, as a JSON object. ?timeout=10secs', request =>
      this.#metrics(request.query, async timeoutMs =>
        json(await host.metrics.snapshot(host.clock, timeoutMs)),
      ),
    )
    this.#addProfiler()
    this.#addSystem()
    this.#add('/version', 'The version of the program.', () => json({ version: VERSION }), true)
    this.#add('/health', '200 while the process answers.', () => ({ status: 200 }), true)
  }

  /** The route of a path, if it is one of these. `yields`: actors come first. */
  find(path: string): Builtin | undefined {
    const clean = trimmedPath(path)
    return this.#routes.get(clean.startsWith('/help/') ? '/help' : clean)
  }

  close(): void {
    this.#logLevel.revert()
  }

  #add(path: string, sentence: string, handler: HttpHandler, yields = false): void {
    this.#routes.set(path, { path, help: sentence, handler, yields })
  }

  #addProfiler(): void {
    const { profiler } = this.#host
    const enabled = (run: (it: Profiler) => Promise<HttpResponse>): HttpHandler => {
      return async () => {
        if (profiler) return run(await profiler())
        const how = 'start the process with LIBPROCESS_ENABLE_PROFILER=1 in its environment'
        return text(400, `The profiler is not enabled; ${how}.\n`)
      }
    }
    this.#add(
      '/profiler/start',
      'Starts to sample what the process does.',
      enabled(async it => {
        if (it.running) return text(400, 'Profiler is already started.\n')
        await it.start()
        return text(200, 'Profiler started.\n')
      }),
    )
    this.#add(
      '/profiler/stop',
      'Ends that, and hands out the profile.',
      enabled(async it => {
        if (!it.running) return text(400, 'Profiler is not running.\n')
        const headers = { 'content-disposition': 'attachment; filename=profile.cpuprofile' }
        return {
          status: 200,
          headers: { 'content-type': 'application/octet-stream', ...headers },
          body: await it.stop(),
        }
      }),
    )
  }

  #addSystem(): void {
    const { system, metrics } = this.#host
    if (!system) return
    const readings: Readonly<Record<string, () => number>> = {
      cpus_total: () => system.cpus(),
      load_1min: () => system.loads()[0]!,
      load_5min: () => system.loads()[1]!,
      load_15min: () => system.loads()[2]!,
      mem_free_bytes: () => system.memFreeBytes(),
      mem_total_bytes: () => system.memTotalBytes(),
    }
    for (const [name, read] of Object.entries(readings)) metrics.gauge(`system/${name}`, read)
    this.#add('/system/stats.json', 'Load and memory of the machine.', () =>
      json(Object.fromEntries(Object.entries(readings).map(([name, read]) => [name, read()]))),
    )
  }

  async #metrics(
    query: URLSearchParams,
    answer: (timeoutMs: number | undefined) => Promise<HttpResponse>,
  ): Promise<HttpResponse> {
    const timeout = query.get('timeout')
    let timeoutMs: number | undefined
    try {
      if (timeout !== null) timeoutMs = parseDuration(timeout)
    } catch (error) {
      return text(400, `Invalid 'timeout': ${messageOf(error)}\n`)
    }
    return answer(timeoutMs)
  }

  /** Without an id only a few of each one's last events: there may be thousands of actors. */
  #processes(id: string | null): readonly unknown[] {
    const cells = [...this.#host.cells()].filter(cell => id === null || cell.id === id)
    return cells.map(cell => ({
      id: cell.id,
      events: cell.mailbox.peek().map(describe),
      recent: cell
        .lastEvents()
        .slice(id === null ? -RECENT : 0)
        .map(shown),
    }))
  }

  /** First segments name processes, as they do in Mesos. */
  #helpful(): HelpfulProcess[] {
    const byId = new Map<string, Endpoint[]>()
    const add = (id: string, name: string, sentence: string): void => {
      const endpoints = byId.get(id) ?? []
      endpoints.push({ name, help: sentence })
      byId.set(id, endpoints)
    }
    for (const { path, help: sentence } of this.#routes.values()) {
      const [, id = '', ...rest] = path.split('/')
      add(id, `/${rest.join('/')}`, sentence)
    }
    for (const { id, routes } of this.#host.cells()) {
      for (const { path, help: sentence } of routes.values()) add(id, path, sentence)
    }
    return [...byId].map(([id, endpoints]) => ({ id, endpoints }))
  }
}

/** Mesos has five types of event; an answer that comes back is, as there, a dispatch. */
function describe(event: ActorEvent): { readonly type: string; readonly [key: string]: string } {
  switch (event.type) {
    case 'message':
      return { type: 'MESSAGE', name: event.served.wire, from: event.from }
    case 'http':
      return { type: 'HTTP', name: event.request.path, method: event.request.method }
    case 'exited':
      return { type: 'EXITED', name: event.pid }
    case 'dispatch':
      return { type: 'DISPATCH', name: event.name ?? 'call' }
    case 'initialize':
      return { type: 'DISPATCH', name: 'initialize' }
    case 'resume':
      return { type: 'DISPATCH', name: 'resume' }
    case 'terminate':
      return { type: 'TERMINATE', name: 'terminate' }
  }
}
