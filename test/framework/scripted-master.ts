// A master that does what a test tells it: it records calls, and says what it is told to say.

import { Actor } from '../../src/actors/actor.ts'
import type { Pid } from '../../src/actors/pid.ts'
import { serve } from '../../src/actors/protocol.ts'
import {
  type Call,
  type Event,
  MasterScheduler,
  SchedulerEvents,
} from '../../src/messages/scheduler-api.ts'
import type { Offer } from '../../src/messages/offer.ts'
import type { TaskStatus } from '../../src/messages/status.ts'

type Of<T extends Call['type']> = Extract<Call, { type: T }>

export class ScriptedMaster extends Actor {
  readonly serves = [serve(MasterScheduler, { call: (call, from) => this.#call(call, from) })]
  readonly calls: Call[] = []
  /** What a SUBSCRIBE is answered with; undefined: nothing. */
  answer: Event | undefined = subscribedEvent('F1')
  scheduler: Pid | undefined

  /** Calls of one type, so far. */
  of<T extends Call['type']>(type: T): Of<T>[] {
    return this.calls.filter((call): call is Of<T> => call.type === type)
  }

  say(event: Event): void {
    this.ref(SchedulerEvents, this.scheduler!).tell('event', event)
  }

  offer(...offers: Offer[]): void {
    this.say({ type: 'OFFERS', offers: { offers } })
  }

  status(status: TaskStatus): void {
    this.say({ type: 'UPDATE', update: { status } })
  }

  #call(call: Call, from: Pid): void {
    this.calls.push(call)
    if (call.type !== 'SUBSCRIBE') return
    this.scheduler = from
    if (this.answer) this.say(this.answer)
  }
}

export function subscribedEvent(id: string, heartbeatSeconds?: number): Event {
  return {
    type: 'SUBSCRIBED',
    subscribed: {
      framework_id: { value: id },
      ...(heartbeatSeconds && { heartbeat_interval_seconds: heartbeatSeconds }),
    },
  }
}

/** An offer of one agent with so many cpus and MB. */
export function offerOf(id: string, agent: string, cpus: number, mem: number): Offer {
  const scalar = (name: string, value: number) => ({
    name,
    type: 'SCALAR' as const,
    scalar: { value },
    allocation_info: { role: '*' },
  })
  return {
    id: { value: id },
    framework_id: { value: 'F1' },
    agent_id: { value: agent },
    hostname: `${agent}.example`,
    allocation_info: { role: '*' },
    resources: [
      scalar('cpus', cpus),
      scalar('mem', mem),
      {
        name: 'ports',
        type: 'RANGES',
        ranges: { range: [{ begin: 31_000, end: 31_004 }] },
        allocation_info: { role: '*' },
      },
    ],
  }
}
