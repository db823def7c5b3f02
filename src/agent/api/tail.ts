// What is added to the files of a container's output from now on: its output, for those that nobody listened to from the start.

import type { Clock } from '../../actors/clock.ts'
import type { ReadResponse } from '../../messages/files.ts'
import type { Output, Outputs } from '../attachment.ts'

/** Looks again this soon after there was something, and then less and less often. */
const SOON_MS = 10
const LATE_MS = 200

export interface TailOptions {
  /** As the actor `files` answers, in base64. */
  readonly read: (path: string, offset: number) => Promise<ReadResponse>
  readonly files: readonly { readonly stream: Output['stream']; readonly path: string }[]
  /** Whether there may be more. */
  readonly isLive: () => boolean
  readonly clock: Pick<Clock, 'delay'>
}

interface Place {
  readonly stream: Output['stream']
  readonly path: string
  offset: number
}

/** Begins at the end that the files have when it is first read; ends when what writes them has. */
export class Tail implements Outputs {
  readonly #o: TailOptions
  #isOver = false

  constructor(options: TailOptions) {
    this.#o = options
  }

  /** Nobody reads it any more. */
  stop(): void {
    this.#isOver = true
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Output> {
    const places: Place[] = []
    for (const { stream, path } of this.#o.files) {
      const end = await this.#o.read(path, -1)
      places.push({ stream, path, offset: end.ok ? end.offset : 0 })
    }
    for (let waitMs = SOON_MS; !this.#isOver; ) {
      // Asked first: what was written before its end is read after it.
      const isLast = !this.#o.isLive()
      let isNew = false
      for (const place of places) {
        const data = await this.#more(place)
        if (data) {
          isNew = true
          yield { stream: place.stream, data }
        }
      }
      if (isLast && !isNew) return
      waitMs = isNew ? SOON_MS : Math.min(2 * waitMs, LATE_MS)
      if (!isNew) await new Promise<void>(resolve => this.#o.clock.delay(waitMs, resolve))
    }
  }

  async #more(place: Place): Promise<Uint8Array | undefined> {
    const answer = await this.#o.read(place.path, place.offset)
    if (!answer.ok) return undefined
    if ((answer.total ?? place.offset) < place.offset) {
      // It has been cut off, or is another file: all of that is new.
      place.offset = 0
      return undefined
    }
    const data = Buffer.from(answer.data, 'base64')
    place.offset += data.length
    return data.length === 0 ? undefined : data
  }
}
