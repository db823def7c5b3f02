// Many agents in one process, over one socket to the master. Their tasks run no time at all: TASK_RUNNING is sent at
// once, TASK_FINISHED as soon as that is acknowledged, which is the order of every agent (a stream of updates has one
// of them under way).

import { Actor } from '../../src/actors/actor.ts'
import { type Address, type Pid, pid } from '../../src/actors/pid.ts'
import { type Ref, serve } from '../../src/actors/protocol.ts'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { toBase64 } from '../../src/base/base64.ts'
import { createLogger } from '../../src/base/logger.ts'
import { VERSION } from '../../src/base/version.ts'
import { AGENT_CAPABILITIES, type AgentInfo } from '../../src/messages/agent.ts'
import { AgentMaster, MasterAgent, type RunTask } from '../../src/messages/agent-registration.ts'
import type { TaskState } from '../../src/messages/status.ts'
import { serveCommands } from '../program.ts'

/** All agents' counts together. */
export interface AgentsCount {
  /** When they were taken, on this process' monotonic clock. */
  readonly atMs: number
  /** Tasks whose last update has been acknowledged. */
  readonly finished: number
  /** Messages with the master, both ways, but for registration and pings. */
  readonly messages: number
}

const REGISTER_AGAIN_MS = 500

let registered = 0
let finished = 0
let messages = 0

class InstantAgent extends Actor {
  override readonly idPrefix = 'slave'
  readonly #masterPid: Pid
  readonly #info: AgentInfo
  #master!: Ref<(typeof MasterAgent)['entries']>
  #id: { readonly value: string } | undefined
  /** Tasks whose TASK_RUNNING is not acknowledged yet. */
  readonly #running = new Set<string>()

  readonly serves = [
    serve(AgentMaster, {
      registered: ({ agent_id }) => this.#registered(agent_id),
      reregistered: () => {},
      ping: () => {
        if (this.#id) this.#master.tell('pong', { agent_id: this.#id })
      },
      run_task: run => this.#run(run),
      status_update_acknowledgement: ({ framework_id, task_id }) => {
        messages++
        if (this.#running.delete(task_id.value)) {
          this.#update(framework_id, task_id, 'TASK_FINISHED')
        } else {
          finished++
        }
      },
      kill_task: () => {},
      shutdown_framework: () => {},
      shutdown_executor: () => {},
      framework_message: () => {},
      shutdown: ({ message }) => {
        throw new Error(`the master shut the agent down: ${message}`)
      },
      run_task_group: () => {},
      update_framework: () => {},
      drain: () => {},
    }),
  ]

  constructor(master: Address, info: AgentInfo) {
    super()
    this.#masterPid = pid('master', master)
    this.#info = info
  }

  protected override initialize(): void {
    this.#master = this.ref(MasterAgent, this.#masterPid)
    this.#register()
  }

  #register(): void {
    if (this.#id) return
    this.#master.tell('register_agent', {
      agent: this.#info,
      version: VERSION,
      agent_capabilities: AGENT_CAPABILITIES.map(type => ({ type })),
      checkpointed_resources: [],
    })
    this.delay(REGISTER_AGAIN_MS, () => this.#register())
  }

  #registered(id: { readonly value: string }): void {
    if (!this.#id) registered++
    this.#id = id
  }

  #run({ framework, task }: RunTask): void {
    messages++
    this.#running.add(task.task_id.value)
    this.#update(framework.id!, task.task_id, 'TASK_RUNNING')
  }

  #update(framework_id: { value: string }, task_id: { value: string }, state: TaskState): void {
    messages++
    const timestamp = this.clock.now() / 1_000
    const agent_id = { value: this.#id!.value }
    const uuid = toBase64(this.random.bytes(16))
    this.#master.tell('status_update', {
      update: {
        framework_id,
        agent_id,
        status: { task_id, agent_id, state, source: 'SOURCE_EXECUTOR', timestamp, uuid },
        timestamp,
        uuid,
        latest_state: state,
      },
    })
  }
}

const commands = serveCommands({
  /** Starts `count` agents with these resources each; resolves when all are registered. */
  async start(o: { master: Address; count: number; cpus: number; memMb: number }): Promise<void> {
    const runtime = await systemRuntime({
      log: createLogger({ level: 'warn', format: 'text', name: 'agents' }),
      listen: { ip: '127.0.0.1', port: 0 },
    })
    const scalar = (name: string, value: number) =>
      ({ name, type: 'SCALAR', scalar: { value } }) as const
    for (let i = 1; i <= o.count; i++) {
      const info = {
        hostname: `agent-${i}.example.org`,
        resources: [scalar('cpus', o.cpus), scalar('mem', o.memMb)],
      }
      runtime.spawn(new InstantAgent(o.master, info))
    }
    while (registered < o.count) await new Promise(resolve => setTimeout(resolve, 10))
  },

  count(): AgentsCount {
    return { atMs: performance.now(), finished, messages }
  },
})

export type AgentsProgram = typeof commands
