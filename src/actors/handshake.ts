// How a connection begins: each side says who it is, and, where a secret is set, proves it before it gets anything.
//
//     without a secret                 with one
//     dialler   hello     ->           dialler   hello, nonce               ->
//               <-  hello   acceptor             <-  challenge: claims, nonce    acceptor
//                                                proof                      ->
//                                                <-  hello, proof                acceptor
//
// The dialler proves first: whoever knocks learns nothing that it could work on. A side that has an authenticator never
// goes on without a proof, whatever the other offers, so there is nothing to be talked down to. Pure: no sockets, no time.

import type { Authenticator, Claims, Exchange } from './authenticator.ts'
import { FRAME, type Frame, type Hello, WIRE_VERSION } from './frames.ts'
import type { Address } from './pid.ts'

/** What comes of a frame. */
export type Step =
  /** The other side has to answer this. */
  | { readonly send: Frame }
  /** It is who it says; `principal` if it has proved that. */
  | { readonly greeted: Hello; readonly principal: string | undefined }
  /** There will be no connection. The text is for both sides' logs; `unproved`: for lack of a proof. */
  | { readonly refused: string; readonly unproved: boolean }

export interface HandshakeOptions {
  readonly address: Address
  readonly incarnation: string
  readonly authenticator: Authenticator | undefined
  /** Whether this side has dialled. */
  readonly outgoing: boolean
}

// A reason to close has at most 123 bytes.
export const NEEDS_SECRET =
  'it must prove who it is: start both with the same --cluster_secret (MESOS_CLUSTER_SECRET)'
export const WRONG_SECRET =
  'its proof is wrong: --cluster_secret (MESOS_CLUSTER_SECRET) differs between the two'

const unproved = (refused: string): Step => ({ refused, unproved: true })

export class Handshake {
  readonly #o: HandshakeOptions
  #ours: Hello | undefined
  #theirs: Hello | undefined

  constructor(options: HandshakeOptions) {
    this.#o = options
  }

  /** By what name the other side calls itself, proved or not. */
  get claimed(): Address | undefined {
    return this.#theirs?.address
  }

  /** Our greeting: the dialler's first word, or the acceptor's last, which tells the other that it is accepted. */
  greeting(generation: number): Frame {
    const { authenticator, outgoing } = this.#o
    if (!authenticator) return [FRAME.hello, this.#hello(generation)]
    if (outgoing) {
      this.#ours = this.#claim(authenticator, generation)
      return [FRAME.hello, this.#ours]
    }
    const hello = { ...this.#ours!, generation }
    const proof = authenticator.prove('acceptor', exchange(this.#theirs!, hello))
    return [FRAME.hello, { ...hello, auth: { ...hello.auth!, proof: proof ?? '' } }]
  }

  /** What the other side's next word comes to; undefined if that is no word to be said now. */
  receive(frame: Frame): Step | undefined {
    const { authenticator, outgoing } = this.#o
    switch (frame[0]) {
      case FRAME.hello: {
        const hello = frame[1]
        if (!outgoing && this.#theirs) return undefined
        if (!authenticator) return this.#plain(hello)
        return this.#problem(hello) ?? (outgoing ? this.#answered(hello) : this.#knocked(hello))
      }
      case FRAME.challenge:
        if (!outgoing || this.#theirs) return undefined
        if (!authenticator) return unproved(NEEDS_SECRET)
        return this.#problem(frame[1]) ?? this.#challenged(frame[1])
      case FRAME.proof:
        if (outgoing || !this.#theirs || !authenticator) return undefined
        return this.#proved(frame[1])
      default:
        return undefined
    }
  }

  /** Neither side has a secret, or it is refused. */
  #plain(hello: Hello): Step {
    this.#theirs = hello
    if (hello.auth) return unproved(NEEDS_SECRET)
    return this.#problem(hello) ?? { greeted: hello, principal: undefined }
  }

  #knocked(hello: Hello): Step {
    const { authenticator } = this.#o
    this.#theirs = hello
    this.#ours = this.#claim(authenticator!, 0)
    return { send: [FRAME.challenge, this.#ours] }
  }

  #challenged(challenge: Hello): Step {
    const { authenticator } = this.#o
    this.#theirs = challenge
    const proof = authenticator!.prove('dialler', exchange(this.#ours!, challenge))
    return proof === undefined ? unproved(WRONG_SECRET) : { send: [FRAME.proof, proof] }
  }

  #proved(proof: string): Step {
    const theirs = this.#theirs!
    if (!this.#o.authenticator!.verify('dialler', exchange(theirs, this.#ours!), proof)) {
      return unproved(WRONG_SECRET)
    }
    return { greeted: theirs, principal: theirs.auth!.principal }
  }

  #answered(hello: Hello): Step {
    const challenge = this.#theirs
    const { authenticator } = this.#o
    const proof = hello.auth?.proof
    if (!challenge || proof === undefined) return unproved(NEEDS_SECRET)
    // The proof covers all of this; it must be the one who was answered, too.
    const same =
      hello.address === challenge.address &&
      hello.incarnation === challenge.incarnation &&
      hello.auth!.principal === challenge.auth!.principal &&
      hello.auth!.nonce === challenge.auth!.nonce
    if (!same || !authenticator!.verify('acceptor', exchange(this.#ours!, hello), proof)) {
      return unproved(WRONG_SECRET)
    }
    return { greeted: hello, principal: hello.auth!.principal }
  }

  /** Why there can be no connection with one who says this, if so. */
  #problem(hello: Hello): Step | undefined {
    const { address, incarnation, authenticator } = this.#o
    const refuse = (refused: string): Step => ({ refused, unproved: false })
    if (hello.version !== WIRE_VERSION) {
      return refuse(`wire version ${hello.version} is not ours, ${WIRE_VERSION}`)
    }
    // Whoever asks is told our incarnation, so a greeting with it proves nothing: what came over such a connection would
    // pass for our own actors' words. Those who mean this process have to use its own name.
    if (hello.incarnation === incarnation || hello.address === address) {
      return refuse(`it calls itself ${hello.address}, which is this very process`)
    }
    if (authenticator && hello.auth?.scheme !== authenticator.scheme) return unproved(NEEDS_SECRET)
    return undefined
  }

  #hello(generation: number): Hello {
    const { address, incarnation } = this.#o
    return { address, incarnation, generation, version: WIRE_VERSION, features: [] }
  }

  #claim(authenticator: Authenticator, generation: number): Hello {
    const { scheme, principal } = authenticator
    return { ...this.#hello(generation), auth: { scheme, principal, nonce: authenticator.nonce() } }
  }
}

function exchange(dialler: Hello, acceptor: Hello): Exchange {
  return { dialler: claims(dialler), acceptor: claims(acceptor) }
}

function claims({ address, incarnation, generation, version, features, auth }: Hello): Claims {
  const { scheme, principal, nonce } = auth!
  return { address, incarnation, generation, version, features, scheme, principal, nonce }
}
