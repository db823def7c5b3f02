// What may be said to a counter. Both programs import this; nothing else of the counter is known to those who ask it.

import * as v from 'valibot'
import { call, protocol } from '../../src/actors/protocol.ts'

export const Counting = protocol('counting', {
  add: call(v.object({ number: v.number() }), v.object({ total: v.number() })),
})
