// Asks a counter, which may be in another process, to add the numbers it is given. It outlives the counter.

import { Actor } from '../../src/actors/actor.ts'
import type { ExitReason } from '../../src/actors/mailbox.ts'
import type { Pid } from '../../src/actors/pid.ts'
import { AskError } from '../../src/actors/protocol.ts'
import { Counting } from './protocol.ts'

export class Adder extends Actor {
  override readonly idPrefix = 'adder'
  readonly serves = []
  readonly #counter: Pid
  readonly #numbers: AsyncIterator<string>

  constructor(counter: Pid, numbers: AsyncIterable<string>) {
    super()
    this.#counter = counter
    this.#numbers = numbers[Symbol.asyncIterator]()
  }

  protected override async initialize(): Promise<void> {
    // What comes from outside comes back through the mailbox by `resume`; `exited` and others are served meanwhile.
    for (;;) {
      const line = await this.resume(this.#numbers.next())
      if (line.done) break
      await this.#add(Number(line.value))
    }
    this.terminate()
  }

  /** Told once for each link. The next number links to the next counter. */
  protected override exited(pid: Pid, why: ExitReason): void {
    console.log(`${pid} is gone: ${why}`)
  }

  async #add(number: number): Promise<void> {
    // Linked already: nothing happens. Not any more, or not yet: now it is.
    this.link(this.#counter)
    try {
      const counter = this.ref(Counting, this.#counter)
      const { total } = await counter.ask('add', { number }, { timeoutMs: 5_000 })
      console.log(`${number} makes ${total}`)
    } catch (error) {
      if (!(error instanceof AskError)) throw error
      const known = error.code === 'NO_SUCH_ACTOR' || error.code === 'REFUSED'
      console.log(`${number} was ${known ? 'not' : 'perhaps not'} added: ${error.code}`)
    }
  }
}
