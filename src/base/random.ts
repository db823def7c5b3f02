// Chance as an argument: one seeded generator per runtime, so that a run can be repeated from its seed.

/** A source of chance. Seeded in the simulator; seeded from the system's entropy in a real process. */
export interface Random {
  /** A float in [0, 1). */
  next(): number
  /** An integer in [0, below). */
  integer(below: number): number
  /** `count` bytes. */
  bytes(count: number): Uint8Array
  /** A version 4 UUID (RFC 9562) in its text form. */
  uuid(): string
  /** A new array with the same members in an order drawn by chance (Fisher–Yates). */
  shuffle<T>(members: readonly T[]): T[]
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/**
 * The xoshiro128** generator (Blackman and Vigna, 2018), its state spread from `seed` by splitmix32.
 * Not for secrets: ids made from it are unique because the seed of a real process comes from the system's entropy.
 */
export class SeededRandom implements Random {
  readonly #state = new Uint32Array(4)

  /** `seed`: up to four 32-bit words; missing ones are derived from those given. */
  constructor(seed: number | readonly number[]) {
    const words = typeof seed === 'number' ? [seed, Math.floor(seed / 0x1_0000_0000)] : seed
    let spread = 0
    for (let i = 0; i < 4; i++) {
      spread = (spread + 0x9e37_79b9 + (words[i] ?? 0)) >>> 0
      let z = spread
      z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a_2d97)
      this.#state[i] = z ^ (z >>> 15)
    }
    if (this.#state.every(word => word === 0)) this.#state[0] = 1
  }

  #word(): number {
    const s = this.#state
    const s1 = s[1]!
    const rotated = Math.imul(s1, 5)
    const result = Math.imul((rotated << 7) | (rotated >>> 25), 9) >>> 0
    s[2]! ^= s[0]!
    s[3]! ^= s1
    s[1]! ^= s[2]!
    s[0]! ^= s[3]!
    s[2]! ^= s1 << 9
    s[3] = (s[3]! << 11) | (s[3]! >>> 21)
    return result
  }

  next(): number {
    return this.#word() / 0x1_0000_0000
  }

  integer(below: number): number {
    return Math.floor(this.next() * below)
  }

  bytes(count: number): Uint8Array {
    const out = new Uint8Array(count)
    for (let i = 0; i < count; i++) out[i] = this.#word() >>> 24
    return out
  }

  uuid(): string {
    const b = this.bytes(16)
    b[6] = (b[6]! & 0x0f) | 0x40
    b[8] = (b[8]! & 0x3f) | 0x80
    let text = ''
    for (let i = 0; i < 16; i++) {
      if (i === 4 || i === 6 || i === 8 || i === 10) text += '-'
      text += HEX[b[i]!]!
    }
    return text
  }

  shuffle<T>(members: readonly T[]): T[] {
    const out = [...members]
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.integer(i + 1)
      const swap = out[i]!
      out[i] = out[j]!
      out[j] = swap
    }
    return out
  }
}
