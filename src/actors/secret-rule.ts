// What a cluster's secret has to be. Apart from the proofs made with it, so that a command line can be judged without
// loading cryptography.

/** An eavesdropper can try out secrets on what was heard: only length protects one. In characters. */
export const MIN_SECRET_LENGTH = 32

/** What is wrong with a secret, or undefined. Does not repeat it. */
export function secretProblem(secret: string): string | undefined {
  if (secret.length >= MIN_SECRET_LENGTH) return undefined
  return `it has ${secret.length} characters, and ${MIN_SECRET_LENGTH} are the least`
}
