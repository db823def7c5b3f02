// How files of a task's output are opened.

import { constants } from 'node:fs'

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants

/** A link in its place would let the agent write, as root, where it leads: whoever fills a sandbox must not choose that. */
export const OUTPUT_FLAGS = O_APPEND | O_CREAT | O_NOFOLLOW | O_WRONLY
export const OUTPUT_MODE = 0o644
