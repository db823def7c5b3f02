// What the bare transport carries, as a yardstick for everything that is built on it.

import type { TransportProgram } from './programs/transport.ts'
import type { Scope } from './scope.ts'

const WARM_UP_MS = 1_000
const MEASURED_MS = 1_000

/**
 * Two processes, two runtimes, one WebSocket over loopback. The function measures how many small one-way messages a
 * second get from an actor here to an actor there.
 */
export async function openTransport(scope: Scope): Promise<() => Promise<number>> {
  const receiver = scope.program<TransportProgram>('transport')
  const sender = scope.program<TransportProgram>('transport')
  await sender.call('connect', { sink: await receiver.call('receive') })
  await sender.call('send', { forMs: WARM_UP_MS })
  return () => sender.call('send', { forMs: MEASURED_MS })
}
