// How files of a task's output are opened.

import { constants } from 'node:fs'

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants

/**
 * A link in its place would let the agent write, as root, where it leads: whoever fills a sandbox must not choose that. And a pipe that
 * nobody reads would keep one of the few threads that open files for all, for ever. For a file O_NONBLOCK means nothing.
 */
export const OUTPUT_FLAGS = O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_WRONLY
export const OUTPUT_MODE = 0o644
