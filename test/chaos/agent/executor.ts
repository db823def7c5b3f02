// The custom executor of `npm run chaos -- agent`. Before it says anything of a task it writes it down where the judge finds it,
// so that what was truly said is known, whatever becomes of this process and of its agent.

import { spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { base64ToText } from '../../../src/base/base64.ts'
import type { Timer } from '../../../src/actors/clock.ts'
import { Executor, runExecutor, type TaskInfo } from '../../../src/framework/framework.ts'
import type { TaskID } from '../../../src/messages/ids.ts'
import type { TaskState } from '../../../src/messages/status.ts'

const journal = process.env['CHAOS_JOURNAL'] ?? '.'

class ChaosExecutor extends Executor {
  readonly #timers = new Map<string, Timer>()

  protected override launch({ task_id, data = '' }: TaskInfo): void {
    const { ms, code } = JSON.parse(base64ToText(data) ?? '') as { ms: number; code: number }
    note(task_id, 'begins')
    this.update({ task_id, state: 'TASK_STARTING' })
    this.update({ task_id, state: 'TASK_RUNNING' })
    const timer = this.delay(ms, () => {
      this.#timers.delete(task_id.value)
      this.#end(task_id, code === 0 ? 'TASK_FINISHED' : 'TASK_FAILED', `code ${code}`)
    })
    this.#timers.set(task_id.value, timer)
  }

  protected override kill(task_id: TaskID): void {
    this.#timers.get(task_id.value)?.cancel()
    if (this.#timers.delete(task_id.value)) this.#end(task_id, 'TASK_KILLED', 'as asked')
  }

  protected override shutdown(): void {
    for (const value of [...this.#timers.keys()]) this.kill({ value })
  }

  #end(task_id: TaskID, state: TaskState, message: string): void {
    note(task_id, state)
    this.update({ task_id, state, message })
  }
}

function note({ value }: TaskID, what: string): void {
  appendFileSync(join(journal, value), `${what}\n`)
}

// It has to end with the executor, who says nothing to it.
spawn('sleep', ['1000'], { stdio: 'ignore' }).unref()
process.exitCode = await runExecutor(environment => new ChaosExecutor(environment))
