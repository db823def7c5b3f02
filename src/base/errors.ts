// One table of what can go wrong, shared by the HTTP layer, the actors' replies and the commands.

/** What a code means, wherever it shows. */
export interface ErrorKind {
  /** The HTTP status it is answered with. */
  readonly status: number
  /** True: it certainly did not happen, so asking again is safe. False: it may have happened. */
  readonly definite: boolean
  /** One sentence for documentation and for messages that have nothing better. */
  readonly sentence: string
}

/**
 * Error codes by name. `definite` is what a client needs to know before it tries again: after an error that is
 * not definite, it has to look first (or repeat only what is idempotent).
 */
export const ERRORS = {
  // What the asker did.
  invalid_request: { status: 400, definite: true, sentence: 'The request is malformed.' },
  invalid_value: { status: 400, definite: true, sentence: 'A value is not of the expected form.' },
  invalid_flags: { status: 400, definite: true, sentence: 'The flags are wrong.' },
  unauthenticated: { status: 401, definite: true, sentence: 'Credentials are missing or wrong.' },
  forbidden: { status: 403, definite: true, sentence: 'The principal may not do this.' },
  not_found: { status: 404, definite: true, sentence: 'There is no such thing here.' },
  method_not_allowed: { status: 405, definite: true, sentence: 'The method is not served here.' },
  not_acceptable: { status: 406, definite: true, sentence: 'No accepted media type is served.' },
  conflict: { status: 409, definite: true, sentence: 'It contradicts the present state.' },
  too_large: { status: 413, definite: true, sentence: 'It exceeds a limit on size.' },
  unsupported_media_type: {
    status: 415,
    definite: true,
    sentence: 'The media type of the body is not understood.',
  },
  too_many_requests: { status: 429, definite: true, sentence: 'A rate limit was reached.' },

  // Who was asked.
  not_leading: { status: 307, definite: true, sentence: 'Another master leads.' },
  not_implemented: { status: 501, definite: true, sentence: 'It is not implemented.' },
  unavailable: { status: 503, definite: true, sentence: 'It cannot be served at present.' },
  internal: { status: 500, definite: false, sentence: 'An error inside the program; see its log.' },
  store_failed: {
    status: 500,
    definite: false,
    sentence: 'The write was not confirmed; it may have been stored.',
  },

  // What lies between.
  unreachable: { status: 502, definite: true, sentence: 'No connection could be made.' },
  connection_lost: {
    status: 502,
    definite: false,
    sentence: 'The connection broke before the answer came.',
  },
  timeout: { status: 504, definite: false, sentence: 'No answer came in time.' },

  // The machine it runs on.
  path_missing: { status: 500, definite: true, sentence: 'A file or directory is missing.' },
  not_a_directory: { status: 500, definite: true, sentence: 'A path is not a directory.' },
  not_permitted: { status: 500, definite: true, sentence: 'The system does not permit it.' },
  path_in_use: { status: 500, definite: true, sentence: 'Another process uses the directory.' },
  address_in_use: { status: 500, definite: true, sentence: 'Another process has the port.' },
  disk_full: { status: 507, definite: false, sentence: 'The disk is full.' },
  data_damaged: { status: 500, definite: true, sentence: 'Stored data is damaged.' },
} as const satisfies Readonly<Record<string, ErrorKind>>

export type ErrorCode = keyof typeof ERRORS

/**
 * An operating error, met in ordinary life: `message` names the flag, field or file and what was wrong with it,
 * `hint` says what to do. It is shown to people without a stack; a bug is an `AssertionError` instead.
 */
export class UserError extends Error {
  override readonly name = 'UserError'
  readonly code: ErrorCode
  readonly hint: string | undefined

  constructor(
    code: ErrorCode,
    message: string = ERRORS[code].sentence,
    options: { readonly hint?: string | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.hint = options.hint
  }

  get status(): number {
    return ERRORS[this.code].status
  }

  get definite(): boolean {
    return ERRORS[this.code].definite
  }
}

/**
 * What a person is shown of anything that was thrown: an operating error's message and, on a line of its own, its
 * hint; of every other error the stack, because then the program is at fault and its maintainer needs to see where.
 */
export function describeError(error: unknown): string {
  if (error instanceof UserError) {
    return error.hint === undefined ? error.message : `${error.message}\n${error.hint}`
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** The message alone, of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
