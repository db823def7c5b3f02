// The smallest framework: runs a few commands somewhere in the cluster, prints what becomes of them, and ends.
//
//     node dist/examples/hello/main.js 127.0.0.1:5050

import { isTerminal, type Offer, pack, runScheduler } from '../../src/framework/framework.ts'
import { Scheduler, type TaskRequest, type TaskStatus } from '../../src/framework/framework.ts'

const words = ['Hello', 'Bonjour', 'Ahoj', 'Hallo', 'Hola']

class Hello extends Scheduler {
  readonly #ended = new Set<string>()
  #waiting: readonly TaskRequest[] = words.map((word, i) => ({
    name: word,
    task_id: { value: `hello-${i}` },
    command: { value: `echo ${word}, world` },
    needs: { cpus: 0.1, mem: 32 },
  }))

  protected override offers(offers: readonly Offer[]): void {
    for (const offer of offers) {
      const { tasks, rest } = pack(offer, this.#waiting)
      this.#waiting = rest
      this.launch(offer, tasks)
    }
  }

  protected override update({ task_id, state, message = '' }: TaskStatus): void {
    console.log(task_id.value, state, message)
    if (isTerminal(state)) this.#ended.add(task_id.value)
    if (this.#ended.size === words.length) this.teardown()
  }
}

const [master = '127.0.0.1:5050'] = process.argv.slice(2)
process.exitCode = await runScheduler(new Hello({ master, framework: { name: 'hello' } }))
