// The addresses within the page (`#/…`), both ways. Ids are strangers' text, so every part is
// percent-encoded.

/**
 * What of a task's sandbox to show: a file's text or a folder's list; `path` is relative to the
 * sandbox.
 */
export interface SandboxView {
  readonly view: 'read' | 'browse'
  readonly path: string
}

export type Route =
  | { readonly page: 'overview' }
  | { readonly page: 'frameworks' }
  | { readonly page: 'framework'; readonly frameworkId: string }
  | { readonly page: 'agents' }
  | { readonly page: 'agent'; readonly agentId: string }
  | { readonly page: 'offers' }
  | {
      readonly page: 'task'
      readonly frameworkId: string
      readonly taskId: string
      readonly sandbox: SandboxView
    }
  | { readonly page: 'unknown'; readonly hash: string }

export const defaultSandbox: SandboxView = { view: 'read', path: 'stdout' }

export function parseRoute(hash: string): Route {
  const parts = hash
    .replace(/^#?\/?/, '')
    .split('/')
    .filter(Boolean)
    .map(decode)
  const [page, first, second, view, ...path] = parts
  if (page === undefined) return { page: 'overview' }
  if (page === 'frameworks' && first === undefined) return { page }
  if (page === 'agents' && first === undefined) return { page }
  if (page === 'offers' && first === undefined) return { page }
  if (page === 'frameworks' && first !== undefined && second === undefined) {
    return { page: 'framework', frameworkId: first }
  }
  if (page === 'agents' && first !== undefined && second === undefined) {
    return { page: 'agent', agentId: first }
  }
  if (page === 'tasks' && first !== undefined && second !== undefined) {
    const task = { page: 'task', frameworkId: first, taskId: second } as const
    if (view === undefined) return { ...task, sandbox: defaultSandbox }
    if (view === 'read' || view === 'browse') {
      return { ...task, sandbox: { view, path: path.join('/') } }
    }
  }
  return { page: 'unknown', hash }
}

export function taskHref(frameworkId: string, taskId: string, sandbox?: SandboxView): string {
  const task = `#/tasks/${encodeURIComponent(frameworkId)}/${encodeURIComponent(taskId)}`
  if (!sandbox) return task
  const path = sandbox.path.split('/').map(encodeURIComponent).join('/')
  return path ? `${task}/${sandbox.view}/${path}` : `${task}/${sandbox.view}`
}

export function agentHref(agentId: string): string {
  return `#/agents/${encodeURIComponent(agentId)}`
}

export function frameworkHref(frameworkId: string): string {
  return `#/frameworks/${encodeURIComponent(frameworkId)}`
}

/** A hash that was typed by hand may hold a lone `%`. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
