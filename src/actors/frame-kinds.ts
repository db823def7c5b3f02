// The kinds of frames, by the number with which each begins on the wire.

export const FRAME = {
  hello: 0,
  /** [tell, to id, from id, name, body] */
  tell: 1,
  /** [ask, to id, from id, name, body, number] */
  ask: 2,
  /** [reply, number, body] */
  reply: 3,
  /** [fail, number, code, text] */
  fail: 4,
  /** [link, id]: tell us when that actor of yours ends */
  link: 5,
  /** [unlink, id] */
  unlink: 6,
  /** [exited, id, why]: the actor has ended, or there was none */
  exited: 7,
  /** [ping], answered by [pong]: finds out that a silent connection is dead */
  ping: 8,
  pong: 9,
  /** [challenge, hello] and [proof, text]: between two greetings where a proof is needed; see handshake.ts */
  challenge: 10,
  proof: 11,
  /** [again, body]: a tell that begins like the last one in the same message; see `decodeFrames`, which makes it whole */
  again: 12,
} as const
