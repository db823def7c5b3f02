// This terminal, or whatever our standard input and output are, connected with those of a program elsewhere.

import { UserError } from '../../base/errors.ts'
import type { ProcessIO } from '../../messages/agent-api.ts'
import type { ContainerInput } from './agent-calls.ts'
import { Detach } from './detach.ts'

export interface ConversationOptions {
  /** Each key is passed on as it is typed, and it hears of this window's size. */
  readonly isTerminal: boolean
  /** Whether it can be left by Ctrl-p Ctrl-q. */
  readonly canDetach: boolean
}

export const windowSize = (): { rows: number; columns: number } => ({
  rows: process.stdout.rows || 24,
  columns: process.stdout.columns || 80,
})

/** Passes on what we read. Gives back a function that ends that; `left` is called if somebody detaches. */
export function passInput(
  input: ContainerInput,
  { isTerminal, canDetach }: ConversationOptions,
  left: () => void,
): () => void {
  const { stdin, stdout } = process
  const isRaw = isTerminal && stdin.isTTY
  const detach = canDetach && isRaw ? new Detach() : undefined
  const take = (typed: Buffer): void => {
    const data = detach ? detach.take(typed) : typed
    if (data.length > 0 && !input.write(data)) {
      stdin.pause()
      input.drained(() => stdin.resume())
    }
    if (detach?.isDone) left()
  }
  const end = (): void => input.endOfInput()
  const resize = (): void => input.resize(windowSize())
  if (isRaw) stdin.setRawMode(true)
  stdin.on('data', take).once('end', end)
  if (isTerminal) {
    stdout.on('resize', resize)
    if (stdout.isTTY) resize()
  }
  return () => {
    stdin.off('data', take).off('end', end).pause()
    stdout.off('resize', resize)
    if (isRaw) stdin.setRawMode(false)
    input.close()
  }
}

/** Prints what a program says, until it says no more or `left` resolves. */
export async function passOutput(
  output: AsyncIterable<ProcessIO>,
  left: Promise<void>,
): Promise<void> {
  const iterator = output[Symbol.asyncIterator]()
  // One promise that all of them are raced with would keep everything that was said.
  let leave = (): void => {}
  let hasLeft = false
  void left.then(() => {
    hasLeft = true
    leave()
  })
  for (;;) {
    const next = await new Promise<IteratorResult<ProcessIO> | 'left'>((resolve, reject) => {
      leave = () => resolve('left')
      if (hasLeft) leave()
      iterator.next().then(resolve, reject)
    })
    if (next === 'left' || next.done) return
    const io = next.value
    if (io.type !== 'DATA' || io.data.type === 'STDIN') continue
    const stream = io.data.type === 'STDOUT' ? process.stdout : process.stderr
    const data = Buffer.from(io.data.data ?? '', 'base64')
    if (!stream.write(data)) await new Promise<void>(resolve => stream.once('drain', resolve))
  }
}

/** Throws a `UserError` where there is none to be had. */
export function requireTerminal(): void {
  if (process.stdin.isTTY && process.stdout.isTTY) return
  throw new UserError(
    'invalid_value',
    'This is no terminal: standard input or output is not one.',
    {
      hint: 'Leave out --tty.',
    },
  )
}
