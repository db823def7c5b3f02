// What a program says, as records for one who listens over HTTP; and signs of life while it says nothing.

import type { Clock, Timer } from '../../actors/clock.ts'
import { encodeRecord } from '../../base/record-io.ts'
import type { ProcessIO } from '../../messages/agent-api.ts'
import type { Output, Outputs } from '../attachment.ts'

/** As Mesos: so often at least there is something to read. */
const HEARTBEAT_MS = 30_000

const NS_PER_MS = 1_000_000

const record = (io: ProcessIO): Uint8Array => encodeRecord(JSON.stringify(io))

const HEARTBEAT = record({
  type: 'CONTROL',
  control: {
    type: 'HEARTBEAT',
    heartbeat: { interval: { nanoseconds: HEARTBEAT_MS * NS_PER_MS } },
  },
})

function dataRecord({ stream, data }: Output): Uint8Array {
  return record({
    type: 'DATA',
    data: { type: stream, data: Buffer.from(data).toString('base64') },
  })
}

/** The body of a response. `left` is called once when its reader has gone, or there is nothing more to read. */
export class ProcessIoStream implements AsyncIterable<Uint8Array> {
  readonly #outputs: AsyncIterator<Output>
  readonly #clock: Pick<Clock, 'delay'>
  readonly #left: () => void
  /** The next piece has been asked for, and not been taken. */
  #isAsked = false
  #arrived: { readonly result: IteratorResult<Output> } | { readonly error: unknown } | undefined
  #wake = (): void => {}

  constructor(outputs: Outputs, clock: Pick<Clock, 'delay'>, left: () => void) {
    this.#outputs = outputs[Symbol.asyncIterator]()
    this.#clock = clock
    this.#left = left
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        this.#ask()
        if (!this.#arrived) await this.#arrivalOrHeartbeat()
        const arrived = this.#arrived
        // What was asked for before a heartbeat is still to come.
        if (!arrived) return { done: false, value: HEARTBEAT }
        this.#arrived = undefined
        this.#isAsked = false
        if ('error' in arrived) throw arrived.error
        if (!arrived.result.done) return { done: false, value: dataRecord(arrived.result.value) }
        this.#left()
        return { done: true, value: undefined }
      },
      return: async () => {
        this.#left()
        // What nobody has begun to read would never hear that nobody will, and keep its pipes.
        this.#ask()
        // It may be waiting: it hears of this when it does not.
        void this.#outputs.return?.()
        return { done: true, value: undefined }
      },
    }
  }

  #ask(): void {
    if (this.#isAsked) return
    this.#isAsked = true
    this.#outputs.next().then(
      result => {
        this.#arrived = { result }
        this.#wake()
      },
      (error: unknown) => {
        this.#arrived = { error }
        this.#wake()
      },
    )
  }

  #arrivalOrHeartbeat(): Promise<void> {
    return new Promise(resolve => {
      const timer: Timer = this.#clock.delay(HEARTBEAT_MS, resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }
}
