// `/help`: what can be asked of this process over HTTP, made from the routes themselves.

import { type HttpResponse, json, NOT_FOUND, withoutSlashesAtEnd } from './http.ts'

/** One sentence says what it is for. `name` is the path below the process' id; `/` is the process itself. */
export interface Endpoint {
  readonly name: string
  readonly help: string
}

export interface HelpfulProcess {
  readonly id: string
  readonly endpoints: readonly Endpoint[]
}

/** `path` is `/help`, `/help/<id>` or `/help/<id>/<name>`. */
export function help(
  processes: readonly HelpfulProcess[],
  path: string,
  query: URLSearchParams,
): HttpResponse {
  const [, , id = '', ...rest] = withoutSlashesAtEnd(path).split('/')
  const name = `/${rest.join('/')}`
  const chosen = processes
    .filter(process => id === '' || process.id === id)
    .map(process => ({
      id: process.id,
      endpoints: [...process.endpoints]
        .filter(endpoint => rest.length === 0 || endpoint.name === name)
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map(endpoint => ({ name: endpoint.name, text: helpText(process.id, endpoint) })),
    }))
    .filter(({ endpoints }) => endpoints.length > 0)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  if (id !== '' && chosen.length === 0) return NOT_FOUND
  return query.get('format') === 'json' ? json({ processes: chosen }) : page(chosen)
}

function helpText(id: string, { name, help: sentence }: Endpoint): string {
  const indent = '>        '
  return [
    '### USAGE ###',
    `${indent}${pathOf(id, name)}`,
    '',
    '### TL;DR; ###',
    `${indent}${sentence}`,
    '',
  ].join('\n')
}

const pathOf = (id: string, name: string): string => `/${id}${name === '/' ? '' : name}`

function page(
  processes: readonly {
    readonly id: string
    readonly endpoints: readonly { readonly name: string; readonly text: string }[]
  }[],
): HttpResponse {
  const sections = processes.map(({ id, endpoints }) => {
    const items = endpoints.map(
      ({ name, text }) =>
        `<h3><a href="${escaped(encodeURI(pathOf(id, name)))}">${escaped(pathOf(id, name))}</a></h3>\n` +
        `<pre>${escaped(text)}</pre>`,
    )
    return `<h2><a href="/help/${escaped(encodeURIComponent(id))}">${escaped(id)}</a></h2>\n${items.join('\n')}`
  })
  return {
    status: 200,
    headers: { 'content-type': 'text/html; charset=utf-8' },
    body: `<!DOCTYPE html>\n<html lang="en">\n<title>Help</title>\n<h1>Help</h1>\n${sections.join('\n')}\n</html>\n`,
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
}

const escaped = (text: string): string => text.replaceAll(/[&<>"]/g, sign => ESCAPES[sign]!)
