// What waits to be sent to one peer: frames, each encoded when it was said, in messages that keep to the limit.

import { FRAME, type Frame } from './frames.ts'
import { beginning, isWriting, LIST_HEADER_BYTES, Packing } from './packing.ts'

/** How much may wait; see `Limits`. */
export interface OutboxLimits {
  readonly maxMessageBytes: number
  readonly maxQueuedBytes: number
}

/** Why nothing more can be sent to a peer. */
export type Overflow = 'message too large' | 'queue full'

/** A frame that goes to many in the same words. Its bytes are never changed. */
export class SharedFrame {
  /** A message of this frame alone. */
  readonly message: Uint8Array
  readonly frame: Uint8Array

  /** `head` and `body` are encoded already, and make the frame together. */
  constructor(head: Uint8Array, body: Uint8Array) {
    const packing = new Packing(LIST_HEADER_BYTES, head.length + body.length)
    packing.raw(head)
    packing.raw(body)
    this.frame = packing.take()
    this.message = packing.takeList(1)
  }
}

/** The beginning of a tell whose own beginning is that of the frame before. */
const AGAIN = beginning(2, [FRAME.again])

/** From this size on a shared frame travels as it is, in a message of its own, instead of being copied into each one. */
const SHARED_BYTES = 16 * 1024
const LEAST_BYTES = 128
const NOTHING = new Uint8Array(0)
/** A longer message is rare; what follows it need not be expected to be as long. */
const MOST_EXPECTED_BYTES = 96 * 1024

/** What waits longer than its turn is in messages of this size: one that grew and grew would be copied each time. */
const LONG_BYTES = 256 * 1024

export class Outbox {
  /** In bytes, over all frames that wait. */
  length = 0
  #closed: Uint8Array[] = []
  #open: Packing | undefined
  #count = 0
  /** The beginning of the last frame in the open message, if another tell may leave out its own for it. */
  #head: Uint8Array | undefined
  /** Messages to one peer are much alike in size. */
  #expectedBytes = LEAST_BYTES
  /** Said by a getter of what was being encoded, perhaps into the open message: they follow that. */
  #late: Uint8Array[] | undefined

  /** Adds a frame. Throws if it cannot be encoded; nothing has been added then, nor if it is told what is wrong. */
  add(frame: Frame, limits: OutboxLimits): Overflow | undefined {
    if (isWriting()) return this.#addLate(packing => packing.value(frame), limits)
    const open = this.#opened()
    const before = open.length
    open.value(frame)
    return this.#added(open, before, limits)
  }

  /**
   * The same for a frame in parts: what is encoded already, then a value, then a number if there is one. Tells that
   * follow on each other with the same beginning, in the same bytes of memory, have it sent once.
   */
  addParts(
    head: Uint8Array,
    body: unknown,
    tail: number | undefined,
    limits: OutboxLimits,
  ): Overflow | undefined {
    if (isWriting()) {
      return this.#addLate(packing => {
        packing.raw(head)
        packing.value(body)
        if (tail !== undefined) packing.value(tail)
      }, limits)
    }
    const open = this.#opened()
    const before = open.length
    const again = head === this.#head
    open.raw(again ? AGAIN : head)
    try {
      open.value(body)
    } catch (error) {
      open.truncate(before)
      throw error
    }
    if (tail !== undefined) open.value(tail)
    return this.#added(open, before, limits, tail === undefined ? head : undefined, again)
  }

  /** Adds a frame that others get, too. */
  addShared(shared: SharedFrame, limits: OutboxLimits): Overflow | undefined {
    const { frame } = shared
    if (isWriting()) return this.#addLate(packing => packing.raw(frame), limits)
    if (frame.length < SHARED_BYTES) {
      const open = this.#opened()
      const before = open.length
      open.raw(frame)
      return this.#added(open, before, limits)
    }
    const overflow = this.#check(frame.length, limits)
    if (overflow) return overflow
    this.#close()
    this.#closed.push(shared.message)
    this.length += frame.length
    return undefined
  }

  /** All that waits, as messages in order. Not while something is being encoded, which may be for here. */
  take(): Uint8Array[] {
    this.#close()
    const messages = this.#closed
    this.#closed = []
    this.length = 0
    return messages
  }

  /** Appends what waits in another one. */
  append(other: Outbox): void {
    const length = this.length + other.length
    this.#close()
    this.#closed.push(...other.take())
    this.length = length
  }

  #opened(): Packing {
    if (this.#late) this.#insertLate()
    return (this.#open ??= new Packing(LIST_HEADER_BYTES, this.#expectedBytes))
  }

  #addLate(write: (packing: Packing) => void, limits: OutboxLimits): Overflow | undefined {
    const packing = new Packing()
    write(packing)
    const frame = packing.take()
    const overflow = this.#check(frame.length, limits)
    if (overflow) return overflow
    this.#late ??= []
    this.#late.push(frame)
    this.length += frame.length
    return undefined
  }

  /** Each in a message of its own, which is within the limit: it is rare. */
  #insertLate(): void {
    const late = this.#late!
    this.#late = undefined
    this.#close()
    for (const frame of late) this.#closed.push(new SharedFrame(NOTHING, frame).message)
  }

  #close(): void {
    if (this.#late) return this.#insertLate()
    const open = this.#open
    if (!open) return
    this.#open = undefined
    this.#head = undefined
    if (this.#count === 0) return
    this.#closed.push(open.takeList(this.#count))
    this.#count = 0
    const expected = open.length + LEAST_BYTES
    this.#expectedBytes = Math.min(expected, MOST_EXPECTED_BYTES)
  }

  #check(size: number, limits: OutboxLimits): Overflow | undefined {
    if (size + LIST_HEADER_BYTES > limits.maxMessageBytes) return 'message too large'
    if (this.length + size > limits.maxQueuedBytes) return 'queue full'
    return undefined
  }

  /** `head`: of a tell, for the next one. `again`: this one left it out. */
  #added(
    open: Packing,
    before: number,
    limits: OutboxLimits,
    head?: Uint8Array,
    again = false,
  ): Overflow | undefined {
    const size = open.length - before
    const whole = again ? size - AGAIN.length + head!.length : size
    const overflow = this.#check(whole, limits)
    if (overflow) {
      open.truncate(before)
      // It has grown for what does not go into it.
      if (before === 0) this.#open = undefined
      return overflow
    }
    if (open.length + LIST_HEADER_BYTES <= limits.maxMessageBytes) {
      this.length += size
      this.#count++
      this.#head = head
      if (open.length >= LONG_BYTES) this.#close()
    } else {
      // It goes into the next message, of which it is the first.
      const frame = open.take().slice(again ? before + AGAIN.length : before)
      open.truncate(before)
      const late = this.#late
      this.#late = undefined
      this.#close()
      const next = this.#opened()
      this.#late = late
      if (again) next.raw(head!)
      next.raw(frame)
      this.length += whole
      this.#count = 1
      this.#head = head
    }
    return undefined
  }
}
