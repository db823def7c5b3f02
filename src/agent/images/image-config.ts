// What an image says of how it is run, and what becomes of that together with a task's command: Mesos' table of the isolator
// `docker/runtime`.

import * as v from 'valibot'
import { UserError } from '../../base/errors.ts'
import type { CommandInfo } from '../../messages/command.ts'
import { DIGEST } from './reference.ts'

const NO_NUL = /^[^\0]*$/
const text = v.pipe(v.string(), v.regex(NO_NUL, 'it contains NUL'))
/** Docker writes null for what is not there. */
const list = v.nullish(v.array(text), [])

/** The parts of an image's configuration that are used. */
export const ImageConfig = v.object({
  config: v.nullish(
    v.object({
      Entrypoint: list,
      Cmd: list,
      Env: list,
      WorkingDir: v.nullish(text, ''),
      User: v.nullish(text, ''),
    }),
  ),
  rootfs: v.object({
    type: v.literal('layers'),
    diff_ids: v.array(v.pipe(v.string(), v.regex(DIGEST, 'it is no digest'))),
  }),
})

export interface RuntimeConfig {
  readonly entrypoint: readonly string[]
  readonly cmd: readonly string[]
  readonly env: readonly string[]
  /** Empty: it does not say. */
  readonly workingDir: string
  readonly user: string
}

/** As the agent writes it down. */
export const StoredRuntime = v.object({
  entrypoint: v.array(v.string()),
  cmd: v.array(v.string()),
  env: v.array(v.string()),
  workingDir: v.string(),
  user: v.string(),
})

export function runtimeConfig({ config }: v.InferOutput<typeof ImageConfig>): RuntimeConfig {
  const { Entrypoint = [], Cmd = [], Env = [], WorkingDir = '', User = '' } = config ?? {}
  return {
    entrypoint: Entrypoint ?? [],
    cmd: Cmd ?? [],
    env: Env ?? [],
    workingDir: WorkingDir ?? '',
    user: User ?? '',
  }
}

/** What is run of an image. */
export interface ImageRuntime {
  readonly argv: readonly [string, ...string[]]
  readonly argv0?: string
  /** The image's variables; the command's own win over them. */
  readonly env: Readonly<Record<string, string>>
  readonly workingDirectory?: string
}

/**
 *     command                  | nothing  | Cmd          | Entrypoint    | Entrypoint, Cmd
 *     -------------------------|----------|--------------|---------------|---------------------
 *     shell, value             | /bin/sh -c value
 *     value                    | value
 *     value, arguments         | value, called with the arguments (the first one is its name)
 *     no value                 | error    | Cmd          | Entrypoint    | Entrypoint Cmd
 *     no value, arguments      | error    | Cmd[0] args  | Entrypoint args
 *
 * Throws a `UserError` where that gives nothing to run.
 */
export function mergeRuntime(image: RuntimeConfig, command: CommandInfo): ImageRuntime {
  const { workingDir } = image
  if (workingDir !== '' && !workingDir.startsWith('/')) {
    throw invalid(`its working directory '${workingDir}' is not absolute`)
  }
  return {
    ...program(image, command),
    env: environment(image.env),
    ...(workingDir !== '' && { workingDirectory: workingDir }),
  }
}

function program(
  { entrypoint, cmd }: RuntimeConfig,
  { shell = true, value = '', arguments: args = [] }: CommandInfo,
): Pick<ImageRuntime, 'argv' | 'argv0'> {
  if (shell) {
    if (value === '') throw invalid('a command for a shell has no value')
    return { argv: ['/bin/sh', '-c', value] }
  }
  if (value !== '') {
    const [argv0, ...rest] = args
    return argv0 === undefined ? { argv: [value] } : { argv: [value, ...rest], argv0 }
  }
  const [first, ...others] = entrypoint
  if (first !== undefined && first !== '') {
    return { argv: [first, ...others, ...(args.length > 0 ? args : cmd)] }
  }
  const [program, ...defaults] = cmd
  if (program === undefined || program === '') {
    throw invalid('neither the command nor the image says what to run')
  }
  return { argv: [program, ...(args.length > 0 ? args : defaults)] }
}

function environment(entries: readonly string[]): Record<string, string> {
  const out: Record<string, string> = {}
  for (const entry of entries) {
    const at = entry.indexOf('=')
    if (at < 1) throw invalid(`'${entry.slice(0, 100)}' of its environment is no NAME=VALUE`)
    const name = entry.slice(0, at)
    // What the agent says, an image may not say in its place.
    if (!/^(LIBPROCESS|MESOS)_/.test(name)) out[name] = entry.slice(at + 1)
  }
  return out
}

const invalid = (why: string): UserError =>
  new UserError('invalid_value', `the image cannot be run: ${why}`)
