// A limit on how long a command may take.

import { formatDuration } from '../../base/duration.ts'
import { UserError } from '../../base/errors.ts'

/** Rejects when `work` takes longer; it is given up then, and the process ends soon. */
export async function withinTime<T>(
  limitMs: number,
  what: string,
  work: () => Promise<T>,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new UserError('timeout', `${what} within ${formatDuration(limitMs)}.`, {
          hint: 'Allow it longer with --timeout.',
        }),
      )
    }, limitMs)
  })
  try {
    return await Promise.race([work(), late])
  } finally {
    clearTimeout(timer)
  }
}
