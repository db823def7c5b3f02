// What to run: the command of a task, an executor or a check.

import type * as v from 'valibot'
import { choice, flag, message, optional, repeated, text } from './schema.ts'
import { Secret } from './values.ts'

/** `type` absent means VALUE. */
export const EnvironmentVariable = message({
  name: text,
  type: choice(['VALUE', 'SECRET']),
  value: optional(text),
  secret: optional(Secret),
})
export type EnvironmentVariable = v.InferOutput<typeof EnvironmentVariable>

export const Environment = message({ variables: repeated(EnvironmentVariable) })
export type Environment = v.InferOutput<typeof Environment>

/**
 * Fetched into the sandbox before the command runs. `extract` absent means true. `checksum`: `sha256:` or `sha512:` and hexadecimal
 * digits, which Mesos has not.
 */
export const CommandURI = message({
  value: text,
  executable: optional(flag),
  extract: optional(flag),
  cache: optional(flag),
  output_file: optional(text),
  checksum: optional(text),
})
export type CommandURI = v.InferOutput<typeof CommandURI>

/**
 * `shell` absent or true: `/bin/sh -c value`. False: the program `value` with `arguments` as its whole argv, the
 * program's name included.
 */
export const CommandInfo = message({
  uris: repeated(CommandURI),
  environment: optional(Environment),
  shell: optional(flag),
  value: optional(text),
  arguments: repeated(text),
  user: optional(text),
})
export type CommandInfo = v.InferOutput<typeof CommandInfo>
