// A CPU profile of this very process, by V8's own sampler. One of the few files that may touch the world.

import type { Session } from 'node:inspector'
import type { Profiler } from './builtins.ts'

export class CpuProfiler implements Profiler {
  #started: Promise<Session> | undefined

  get running(): boolean {
    return this.#started !== undefined
  }

  async start(): Promise<void> {
    this.#started = begin()
    try {
      await this.#started
    } catch (error) {
      this.#started = undefined
      throw error
    }
  }

  async stop(): Promise<string> {
    const started = this.#started
    this.#started = undefined
    const session = await started!
    const { profile } = (await post(session, 'Profiler.stop')) as { readonly profile: unknown }
    session.disconnect()
    return JSON.stringify(profile)
  }
}

async function begin(): Promise<Session> {
  // A bundle would load it with the program, were it imported above.
  const inspector = await import('node:inspector')
  const session = new inspector.Session()
  session.connect()
  await post(session, 'Profiler.enable')
  await post(session, 'Profiler.start')
  return session
}

function post(session: Session, method: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    session.post(method, (error, result) => (error ? reject(error) : resolve(result)))
  })
}
