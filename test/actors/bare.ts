// A runtime whose network is the test itself: it says byte for byte what others send, and sees what they get.

import type { Authenticator } from '../../src/actors/authenticator.ts'
import { encode } from '../../src/actors/codec.ts'
import { FRAME, WIRE_VERSION } from '../../src/actors/frames.ts'
import type { Limits } from '../../src/actors/limits.ts'
import { Runtime } from '../../src/actors/runtime.ts'
import type { Channel, ChannelEvents } from '../../src/actors/transport.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { A, B, stage } from './probe.ts'

/** A runtime whose network is the test itself. */
export function bare(limits: Partial<Limits> = {}, address = A, authenticator?: Authenticator) {
  const { world, log } = stage()
  const dialled: ChannelEvents[] = []
  let accept: (channel: Channel) => { message(b: Uint8Array): void; closed(r: string): void }
  const runtime = new Runtime({
    address,
    clock: world.clock,
    random: new SeededRandom(7),
    log,
    limits,
    ...(authenticator && { authenticator }),
    transport: {
      dial: (_, events) => void dialled.push(events),
      onChannel: taker => {
        accept = taker
      },
      close: async () => {},
    },
  })
  /** A stranger connects; `sent` and `closed` are what it gets. */
  const connect = (buffered: { bytes: number } = { bytes: 0 }, remote = '192.0.2.1:40000') => {
    const { channel, got } = end(buffered, remote)
    const events = accept(channel)
    const send = (...frames: unknown[]) => events.message(encode(frames))
    return { got, events, send, greet: (by = B) => send([FRAME.hello, hello(by)]) }
  }
  /** One of our dials succeeds. */
  const open = () => {
    const { channel, got } = end({ bytes: 0 }, '192.0.2.1:5050')
    const events = dialled.shift()!
    events.opened(channel)
    return { got, events }
  }
  const end = (buffered: { bytes: number }, remote: string) => {
    const got = { sent: [] as Uint8Array[], closed: '', paused: false }
    const channel: Channel = {
      remote,
      get bufferedBytes() {
        return buffered.bytes
      },
      send: bytes => void got.sent.push(bytes),
      pause: paused => {
        got.paused = paused
      },
      close: reason => {
        got.closed = reason
      },
    }
    return { channel, got }
  }
  const hello = (by: string) => ({
    address: by,
    incarnation: by,
    generation: 0,
    version: WIRE_VERSION,
    features: [],
  })
  return { world, log, runtime, connect, open, hello, dialled }
}
