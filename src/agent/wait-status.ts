// How a process ended, in the form of wait(2): one number that is kept, sent and shown.

/** Texts of strsignal(3) on Linux, by number; frameworks' users know them from their task's messages. */
const SIGNAL_TEXTS = [
  '',
  'Hangup',
  'Interrupt',
  'Quit',
  'Illegal instruction',
  'Trace/breakpoint trap',
  'Aborted',
  'Bus error',
  'Floating point exception',
  'Killed',
  'User defined signal 1',
  'Segmentation fault',
  'User defined signal 2',
  'Broken pipe',
  'Alarm clock',
  'Terminated',
  'Stack fault',
  'Child exited',
  'Continued',
  'Stopped (signal)',
  'Stopped',
  'Stopped (tty input)',
  'Stopped (tty output)',
  'Urgent I/O condition',
  'CPU time limit exceeded',
  'File size limit exceeded',
  'Virtual timer expired',
  'Profiling timer expired',
  'Window changed',
  'I/O possible',
  'Power failure',
  'Bad system call',
] as const

const FIRST_REAL_TIME_SIGNAL = 34
const SIGNAL_BITS = 0x7f

/** The wait(2) status of a process that exited with `code`. */
export function exitedWith(code: number): number {
  return (code & 0xff) << 8
}

/** The wait(2) status of a process that a signal ended. */
export function endedBySignal(signal: number): number {
  return signal & SIGNAL_BITS
}

/** Undefined if a signal ended it. */
export function exitCodeOf(waitStatus: number): number | undefined {
  return (waitStatus & SIGNAL_BITS) === 0 ? (waitStatus >> 8) & 0xff : undefined
}

/** Whether it exited with 0. */
export function succeeded(waitStatus: number): boolean {
  return waitStatus === 0
}

/** `exited with status 3` or `terminated with signal Killed`: the end of Mesos' messages about commands. */
export function describeWaitStatus(waitStatus: number): string {
  const signal = waitStatus & SIGNAL_BITS
  if (signal === 0) return `exited with status ${(waitStatus >> 8) & 0xff}`
  return `terminated with signal ${signalText(signal)}`
}

function signalText(signal: number): string {
  if (signal >= FIRST_REAL_TIME_SIGNAL) {
    return `Real-time signal ${signal - FIRST_REAL_TIME_SIGNAL}`
  }
  return SIGNAL_TEXTS[signal] ?? `Unknown signal ${signal}`
}
