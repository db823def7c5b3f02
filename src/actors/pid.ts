// Addresses of actors: `id@host:port`, as in libprocess.

/** Where a process can be reached, or is known by: `host:port`. Port 0: only through a connection that it opened. */
export type Address = string

/** An actor's address, `id@host:port`. The part before the first `@` is the id. */
export type Pid = string & { readonly __brand: 'Pid' }

const ADDRESS = /^([^\s@:/]{1,255}):(\d{1,5})$/

/** Puts a pid together from an actor's id and its process' address. */
export function pid(id: string, address: Address): Pid {
  return `${id}@${address}` as Pid
}

/** The id of a pid: `master` of `master@10.0.0.1:5050`. */
export function idOf(value: Pid): string {
  return value.slice(0, value.indexOf('@'))
}

/** The address of a pid: `10.0.0.1:5050` of `master@10.0.0.1:5050`. */
export function addressOf(value: Pid): Address {
  return value.slice(value.indexOf('@') + 1)
}

/** Splits `host:port`; undefined when the text is no address. */
export function parseAddress(text: string): { host: string; port: number } | undefined {
  const match = ADDRESS.exec(text)
  if (!match) return undefined
  const port = Number(match[2])
  return port <= 65_535 ? { host: match[1]!, port } : undefined
}

/** Checks a pid that came from outside; undefined when it is none. */
export function parsePid(text: string): Pid | undefined {
  const at = text.indexOf('@')
  if (at <= 0 || at > 512 || !parseAddress(text.slice(at + 1))) return undefined
  return text as Pid
}
