// Agents that register, one after the other, with whoever leads: each of them is a write to the registry, and its
// acknowledgement is what must never be lost. Every agent asks all masters again and again, so that one that wrongly takes
// itself for the leader is tempted to answer.

import { Actor } from '../../src/actors/actor.ts'
import { addressOf, type Pid, pid } from '../../src/actors/pid.ts'
import { type Ref, serve } from '../../src/actors/protocol.ts'
import type { Runtime } from '../../src/actors/runtime.ts'
import { VERSION } from '../../src/base/version.ts'
import { AGENT_CAPABILITIES } from '../../src/messages/agent.ts'
import { AgentMaster, MasterAgent } from '../../src/messages/agent-registration.ts'

const ASKED_AGAIN_MS = 25

export interface Acknowledged {
  readonly agentId: string
  readonly masterId: string
  /** Of the master that answered. */
  readonly address: string
  readonly atMs: number
}

export interface LoadOptions {
  readonly runtime: Runtime
  readonly masters: readonly string[]
  /** So many agents register at the same time. */
  readonly chains: number
  /** Between one agent and the next of a chain. */
  readonly pauseMs: number
  readonly acknowledged: (it: Acknowledged) => void
}

/** Runs until it is told to stop. */
export function startLoad(o: LoadOptions): { stop: () => void } {
  let stopped = false
  let number = 0
  const next = (): void => {
    if (stopped) return
    o.runtime.spawn(
      new RegisteringAgent(++number, o.masters, it => {
        o.acknowledged(it)
        setTimeout(next, o.pauseMs)
      }),
    )
  }
  for (let i = 0; i < o.chains; i++) next()
  return { stop: () => (stopped = true) }
}

class RegisteringAgent extends Actor {
  override readonly idPrefix = 'slave'
  readonly #number: number
  readonly #addresses: readonly string[]
  readonly #done: (it: Acknowledged) => void
  #masters: Ref<(typeof MasterAgent)['entries']>[] = []

  readonly serves = [
    serve(AgentMaster, {
      registered: ({ agent_id }, from) => this.#registered(agent_id.value, from),
      reregistered: () => {},
      ping: () => {},
      run_task: () => {},
      status_update_acknowledgement: () => {},
      kill_task: () => {},
      shutdown_framework: () => {},
      shutdown_executor: () => {},
      framework_message: () => {},
      shutdown: () => {},
      run_task_group: () => {},
      update_framework: () => {},
      drain: () => {},
    }),
  ]

  constructor(number: number, addresses: readonly string[], done: (it: Acknowledged) => void) {
    super()
    this.#number = number
    this.#addresses = addresses
    this.#done = done
  }

  protected override initialize(): void {
    this.#masters = this.#addresses.map(address => this.ref(MasterAgent, pid('master', address)))
    this.#ask()
  }

  #ask(): void {
    for (const master of this.#masters) {
      master.tell('register_agent', {
        agent: { hostname: `agent-${this.#number}`, resources: [], attributes: [] },
        version: VERSION,
        agent_capabilities: AGENT_CAPABILITIES.map(type => ({ type })),
        checkpointed_resources: [],
      })
    }
    this.delay(ASKED_AGAIN_MS, () => this.#ask())
  }

  #registered(agentId: string, from: Pid): void {
    const masterId = agentId.slice(0, agentId.lastIndexOf('-S'))
    this.#done({ agentId, masterId, address: addressOf(from), atMs: performance.now() })
    this.terminate()
  }
}
