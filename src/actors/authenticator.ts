// How two processes can prove to each other who they are. The handshake (handshake.ts) says when; how is in here, so that
// other ways (a TLS certificate, a token of somebody else's) can take the place of the shared secret.

import type { Address } from './pid.ts'

/** What one side says of itself while the two meet. All of it is proved, or none. */
export interface Claims {
  readonly address: Address
  readonly incarnation: string
  readonly generation: number
  readonly version: number
  readonly features: readonly string[]
  readonly scheme: string
  readonly principal: string
  readonly nonce: string
}

export type Role = 'dialler' | 'acceptor'

/** What both sides said, in the clear. */
export interface Exchange {
  readonly dialler: Claims
  readonly acceptor: Claims
}

export interface Authenticator {
  /** Names the way of proving. Both sides must use the same. */
  readonly scheme: string
  /** Who this process is, such as `cluster` or `executor/<framework>/<executor>`. */
  readonly principal: string
  /** Up to 64 characters that were never used before and that nobody could foresee. */
  nonce(): string
  /** Proves that this process, in that role, is who it claims to be; undefined if it wants nothing to do with the other. */
  prove(own: Role, exchange: Exchange): string | undefined
  /** Whether the other side, in that role, has proved its claims. */
  verify(others: Role, exchange: Exchange, proof: string): boolean
}
