// The executor of the test framework: its tasks do nothing, for as long as their `data` says (in milliseconds).
// An agent starts it with the framework's first task there; all further ones go to the same process.

import type { Timer } from '../../src/actors/clock.ts'
import { base64ToText } from '../../src/base/base64.ts'
import { Executor, runExecutor, type TaskInfo } from '../../src/framework/framework.ts'
import type { TaskID } from '../../src/messages/ids.ts'

class TestExecutor extends Executor {
  readonly #timers = new Map<string, Timer>()

  protected override launch({ task_id, name, data = '' }: TaskInfo): void {
    console.log(`Starting ${name}`)
    this.update({ task_id, state: 'TASK_STARTING' })
    this.update({ task_id, state: 'TASK_RUNNING' })
    const timer = this.delay(Number(base64ToText(data)), () => {
      this.#timers.delete(task_id.value)
      console.log(`Finished ${name}`)
      this.update({ task_id, state: 'TASK_FINISHED' })
    })
    this.#timers.set(task_id.value, timer)
  }

  protected override kill(task_id: TaskID): void {
    this.#timers.get(task_id.value)?.cancel()
    if (this.#timers.delete(task_id.value)) this.update({ task_id, state: 'TASK_KILLED' })
  }

  protected override shutdown(): void {
    for (const value of [...this.#timers.keys()]) this.kill({ value })
  }
}

process.exitCode = await runExecutor(environment => new TestExecutor(environment))
