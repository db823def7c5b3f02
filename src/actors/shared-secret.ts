// Proof by a secret that all processes of a cluster share, and by keys that are derived from it.
//
// A proof is HMAC-SHA-256 over everything that both sides said: nonces, addresses, incarnations, versions, and the role
// of the one who proves, so that no proof serves twice, in the other direction, or for another connection. The secret
// itself never travels. Whoever knows the secret is the principal `cluster`. Others get a token: a principal, and the
// key that belongs to it, HMAC-SHA-256(secret, principal). Members compute that key when it is needed, so nothing is
// stored; from a token neither the secret nor another token can be had.

import { createHmac, timingSafeEqual } from 'node:crypto'
import { UserError } from '../base/errors.ts'
import type { Authenticator, Claims, Exchange, Role } from './authenticator.ts'
import { parseAddress } from './pid.ts'
import { secretProblem } from './secret-rule.ts'

const SCHEME = 'hmac-sha-256'
/** The principal of all who know the secret. */
export const MEMBER = 'cluster'
const NONCE_BYTES = 32
const KEY_BYTES = 32

/** Fresh bytes that nobody can foresee. In a real process they must come from the system. */
export type Entropy = (count: number) => Uint8Array

/** Who an executor's token makes it. */
export const executorPrincipal = (frameworkId: string, executorId: string): string =>
  `executor/${frameworkId}/${executorId}`

/** A token for one principal: what it has instead of the secret. */
export function deriveToken(secret: string, principal: string): string {
  return `${principal}:${deriveKey(secret, principal).toString('hex')}`
}

/**
 * What a person who knows the secret sends over HTTP, where there is no exchange of proofs: whoever reads the connection can
 * use it, but for nothing else than that.
 */
export function operatorToken(secret: string): string {
  return createHmac('sha256', secret).update('mesos-ts operator').digest('hex')
}

export function isOperatorToken(secret: string, token: string): boolean {
  const [own, given] = [operatorToken(secret), token].map(text => Buffer.from(text))
  return own!.length === given!.length && timingSafeEqual(own!, given!)
}

/** For a process that knows the secret. Throws a `UserError` if it is too short. */
export function memberAuthenticator(secret: string, entropy: Entropy): Authenticator {
  const problem = secretProblem(secret)
  if (problem !== undefined) throw new UserError('invalid_value', `The cluster secret: ${problem}.`)
  const own = deriveKey(secret, MEMBER)
  return authenticator(MEMBER, entropy, (others, { principal, address }) => {
    if (principal === MEMBER) return own
    // Who has only a token serves nobody, and takes no address that others might dial.
    if (others !== 'dialler' || parseAddress(address)?.port !== 0) return undefined
    return deriveKey(secret, principal)
  })
}

/** For a process that was given a token. Throws a `UserError` if it is none. */
export function tokenAuthenticator(token: string, entropy: Entropy): Authenticator {
  const at = token.lastIndexOf(':')
  const principal = token.slice(0, at)
  const key = Buffer.from(token.slice(at + 1), 'hex')
  if (at <= 0 || key.length !== KEY_BYTES || principal === MEMBER) {
    throw new UserError('invalid_value', 'The authentication token is not one that an agent made.')
  }
  return authenticator(principal, entropy, (others, claims) =>
    others === 'acceptor' && claims.principal === MEMBER ? key : undefined,
  )
}

/** Chooses the key for a connection with somebody; undefined: with that one there shall be none. */
type KeyFor = (others: Role, claims: Claims) => Uint8Array | undefined

function authenticator(principal: string, entropy: Entropy, keyFor: KeyFor): Authenticator {
  return {
    scheme: SCHEME,
    principal,
    nonce: () => Buffer.from(entropy(NONCE_BYTES)).toString('hex'),
    prove: (own, exchange) => {
      const others = own === 'dialler' ? 'acceptor' : 'dialler'
      const key = keyFor(others, exchange[others])
      return key && mac(key, own, exchange).toString('hex')
    },
    verify: (others, exchange, proof) => {
      const key = keyFor(others, exchange[others])
      const given = Buffer.from(proof, 'hex')
      return key !== undefined && given.length === KEY_BYTES
        ? timingSafeEqual(given, mac(key, others, exchange))
        : false
    },
  }
}

function deriveKey(secret: string, principal: string): Buffer {
  return createHmac('sha256', secret).update(`mesos-ts principal ${principal}`).digest()
}

/** JSON of lists of texts and numbers: two different exchanges never give the same text. */
function mac(key: Uint8Array, prover: Role, { dialler, acceptor }: Exchange): Buffer {
  const said = JSON.stringify(['mesos-ts proof', prover, listed(dialler), listed(acceptor)])
  return createHmac('sha256', key).update(said).digest()
}

function listed(claims: Claims): readonly unknown[] {
  const { address, incarnation, generation, version, features, scheme, principal, nonce } = claims
  return [address, incarnation, generation, version, features, scheme, principal, nonce]
}
