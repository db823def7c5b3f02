// What a protocol's types must refuse. The compiler reads this file and nothing runs it: a line under
// `@ts-expect-error` that compiles is an error, and so is any other line that does not.

import * as v from 'valibot'
import type { Pid } from '../../src/actors/pid.ts'
import { call, cast, protocol, type Ref, serve } from '../../src/actors/protocol.ts'

const Replica = protocol('types.replica', {
  promise: call(v.object({ proposal: v.number() }), v.object({ okay: v.boolean() })),
  learned: cast(v.object({ position: v.number() })),
})

declare const replica: Ref<typeof Replica.entries>

export function handlers(): void {
  serve(Replica, {
    promise: ({ proposal }, from: Pid) => ({ okay: proposal > from.length }),
    learned: ({ position }) => void position,
  })
  serve(Replica, { promise: async () => ({ okay: true }), learned: async () => {} })

  // @ts-expect-error: a handler is missing
  serve(Replica, { promise: () => ({ okay: true }) })
  // @ts-expect-error: there is no such message
  serve(Replica, { promise: () => ({ okay: true }), learned: () => {}, forget: () => {} })
  // @ts-expect-error: the answer has another shape
  serve(Replica, { promise: () => ({ okay: 'yes' }), learned: () => {} })
  // @ts-expect-error: a request must be answered
  serve(Replica, { promise: () => {}, learned: () => {} })
  // @ts-expect-error: the message has no such field
  serve(Replica, { promise: ({ term }) => ({ okay: term > 0 }), learned: () => {} })
}

export async function senders(): Promise<void> {
  const { okay } = await replica.ask('promise', { proposal: 1 }, { timeoutMs: 5 })
  replica.tell('learned', { position: okay ? 1 : 2 })

  // @ts-expect-error: one-way messages are told
  await replica.ask('learned', { position: 1 })
  // @ts-expect-error: requests are asked
  replica.tell('promise', { proposal: 1 })
  // @ts-expect-error: there is no such message
  replica.tell('forget', {})
  // @ts-expect-error: the request has another shape
  await replica.ask('promise', { proposal: '1' })
  // @ts-expect-error: a field is missing
  replica.tell('learned', {})
}
