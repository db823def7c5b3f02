// What clients did, and what they saw of it.

import type { Position } from '../../../src/messages/log.ts'
import { type Call, linearize } from './linearizability.ts'
import { type Entry, LOG_MODEL, type LogOp } from './log-model.ts'
import { type Truth, truncateName } from './truth.ts'

type Asked =
  | { readonly type: 'append'; readonly name: string }
  | { readonly type: 'truncate'; readonly to: Position }
  | { readonly type: 'read' }

type Answer =
  | { readonly at: Position }
  | { readonly begin: Position; readonly found: readonly Entry[] }

export interface Operation {
  readonly asked: Asked
  readonly by: string
  readonly from: number
  to: number
  answer?: Answer
}

export class History {
  readonly operations: Operation[] = []
  #tick = 0

  asks(by: string, asked: Asked): Operation {
    const operation = { asked, by, from: this.#tick++, to: Infinity }
    this.operations.push(operation)
    return operation
  }

  answered(operation: Operation, answer: Answer): void {
    operation.to = this.#tick++
    operation.answer = answer
  }

  /** Writes that were confirmed. */
  get confirmed(): number {
    return this.operations.filter(({ asked, answer }) => answer && asked.type !== 'read').length
  }

  get reads(): number {
    return this.operations.filter(({ asked, answer }) => answer && asked.type === 'read').length
  }

  /** Writes of which nobody knows whether they happened. */
  get open(): number {
    return this.operations.filter(({ asked, answer }) => !answer && asked.type !== 'read').length
  }

  /**
   * Why the history is none of a log that is in one place, if it is none. Once all is over, the truth says which of the open
   * writes have happened, and where: the others never will. Where there is no truth, every way is tried.
   */
  flaw(truth?: Truth): string | undefined {
    const calls = this.operations.flatMap(operation => call(operation, truth) ?? [])
    const verdict = linearize(calls, LOG_MODEL)
    if (verdict.ok) return undefined
    if (verdict.ok === undefined) return 'the history is too long to be checked'
    const show = (call: Call<LogOp>): string =>
      `${JSON.stringify(call.op)} [${call.from}, ${call.to}]`
    return [
      'the history is not linearizable; this far it is:',
      ...verdict.order.slice(-12).map(each => `  ${show(each)}`),
      'and none of these can come next:',
      ...verdict.stuck.map(each => `  ${show(each)}`),
    ].join('\n')
  }
}

function call(operation: Operation, truth: Truth | undefined): Call<LogOp> | undefined {
  const { asked, from, to, answer } = operation
  if (asked.type === 'read') {
    return answer && 'found' in answer ? { op: { type: 'read', ...answer }, from, to } : undefined
  }
  const name = asked.type === 'append' ? asked.name : truncateName(asked.to)
  const told = answer && 'at' in answer ? answer.at : undefined
  const at = told ?? truth?.placeOf(name)
  if (at === undefined && truth) return undefined
  return { op: { ...asked, ...(at !== undefined && { at }) }, from, to }
}
