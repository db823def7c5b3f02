// HTTP as actors see it: a request is an event, a response a value. Sockets are http-server.ts' business.

export interface HttpRequest {
  readonly method: string
  /** Percent-decoded, without the query: `/master/state`. */
  readonly path: string
  readonly query: URLSearchParams
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /**
   * Of a request of the type `application/recordio`, whose `body` is empty: what comes, as it comes, to be read by one. Breaks off
   * with an error if the client goes away before its end. What nobody reads the client is kept from sending.
   */
  readonly pieces?: AsyncIterable<Uint8Array>
}

export interface HttpResponse {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /**
   * Instead of `body`: sent piece by piece, as its reader takes it, without a length. The iterator is ended (`return`)
   * when the client goes away; when it throws, the connection is broken off. `Actor.stream` makes one.
   */
  readonly stream?: AsyncIterable<string | Uint8Array>
}

export type HttpHandler = (request: HttpRequest) => HttpResponse | Promise<HttpResponse>

export function text(status: number, body: string): HttpResponse {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body }
}

export function json(value: unknown, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  return jsonText(JSON.stringify(value), headers)
}

/** The same for what is JSON text already. */
export function jsonText(
  value: string,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  return {
    status: 200,
    headers: { 'content-type': 'application/json', ...headers },
    body: value,
  }
}

export const NOT_FOUND: HttpResponse = { status: 404 }

export function methodNotAllowed(allowed: readonly string[]): HttpResponse {
  return {
    ...text(
      405,
      `Expecting one of { ${allowed.map(m => `'${m}'`).join(', ')} }, but received another method`,
    ),
    headers: { allow: allowed.join(', ') },
  }
}

export interface Route {
  /** Starts with `/`, does not end with it. */
  readonly path: string
  /** One sentence for `/help`. */
  readonly help: string
  readonly handler: HttpHandler
}

/**
 * Finds the route with the longest prefix of whole path segments, as libprocess does: `/a/b/c`, `/a/b`, `/a`. The
 * route `/` serves only the actor's own path, not all that nobody else serves.
 */
export function findRoute(routes: ReadonlyMap<string, Route>, path: string): Route | undefined {
  let prefix = withoutSlashesAtEnd(path)
  if (prefix === '') return routes.get('/')
  let longest = 0
  for (const known of routes.keys()) longest = Math.max(longest, known.length)
  while (prefix !== '') {
    // What is longer than all routes is not looked up: the path may be as long as a client likes.
    const route = prefix.length > longest ? undefined : routes.get(prefix)
    if (route) return route
    prefix = prefix.slice(0, prefix.lastIndexOf('/', longest))
  }
  return undefined
}

/** By hand: an expression for it would look at each run of slashes once from each of its slashes. */
export function withoutSlashesAtEnd(path: string): string {
  let end = path.length
  while (end > 0 && path[end - 1] === '/') end--
  return path.slice(0, end)
}

/** A path with one slash in front and none behind. */
export function trimmedPath(path: string): string {
  let start = 0
  while (path[start] === '/') start++
  return `/${withoutSlashesAtEnd(path.slice(start))}`
}

/**
 * Splits a path into the id of the actor that serves it and the rest. A first segment that names no actor belongs
 * to the delegate: `/state` is `/master/state` on a master.
 */
export function splitPath(
  path: string,
  isActor: (id: string) => boolean,
  delegate: string | undefined,
): { id: string; rest: string } | undefined {
  if (path.split('/').includes('..')) return undefined
  const clean = path.replace(/^\/+/, '/')
  const end = clean.indexOf('/', 1)
  const first = end === -1 ? clean.slice(1) : clean.slice(1, end)
  if (first !== '' && isActor(first))
    return { id: first, rest: end === -1 ? '/' : clean.slice(end) }
  return delegate === undefined ? undefined : { id: delegate, rest: clean }
}

const CALLBACK = /^[\w$.[\]]{1,200}$/

/**
 * `?jsonp=callback`: a JSON answer to a GET becomes a call of that function, so that a page of another origin can load
 * it as a script. Names only: whatever else came in would run in that page.
 */
export function withJsonp(request: HttpRequest, response: HttpResponse): HttpResponse {
  const callback = request.query.get('jsonp')
  if (callback === null || request.method !== 'GET' || response.body === undefined) return response
  if (response.headers?.['content-type'] !== 'application/json') return response
  if (!CALLBACK.test(callback)) return text(400, "Expecting the name of a function as 'jsonp'.\n")
  const { body } = response
  const value = typeof body === 'string' ? body : new TextDecoder().decode(body)
  return {
    ...response,
    headers: {
      ...response.headers,
      'content-type': 'text/javascript',
      'x-content-type-options': 'nosniff',
    },
    body: `${callback}(${value});`,
  }
}
