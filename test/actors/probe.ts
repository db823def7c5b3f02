// An actor for tests: it serves one small protocol in ways a test chooses, and remembers what came.

import type { Test } from 'tap'
import * as v from 'valibot'
import {
  Actor,
  type LinkOptions,
  type StreamOptions,
  type TerminateOptions,
  type WaitOptions,
} from '../../src/actors/actor.ts'
import type { Timer } from '../../src/actors/clock.ts'
import type { HttpHandler } from '../../src/actors/http.ts'
import type { BodyStream } from '../../src/actors/http-stream.ts'
import type { ExitReason } from '../../src/actors/mailbox.ts'
import type { Counter } from '../../src/actors/metrics.ts'
import type { Pid } from '../../src/actors/pid.ts'
import {
  call,
  cast,
  type Entries,
  type Protocol,
  protocol,
  type Ref,
  type Refs,
  serve,
} from '../../src/actors/protocol.ts'
import type { Runtime } from '../../src/actors/runtime.ts'
import { type CollectingLogger, collectingLogger } from '../../src/base/log.ts'
import { World, type WorldOptions } from '../../src/sim/world.ts'

export const Chat = protocol('test.chat', {
  /** Answered as the test says; by default with the same text. */
  echo: call(v.object({ text: v.string() }), v.object({ text: v.string() })),
  note: cast(v.object({ text: v.string(), tags: v.optional(v.array(v.string())) })),
})

/** Same name on the wire as `Chat`, other shapes: what a program of another version might send. */
export const OtherChat = protocol('test.chat', {
  echo: call(v.object({ text: v.number() }), v.object({ text: v.number() })),
  note: cast(v.object({ text: v.number() })),
  shout: cast(v.object({})),
  whisper: call(v.object({}), v.object({})),
})

export type ChatRef = Ref<typeof Chat.entries>

export interface ProbeOptions {
  readonly echo?: (self: Probe, text: string, from: Pid) => string | Promise<string>
  readonly note?: (self: Probe, text: string, from: Pid) => void | Promise<void>
  readonly noteTags?: (tags: readonly string[] | undefined, from: Pid) => void
  readonly initialize?: (self: Probe) => void | Promise<void>
  readonly finalize?: (self: Probe) => void
  readonly exited?: (self: Probe, pid: Pid) => void | Promise<void>
  readonly failureEnds?: 'actor' | 'process'
}

export class Probe extends Actor {
  override readonly idPrefix = 'probe'
  override readonly failureEnds: 'actor' | 'process'
  /** What it was told, `text`; and of whose end, `exited pid`; in order. */
  readonly heard: string[] = []
  /** How each of those whose end it heard of came to it. */
  readonly reasons: ExitReason[] = []
  readonly #options: ProbeOptions

  readonly serves = [
    serve(Chat, {
      echo: async ({ text }, from) => ({
        text: (await this.#options.echo?.(this, text, from)) ?? text,
      }),
      note: ({ text, tags }, from) => {
        this.heard.push(text)
        this.#options.noteTags?.(tags, from)
        return this.#options.note?.(this, text, from)
      },
    }),
  ]

  constructor(options: ProbeOptions = {}) {
    super()
    this.#options = options
    this.failureEnds = options.failureEnds ?? 'actor'
  }

  override initialize(): void | Promise<void> {
    return this.#options.initialize?.(this)
  }

  override finalize(): void {
    this.#options.finalize?.(this)
  }

  override exited(pid: Pid, why: ExitReason): void | Promise<void> {
    this.reasons.push(why)
    this.heard.push(`exited ${pid}`)
    return this.#options.exited?.(this, pid)
  }

  chat(to: Pid): ChatRef {
    return this.ref(Chat, to)
  }

  many(to: readonly Pid[]): Refs<typeof Chat.entries> {
    return this.refs(Chat, to)
  }

  other(to: Pid): Ref<typeof OtherChat.entries> {
    return this.ref(OtherChat, to)
  }

  any<E extends Entries>(definition: Protocol<E>, to: Pid): Ref<E> {
    return this.ref(definition, to)
  }

  override link(to: Pid, options?: LinkOptions): void {
    super.link(to, options)
  }

  override unlink(to: Pid): void {
    super.unlink(to)
  }

  override delay(ms: number, run: () => unknown): Timer {
    return super.delay(ms, run)
  }

  override dispatch(run: () => unknown): void {
    super.dispatch(run)
  }

  override resume<T>(promise: Promise<T>): Promise<T> {
    return super.resume(promise)
  }

  override route(path: string, help: string, handler: HttpHandler): void {
    super.route(path, help, handler)
  }

  override stream(options?: StreamOptions): BodyStream {
    return super.stream(options)
  }

  counter(name: string): Counter {
    return this.metrics.counter(name)
  }

  override spawn(actor: Actor, id?: string): Pid {
    return super.spawn(actor, id)
  }

  override terminate(of?: Pid, options?: TerminateOptions): void {
    super.terminate(of, options)
  }

  override waitFor(of: Pid, options?: WaitOptions): Promise<boolean> {
    return super.waitFor(of, options)
  }

  override sleep(ms: number): Promise<void> {
    return super.sleep(ms)
  }

  override defer<A extends unknown[]>(run: (...args: A) => unknown): (...args: A) => void {
    return super.defer(run)
  }
}

export const A = '10.0.0.1:5051'
export const B = '10.0.0.2:5052'
export const C = '10.0.0.3:5053'

export interface Stage {
  readonly world: World
  readonly log: CollectingLogger
  /** Spawns a probe at an address, whose process is started if need be. */
  readonly probe: (
    address: string,
    options?: ProbeOptions,
    id?: string,
  ) => { probe: Probe; pid: Pid }
  readonly runtime: (address: string) => Runtime
  /** Kills the process at an address and starts it anew, empty. */
  readonly restart: (address: string) => void
}

/** A world with processes made as they are named. */
export function stage(options: Partial<WorldOptions> = {}): Stage {
  const log = collectingLogger()
  const world = new World({
    log,
    // Shorter than the real ones, so that a test of silence is not longer than it need be.
    limits: { pingIntervalMs: 5_000, silenceLimitMs: 15_000 },
    ...options,
  })
  const runtimes = new Map<string, Runtime>()
  const runtime = (address: string): Runtime => {
    let found = runtimes.get(address)
    if (!found) runtimes.set(address, (found = world.start(address)))
    return found
  }
  return {
    world,
    log,
    runtime,
    probe: (address, probeOptions, id) => {
      const probe = new Probe(probeOptions)
      return { probe, pid: runtime(address).spawn(probe, id) }
    },
    restart: address => {
      world.crash(address)
      runtimes.set(address, world.start(address))
    },
  }
}

/** Runs `work` on a fresh stage, stops the world, and checks that nothing is left of it. */
export async function withStage(
  t: Test,
  work: (stage: Stage) => Promise<void>,
  options: Partial<WorldOptions> = {},
): Promise<void> {
  const made = stage(options)
  await work(made)
  await made.world.stop()
  t.strictSame(made.world.leftovers(), [], 'nothing is left at the end')
}

/** How an ask ended: its answer, or the code of its failure. */
export async function outcome(asked: Promise<{ readonly text?: string }>): Promise<string> {
  try {
    const answer = await asked
    return answer.text ?? 'answered'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
