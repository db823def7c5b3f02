// What masters and agents complain of in their logs, but for what killed peers give reason to.

/** Of warnings, as glog marks them. Errors are never expected. */
const EXPECTED: readonly RegExp[] = [/XXX/]

/** Lines that say of something unexpected, and lines that are no log at all. */
export function complaintsIn(log: string): string[] {
  return log.split('\n').filter(line => {
    if (line === '' || /^(--- start |[ID]\d{4} )/.test(line)) return false
    return !(line.startsWith('W') && EXPECTED.some(it => it.test(line)))
  })
}
