// What comes with a POST, as JSON: taken apart and checked before anything is done with it.

import * as v from 'valibot'
import { type HttpRequest, type HttpResponse, text } from '../../actors/http.ts'
import { messageOf } from '../../base/errors.ts'
import type { Answer } from '../answer.ts'

const DECODER = new TextDecoder('utf-8', { fatal: true })

/**
 * The body as `schema` has it, or what is wrong with it. It has to call itself JSON: a page of another origin cannot send
 * that without asking first, and so cannot have an operator's browser take machines down.
 */
export function bodyOf<T>(
  { headers, body }: HttpRequest,
  schema: v.GenericSchema<unknown, T>,
  what: string,
): { readonly value: T } | { readonly refusal: HttpResponse } {
  const type = headers['content-type']
  if (type === undefined) return refusal(400, "Expecting 'Content-Type' to be present")
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    return refusal(415, "Expecting 'Content-Type' of application/json")
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(DECODER.decode(body))
  } catch (error) {
    return refusal(400, `Failed to parse body into JSON: ${messageOf(error)}`)
  }
  const found = v.safeParse(schema, parsed)
  if (found.success) return { value: found.output }
  const [issue] = found.issues
  const where = v.getDotPath(issue)
  return refusal(
    400,
    `Failed to convert JSON into ${what}: ${where === null ? '' : `${where}: `}${issue.message}`,
  )
}

const refusal = (status: number, why: string): { readonly refusal: HttpResponse } => ({
  refusal: text(status, why),
})

export function responseTo({ status, message }: Answer): HttpResponse {
  return message === undefined ? { status } : text(status, message)
}
