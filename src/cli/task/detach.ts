// Ctrl-p Ctrl-q: leaves what somebody talks to, which goes on.

const CTRL_P = 0x10
const CTRL_Q = 0x11

/** Looks for the two keys in what is typed, in whatever pieces it comes. */
export class Detach {
  #isHeld = false
  isDone = false

  /** What is to be passed on of it: a Ctrl-p waits for the key after it. */
  take(typed: Uint8Array): Uint8Array {
    const out: number[] = []
    for (const key of typed) {
      if (this.isDone) break
      if (this.#isHeld && key === CTRL_Q) {
        this.isDone = true
        break
      }
      if (this.#isHeld) out.push(CTRL_P)
      this.#isHeld = key === CTRL_P
      if (!this.#isHeld) out.push(key)
    }
    return Uint8Array.from(out)
  }
}
