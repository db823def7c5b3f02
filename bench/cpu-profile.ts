// Takes a CPU profile of this process.

import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { type Breakdown, breakdown } from './profile.ts'

const SAMPLE_MICROSECONDS = 250

/** A profile of this process, from `start` to `stop`. */
export class CpuProfile {
  #session: Session | undefined

  async start(): Promise<void> {
    const session = new Session()
    this.#session = session
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROSECONDS })
    await session.post('Profiler.start')
  }

  /** `file`: where to write the profile as Chrome's developer tools read it. */
  async stop(file: string | undefined): Promise<Breakdown> {
    const session = this.#session
    if (!session) throw new Error('no profile is being taken')
    this.#session = undefined
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    if (file !== undefined) writeFileSync(file, JSON.stringify(profile))
    return breakdown(profile)
  }
}
