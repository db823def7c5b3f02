// Ending with the process that started this one, however that one ends.
//
// The parent sets a variable and gives a pipe as standard input, of which it holds the other end and writes nothing.
// When it dies, even by SIGKILL, the kernel closes the pipe.

/** When this variable is set, a process of ours ends in order as soon as its standard input ends. */
export const EXIT_WITH_PARENT = 'MESOS_EXIT_WITH_PARENT'

/** Calls `end` once, when the parent is gone; never, unless the parent asked for it. */
export function onParentEnd(end: () => void): void {
  if (process.env[EXIT_WITH_PARENT] === undefined) return
  let told = false
  const tell = (): void => {
    if (!told) end()
    told = true
  }
  const { stdin } = process
  stdin
    .on('data', () => {})
    .on('error', tell)
    .once('end', tell)
    .once('close', tell)
  // A parent that lives is no reason to go on.
  if ('unref' in stdin) stdin.unref()
}
