// An executor that does what a test tells it to.

import { Actor } from '../../src/actors/actor.ts'
import type { Pid } from '../../src/actors/pid.ts'
import { serve } from '../../src/actors/protocol.ts'
import { uuidToBase64 } from '../../src/base/base64.ts'
import {
  AgentExecutor,
  type ExecutorCall,
  type ExecutorEvent,
  ExecutorEvents,
} from '../../src/messages/executor-api.ts'
import type { TaskState } from '../../src/messages/status.ts'
import { AGENT } from './world.ts'

export const AGENT_PID = `slave(1)@${AGENT}` as Pid

type WithoutSender<C> = C extends ExecutorCall ? Omit<C, 'executor_id' | 'framework_id'> : never
type Call = WithoutSender<ExecutorCall>

export class TestExecutor extends Actor {
  readonly id: string
  readonly events: ExecutorEvent[] = []
  unacknowledged: { tasks: string[] } | undefined
  constructor(id: string) {
    super()
    this.id = id
  }
  override readonly serves = [
    serve(ExecutorEvents, {
      event: event => {
        this.events.push(event)
      },
    }),
  ]
  get seen(): string[] {
    return this.events.map(event => event.type)
  }
  override initialize(): void {
    this.link(AGENT_PID)
    this.call({ type: 'SUBSCRIBE', subscribe: {} })
  }
  call(call: Call): void {
    this.ref(AgentExecutor, AGENT_PID).tell('call', {
      ...call,
      executor_id: { value: this.id },
      framework_id: { value: 'F1' },
    })
  }
  update(task: string, state: TaskState, more: object = {}): string {
    const uuid = uuidToBase64(this.random.uuid())
    this.call({
      type: 'UPDATE',
      update: {
        status: { task_id: { value: task }, state, source: 'SOURCE_EXECUTOR', uuid, ...more },
      },
    })
    return uuid
  }
}
