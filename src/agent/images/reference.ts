// Names of images, as frameworks give them: `[host[:port]/]name[:tag]` or `…@sha256:digest`. Nothing of a name that
// passes here can lead out of the directory that images are looked for in.

import { UserError } from '../../base/errors.ts'

export interface Reference {
  /** With the registry's host before it, if one was given. Parts between slashes. */
  readonly name: string
  readonly tag?: string
  /** `sha256:` and 64 digits, of the image's manifest. */
  readonly digest?: string
}

const DEFAULT_TAG = 'latest'
const MAX_NAME = 255

/** Begins with a letter or digit: neither `.` nor `..` is one. */
const PART = /^[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*$/
const HOST = /^[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*(?::\d{1,5})?$/
const TAG = /^\w[\w.-]{0,127}$/
export const DIGEST = /^sha256:[0-9a-f]{64}$/

/** Throws a `UserError` if it is no name of an image. */
export function parseReference(text: string): Reference {
  const [whole = '', digest, ...more] = text.split('@')
  if (more.length > 0) throw invalid(text, "has more than one '@'")
  if (digest !== undefined && !DIGEST.test(digest)) {
    throw invalid(text, `has a digest that is not 'sha256:' and 64 hexadecimal digits`)
  }
  // A colon before the last slash is that of a port.
  const at = whole.indexOf(':', whole.lastIndexOf('/') + 1)
  const name = at === -1 ? whole : whole.slice(0, at)
  const tag = at === -1 ? undefined : whole.slice(at + 1)
  if (tag !== undefined && !TAG.test(tag)) throw invalid(text, `has a tag that is none`)
  const parts = name.split('/')
  const isFine = parts.every((part, i) => (i === 0 && parts.length > 1 ? HOST : PART).test(part))
  if (!isFine || name.length > MAX_NAME) throw invalid(text, 'is no name of an image')
  // What a digest says, a tag cannot change.
  return digest === undefined ? { name, tag: tag ?? DEFAULT_TAG } : { name, digest }
}

/** The one text of all that mean the same image. */
export const referenceText = ({ name, tag, digest }: Reference): string =>
  digest === undefined ? `${name}:${tag}` : `${name}@${digest}`

const invalid = (text: string, why: string): UserError =>
  new UserError('invalid_value', `the image '${text.slice(0, MAX_NAME)}' ${why}`)
