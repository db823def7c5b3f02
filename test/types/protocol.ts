// What the compiler must refuse. This file is never run: it is right when it type-checks.

import * as v from 'valibot'
import type { Pid } from '../../src/actors/pid.ts'
import { call, cast, protocol, type Ref, serve } from '../../src/actors/protocol.ts'

const Log = protocol('test.log', {
  promise: call(
    v.object({ proposal: v.number() }),
    v.variant('type', [
      v.object({ type: v.literal('accept'), position: v.number() }),
      v.object({ type: v.literal('ignored') }),
    ]),
  ),
  learned: cast(v.object({ position: v.number(), value: v.optional(v.string()) })),
})

export const complete = serve(Log, {
  promise: ({ proposal }, from) => ({ type: 'accept', position: proposal + from.length }),
  learned: async ({ position, value }) => {
    position.toFixed()
    value?.trim()
  },
})

export const asynchronous = serve(Log, {
  promise: async () => ({ type: 'ignored' }),
  learned: () => {},
})

// @ts-expect-error: the handler of `learned` is missing
export const missing = serve(Log, { promise: () => ({ type: 'ignored' }) })

export const extra = serve(Log, {
  promise: () => ({ type: 'ignored' }),
  learned: () => {},
  // @ts-expect-error: the protocol has no such message
  forget: () => {},
})

export const wrongAnswer = serve(Log, {
  // @ts-expect-error: an accept has a position
  promise: () => ({ type: 'accept' }),
  learned: () => {},
})

export const wrongAsynchronousAnswer = serve(Log, {
  // @ts-expect-error: no such answer
  promise: async () => ({ type: 'rejected' }),
  learned: () => {},
})

export const noAnswer = serve(Log, {
  // @ts-expect-error: a call is answered
  promise: () => {},
  learned: () => {},
})

export const wrongRequest = serve(Log, {
  // @ts-expect-error: a proposal is a number
  promise: ({ proposal }: { proposal: string }) => ({ type: 'ignored', proposal }),
  // @ts-expect-error: the value may be absent
  learned: ({ value }: { position: number; value: string }) => value.trim(),
})

export async function senders(log: Ref<typeof Log.entries>, somebody: Pid): Promise<void> {
  log.tell('learned', { position: 1 })
  log.tell('learned', { position: 1, value: 'x' })
  const answer = await log.ask('promise', { proposal: 1 }, { timeoutMs: 10 })
  if (answer.type === 'accept') answer.position.toFixed()
  // @ts-expect-error: only an accept has a position
  void answer.position

  // @ts-expect-error: no answer has such a field
  void answer.colour
  // @ts-expect-error: a proposal is not answered by text
  const text: string = answer
  text satisfies string

  // @ts-expect-error: a call is asked, not told
  log.tell('promise', { proposal: 1 })
  // @ts-expect-error: a cast is told, not asked
  void log.ask('learned', { position: 1 })
  // @ts-expect-error: there is no such message
  log.tell('forget', {})
  // @ts-expect-error: a proposal is a number
  void log.ask('promise', { proposal: '1' })
  // @ts-expect-error: the proposal is missing
  void log.ask('promise', {})
  // @ts-expect-error: the position is missing
  log.tell('learned', { value: 'x' })
  // @ts-expect-error: there is no such field
  log.tell('learned', { position: 1, colour: 'red' })

  // @ts-expect-error: any text is no pid
  const wrong: Pid = 'master@10.0.0.1:5050'
  somebody satisfies string
  wrong satisfies string
}

export const wire: { readonly promise: string; readonly learned: string } = Log.wire
