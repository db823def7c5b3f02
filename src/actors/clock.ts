// Time as an argument: real in a process, virtual in the simulator.

/** A pending delay. */
export interface Timer {
  /** Stops it; nothing happens when it has fired already. */
  cancel(): void
}

export interface Clock {
  /** Milliseconds since the Unix epoch, with a fraction. Never goes backwards within a process. */
  now(): number
  /** Runs `fn` once, `ms` milliseconds from now. */
  delay(ms: number, fn: () => void): Timer
  /** Runs `fn` after the running code and all promise continuations that are ready, before time moves. */
  soon(fn: () => void): void
}
