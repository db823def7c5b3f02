// The logger `sandbox`: containers write to `stdout` and `stderr` in their sandboxes themselves. One of the few files that may
// touch the world.

import { open } from 'node:fs/promises'
import { OUTPUT_FLAGS, OUTPUT_MODE } from '../output-files.ts'
import type { ContainerLogger } from './container-logger.ts'

export const sandboxLogger: ContainerLogger = {
  // Sandboxes are on a disk, where making a file may take milliseconds: the agent does not wait for that.
  open: async ({ stdoutPath, stderrPath }) => {
    const stdout = await open(stdoutPath, OUTPUT_FLAGS, OUTPUT_MODE)
    try {
      const stderr = await open(stderrPath, OUTPUT_FLAGS, OUTPUT_MODE)
      return {
        stdout: stdout.fd,
        stderr: stderr.fd,
        close: () => {
          for (const file of [stdout, stderr]) void file.close().catch(() => {})
        },
      }
    } catch (error) {
      await stdout.close()
      throw error
    }
  },
}
