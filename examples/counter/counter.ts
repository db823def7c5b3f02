// Keeps a total. It fails at an unlucky number, and what fails is not trusted with its state any more.

import { Actor } from '../../src/actors/actor.ts'
import { json } from '../../src/actors/http.ts'
import { serve } from '../../src/actors/protocol.ts'
import { Counting } from './protocol.ts'

export class Counter extends Actor {
  #total = 0

  readonly serves = [
    serve(Counting, {
      add: ({ number }) => {
        if (number === 13) throw new Error('13 brings bad luck')
        this.#total += number
        return { total: this.#total }
      },
    }),
  ]

  protected override initialize(): void {
    this.route('/', 'The total.', () => json({ total: this.#total }))
  }
}
