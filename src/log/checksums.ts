// The CRC-32 of any stretch of bytes, in the time of a short one. Pure.
//
// A CRC is the remainder of a polynomial with coefficients 0 and 1. So that of two stretches, one behind the other, is that of
// the first, times x to the power of 8 for each byte of the second, plus that of the second (zlib's crc32_combine). With
// the CRCs of all beginnings that is solved for the second.

import { crc32 } from 'node:zlib'

/** The CRC's polynomial; here as in all of them the highest bit is the coefficient of x⁰. */
const POLYNOMIAL = 0xedb8_8320
/** The CRC is kept of each beginning whose length is a multiple of this. */
const STRIDE = 256

/** x to the power of 8, 16, 32, …: by 1, 2, 4, … bytes. */
const POWERS: number[] = [0x0080_0000]
for (let i = 1; i < 32; i++) POWERS.push(times(POWERS[i - 1]!, POWERS[i - 1]!))

export class Checksums {
  readonly #bytes: Buffer
  readonly #beginnings: Uint32Array

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#beginnings = new Uint32Array(Math.floor(bytes.length / STRIDE) + 1)
    for (let i = 1; i < this.#beginnings.length; i++) {
      const next = bytes.subarray((i - 1) * STRIDE, i * STRIDE)
      this.#beginnings[i] = crc32(next, this.#beginnings[i - 1])
    }
  }

  /** As `crc32` of the bytes in [from, to), after others whose CRC is `before`. */
  of(from: number, to: number, before = 0): number {
    return (this.#upTo(to) ^ shifted(this.#upTo(from) ^ before, to - from)) >>> 0
  }

  #upTo(end: number): number {
    const i = Math.floor(end / STRIDE)
    // Of no bytes Node says 0, whatever came before.
    if (end === i * STRIDE) return this.#beginnings[i]!
    return crc32(this.#bytes.subarray(i * STRIDE, end), this.#beginnings[i])
  }
}

function shifted(crc: number, byBytes: number): number {
  let product = crc
  for (let i = 0, left = byBytes; left > 0; i++, left >>>= 1) {
    if (left & 1) product = times(POWERS[i]!, product)
  }
  return product
}

/** The product of two polynomials, modulo that of the CRC. */
function times(a: number, b: number): number {
  let product = 0
  for (let bits = a, power = b; bits !== 0; bits <<= 1) {
    if (bits < 0) product ^= power
    power = (power >>> 1) ^ (power & 1 ? POLYNOMIAL : 0)
  }
  return product
}
