// Ports that nobody listens on.

import { createServer } from 'node:net'

/** Below those that the kernel gives to connections. */
const FIRST = 10_000
const COUNT = 20_000
/** So many are tried before this machine is taken to have none. */
const TRIES = 1_000

/** So many different ones. Another process may take one before it is used; then the start fails loudly. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  for (let tries = 0; ports.size < count; tries++) {
    if (tries === TRIES) throw new Error(`no ${count} free ports from ${FIRST} on`)
    const port = FIRST + Math.floor(Math.random() * COUNT)
    if (await isFree(port)) ports.add(port)
  }
  return [...ports]
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
