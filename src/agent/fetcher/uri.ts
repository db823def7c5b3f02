// What a URI of a command means: where it is, what it is called in the sandbox, and whether it is unpacked. Pure.

import { UserError } from '../../base/errors.ts'
import type { CommandURI } from '../../messages/command.ts'

/** Ways to unpack. `gz`: one file. */
export type Packing = 'tar' | 'zip' | 'gz'

export interface Wanted {
  readonly uri: string
  /** On this machine, or by HTTP. */
  readonly source: { readonly path: string } | { readonly url: URL }
  /** Below the sandbox. */
  readonly name: string
  readonly packing: Packing | undefined
  readonly isExecutable: boolean
  /** Others that want the same may use it. */
  readonly cached: boolean
  readonly checksum: Checksum | undefined
}

export interface Checksum {
  readonly algorithm: 'sha256' | 'sha512'
  /** In lower case. */
  readonly hex: string
}

const PACKINGS: readonly (readonly [RegExp, Packing])[] = [
  [/\.(tar|tgz|tbz2|txz|tar\.(gz|bz2|xz))$/, 'tar'],
  [/\.zip$/, 'zip'],
  [/\.gz$/, 'gz'],
]
const HEX_LENGTHS = { sha256: 64, sha512: 128 }

export interface UriContext {
  /** `--frameworks_home`: what relative paths are relative to. */
  readonly home: string | undefined
}

/** Throws a `UserError` that names the URI. */
export function wantedOf(uri: CommandURI, context: UriContext): Wanted {
  const { value, extract = true, executable = false, cache = false, output_file: output } = uri
  const refuse = (why: string): never => {
    throw new UserError('invalid_value', `the URI '${value}' ${why}`)
  }
  if (value === '' || /[\0\\']/.test(value))
    refuse('is empty, or contains a character that none has')
  const source = sourceOf(value, context, refuse)
  const path = 'path' in source ? source.path : decoded(source.url.pathname, refuse)
  const name = output ?? path.slice(path.lastIndexOf('/') + 1)
  const parts = name.split('/')
  if (parts.some(part => part === '' || part === '.' || part === '..') || name.includes('\0')) {
    refuse(
      output === undefined
        ? 'names no file'
        : `is to be called '${output}', which is no path below the sandbox`,
    )
  }
  const packing =
    extract && !executable ? PACKINGS.find(([ending]) => ending.test(path))?.[1] : undefined
  return {
    uri: value,
    source,
    name,
    packing,
    isExecutable: executable,
    cached: cache,
    checksum: uri.checksum === undefined ? undefined : checksumOf(uri.checksum, refuse),
  }
}

type Refuse = (why: string) => never

function sourceOf(value: string, { home }: UriContext, refuse: Refuse): Wanted['source'] {
  if (value.startsWith('/')) return { path: value }
  if (value.startsWith('file://')) {
    const path = value.slice('file://'.length)
    return path.startsWith('/') ? { path } : refuse('has no absolute path')
  }
  const scheme = /^([a-zA-Z][\w+.-]*):/.exec(value)?.[1]?.toLowerCase()
  if (scheme === 'http' || scheme === 'https') {
    try {
      return { url: new URL(value) }
    } catch {
      return refuse('is malformed')
    }
  }
  if (scheme !== undefined) {
    return refuse(`has the scheme '${scheme}'; http, https and file are fetched`)
  }
  if (home === undefined) return refuse('is relative, and the agent has no --frameworks_home')
  return { path: `${home.replace(/\/+$/, '')}/${value}` }
}

function decoded(path: string, refuse: Refuse): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return refuse('is malformed')
  }
}

/** `sha256:` or `sha512:` and hexadecimal digits. */
function checksumOf(text: string, refuse: Refuse): Checksum {
  const [, algorithm, hex = ''] = /^(sha256|sha512):([\da-fA-F]+)$/.exec(text) ?? []
  const known = algorithm as Checksum['algorithm'] | undefined
  if (!known || hex.length !== HEX_LENGTHS[known]) {
    return refuse(`has the checksum '${text}'; sha256: or sha512: and hexadecimal digits make one`)
  }
  return { algorithm: known, hex: hex.toLowerCase() }
}
