// Tasks' output through the master: a browser that reaches the master needs no way to the agents.

import { type HttpHandler, type HttpResponse, json, text } from '../../actors/http.ts'
import { AskError, type Protocol, type Ref } from '../../actors/protocol.ts'
import { BAD_ENCODING, type Files, MAX_READ_BYTES, parseEncoding } from '../../messages/files.ts'

export type FilesRef = typeof Files extends Protocol<infer E> ? Ref<E> : never

const ASK_LIMIT_MS = 10_000
const STATUS = { NOT_FOUND: 404, BAD_REQUEST: 400, FORBIDDEN: 403 } as const

export function agentFilesRoutes(
  get: (path: string, help: string, handler: HttpHandler) => void,
  filesOf: (agentId: string) => FilesRef | undefined,
): void {
  const asking =
    (
      ask: (files: FilesRef, path: string, query: URLSearchParams) => Promise<HttpResponse>,
    ): HttpHandler =>
    async ({ query }) => {
      const agentId = query.get('agent_id')
      const path = query.get('path')
      if (path === null) return text(400, "Expecting 'path=value' in query.\n")
      if (agentId === null) return text(400, "Expecting 'agent_id=value' in query.\n")
      const files = filesOf(agentId)
      if (!files) return text(404, `Agent '${agentId}' is not registered.\n`)
      try {
        return await ask(files, path, query)
      } catch (error) {
        if (!(error instanceof AskError)) throw error
        return text(502, `Agent '${agentId}' did not answer: ${error.message}\n`)
      }
    }

  get(
    '/files/browse',
    'Files in a sandbox. ?agent_id=&path=',
    asking(async (files, path) => {
      const answer = await files.ask('browse', { path }, { timeoutMs: ASK_LIMIT_MS })
      return answer.ok ? json(answer.files) : text(STATUS[answer.code], answer.message)
    }),
  )
  get(
    '/files/read',
    'Part of a file in a sandbox. ?agent_id=&path=&offset=&length=&encoding=; offset=-1 gives its length.',
    asking(async (files, path, query) => {
      const offset = integer(query.get('offset'), -1)
      const length = integer(query.get('length'), MAX_READ_BYTES)
      if (offset === undefined || offset < -1)
        return text(400, 'Failed to parse offset: it must be -1 or more.\n')
      if (length === undefined || length < -1)
        return text(400, 'Failed to parse length: it must be -1 or more.\n')
      const encoding = parseEncoding(query.get('encoding'))
      if (!encoding) return text(400, BAD_ENCODING)
      const request = { path, offset, length, encoding }
      const answer = await files.ask('read', request, { timeoutMs: ASK_LIMIT_MS })
      if (!answer.ok) return text(STATUS[answer.code], answer.message)
      return json({ offset: answer.offset, data: answer.data })
    }),
  )
}

function integer(given: string | null, fallback: number): number | undefined {
  if (given === null) return fallback
  return /^-?\d{1,15}$/.test(given) ? Number(given) : undefined
}
