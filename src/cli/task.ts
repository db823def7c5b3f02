// mesos task COMMAND: which one.

import { main } from './main.ts'
import { attachCommand, execCommand, inspectCommand, listCommand } from './task/commands.ts'

const USAGE = `Usage: mesos task <command> [flags] [arguments]

  list      ${listCommand.summary}
  inspect   ${inspectCommand.summary}
  exec      ${execCommand.summary}
  attach    ${attachCommand.summary}

'mesos task <command> --help' says more.
`

export async function taskCommand([name = '', ...argv]: readonly string[]): Promise<void> {
  switch (name) {
    case 'list':
      return main(listCommand, argv)
    case 'inspect':
      return main(inspectCommand, argv)
    case 'exec':
      return main(execCommand, withLongNames(argv))
    case 'attach':
      return main(attachCommand, argv)
    case '--help':
    case '-h':
      process.stdout.write(USAGE)
      return
    default:
      process.stderr.write(name === '' ? USAGE : `mesos task: there is no '${name}'\n${USAGE}`)
      process.exitCode = 1
  }
}

const LONG: Readonly<Record<string, readonly string[]>> = {
  '-i': ['--interactive'],
  '-t': ['--tty'],
  '-it': ['--interactive', '--tty'],
  '-ti': ['--interactive', '--tty'],
}

/** Only in front: what comes after the task's id is the command's own. */
function withLongNames(argv: readonly string[]): string[] {
  const first = argv.findIndex(word => !word.startsWith('-'))
  const end = first === -1 ? argv.length : first
  return [...argv.slice(0, end).flatMap(word => LONG[word] ?? [word]), ...argv.slice(end)]
}
