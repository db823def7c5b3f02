// Assertions stay on in production: a broken invariant ends the actor that found it, before it can spread.

/** A broken invariant: a bug in this program, never an operating error. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Ends the current turn when `condition` does not hold; `message` says what was expected to be true. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** Closes a `switch` over a union: reached only if a case was forgotten or outside data got past its schema. */
export function unreachable(value: never): never {
  throw new AssertionError(`unexpected case: ${JSON.stringify(value)}`)
}
