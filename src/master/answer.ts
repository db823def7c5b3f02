// What an operator is answered who wants something changed.

export interface Answer {
  /** As in HTTP: 400 it cannot be, 404 unknown, 409 something else came between, 503 try again. */
  readonly status: 200 | 400 | 404 | 409 | 503
  readonly message?: string
}

export const DONE: Answer = { status: 200 }
export const invalid = (message: string): Answer => ({ status: 400, message })
export const conflict = (message: string): Answer => ({ status: 409, message })
