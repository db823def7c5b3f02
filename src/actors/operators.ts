// Who may ask a process to change something over HTTP: where processes share a secret, people who know it.

import { type HttpRequest, type HttpResponse, text } from './http.ts'

/** Whether a token is the one that belongs to the secret (`operatorToken`). */
export type IsOperator = (token: string) => boolean

/**
 * The answer to somebody who does not prove it by `Authorization: Bearer …`; undefined to all others, and to everybody where nobody
 * has to prove anything.
 */
export function distrust(
  { headers }: Pick<HttpRequest, 'headers'>,
  isOperator: IsOperator | undefined,
): HttpResponse | undefined {
  if (!isOperator) return undefined
  const token = /^bearer (.+)$/i.exec(headers['authorization'] ?? '')?.[1]
  if (token !== undefined && isOperator(token)) return undefined
  const refused = text(
    401,
    'Only who knows the secret of the cluster may ask this (--cluster_secret).\n',
  )
  return { ...refused, headers: { ...refused.headers, 'www-authenticate': 'Bearer realm="mesos"' } }
}
