// What masters and agents complain of in their logs, but for what killed peers give reason to.

/** Of warnings, as glog marks them. Errors are never expected. */
const EXPECTED: readonly RegExp[] = [
  / master: agent disconnected /,
  / log\(1\): the replica waits for others/,
  / peers: message for an actor that is not here, dropped /,
  / slave\(1\): nothing is left of an executor: Task launched during agent restart /,
  / slave\(1\): kill ignored: (its framework has nothing here|the agent is not registered at present) /,
  / slave\(1\): task refused: (Executor terminat(ing|ed)|Unable to find executor|Reconciliation: task unknown to the agent) /,
  / slave\(1\): ignored: it is not the master from=\S+ message=ping/,
  / slave\(1\): none of the masters knows who leads; asking on /,
  / slave\(1\): disconnected from the master; registering again /,
  // Its end was acknowledged, but the agent died before it could tell the executor so.
  / slave\(1\): update ignored: the executor does not have this task, or its end is acknowledged /,
  / slave\(1\): master \S+ does not answer; still trying /,
  / slave\(1\): the connection to an executor is lost; waiting for it to subscribe again /,
]

/** Lines that say of something unexpected, and lines that are no log at all. */
export function complaintsIn(log: string): string[] {
  return log.split('\n').filter(line => {
    if (line === '' || /^(--- start |[ID]\d{4} )/.test(line)) return false
    return !(line.startsWith('W') && EXPECTED.some(it => it.test(line)))
  })
}
