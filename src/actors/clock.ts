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
  /**
   * Runs `fn` after the running code and all promise continuations that are ready, before time moves. `letOthers`:
   * also after sockets and timers have had their turn. Without it they have to wait, though never for long: not even if
   * each `fn` asks for the next one.
   */
  soon(fn: () => void, letOthers?: boolean): void
}
