// A terminal for a container: script(1) of util-linux has its master side and passes on what goes in and out; the container's
// first process has the other side as its standard input, output and error, and as the terminal that controls it.
//
//   agent ═▶ script ─▶ sh ─▶ what would have been started otherwise

import type { WindowSize } from '../attachment.ts'

export interface TerminalPrograms {
  readonly script: string
  readonly stty: string
  readonly tty: string
  readonly chown: string
  readonly mkfifo: string
}

export interface TerminalOptions {
  readonly programs: TerminalPrograms
  readonly size: WindowSize
  /** The user that it is to belong to; absent: the agent's own. */
  readonly uid?: number
  /** A file that is to say which one it is: the path of its device. */
  readonly noted: string
}

/** No terminal is larger: the kernel has 16 bits for each. */
export const MAX_WINDOW = 65_535

/** The command line that gives a terminal to what another one starts, which gets no more of its environment than it would. */
export function inTerminal(
  argv: readonly string[],
  { programs, size, uid, noted }: TerminalOptions,
): [string, ...string[]] {
  const { script, stty, tty, chown } = programs
  const start = [
    `name=$(${tty}) && printf '%s\\n' "$name" >${quoted(noted)} || exit 125`,
    `${stty} ${sizeWords(size).join(' ')}`,
    ...(uid === undefined ? [] : [`${chown} ${uid} "$name"`]),
    `unset name`,
    `exec ${argv.map(quoted).join(' ')}`,
  ].join('\n')
  // What is typed is shown by the terminal, as by any other, and nothing is kept of it but by whoever reads.
  return [script, '-q', '-e', '-f', '-E', 'always', '-c', start, '/dev/null']
}

/** What stty(1) is to be told. */
export function sizeWords({ rows, columns }: WindowSize): string[] {
  return ['rows', String(rows), 'cols', String(columns)]
}

/** A word of a shell's. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}
