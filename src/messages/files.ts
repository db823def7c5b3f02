// Looking at files through an actor `files`: a master's log, tasks' sandboxes (Mesos: /files/browse, /files/read).

import * as v from 'valibot'
import { call, protocol } from '../actors/protocol.ts'
import { double, integer, message, oneOf, optional, text, unsigned, variant } from './schema.ts'

/**
 * Why nothing is shown, as HTTP would say it: `BAD_REQUEST` (400: no path, a directory to read, a file to browse),
 * `FORBIDDEN` (403), `NOT_FOUND` (404: no such path, or one that leaves what is attached).
 */
const Failure = message({
  ok: v.literal(false),
  code: oneOf(['NOT_FOUND', 'BAD_REQUEST', 'FORBIDDEN']),
  message: text,
})

/** One entry of a directory. `mode` as ls(1) prints it (`-rw-r--r--`), `mtime` in seconds since the epoch. */
export const FileInfo = message({
  /** The virtual path: what to browse or read next. */
  path: text,
  size: unsigned,
  nlink: unsigned,
  mtime: double,
  mode: text,
  uid: text,
  gid: text,
})
export type FileInfo = v.InferOutput<typeof FileInfo>

/** Asked by the dashboard and the CLI: what is in this directory? `path` is virtual: attached name, then the rest. */
export const BrowseRequest = message({ path: text })
export type BrowseRequest = v.InferOutput<typeof BrowseRequest>

/** Entries sorted by path; not recursive. */
export const BrowseResponse = variant('ok', [
  message({ ok: v.literal(true), files: v.array(FileInfo) }),
  Failure,
])
export type BrowseResponse = v.InferOutput<typeof BrowseResponse>

/** At most this many bytes are answered to one read, whatever was asked: 16 pages. */
export const MAX_READ_BYTES = 64 * 1024

/** How bytes are made text: as they are meant, or so that none is lost. */
export const ENCODINGS = ['utf8', 'base64'] as const

/** Of `?encoding=`; undefined if it is none. */
export function parseEncoding(given: string | null): (typeof ENCODINGS)[number] | undefined {
  return ENCODINGS.find(encoding => encoding === (given ?? 'utf8'))
}

export const BAD_ENCODING = `Failed to parse encoding: it must be one of ${ENCODINGS.join(', ')}.\n`

/**
 * Asked by the dashboard and the CLI: what is in this file, from `offset` (bytes)? `offset` -1 asks for the length
 * only. `length` absent or -1 means to the end; either way MAX_READ_BYTES is the most. `encoding` absent means `utf8`.
 */
export const ReadRequest = message({
  path: text,
  offset: integer,
  length: optional(integer),
  encoding: optional(oneOf(ENCODINGS)),
})
export type ReadRequest = v.InferOutput<typeof ReadRequest>

/**
 * `offset`: where `data` begins; to a request with -1 the file's length, `data` empty. At or past the end `data` is
 * empty. `data` is in the encoding that was asked for: in `utf8` bytes that are none come as U+FFFD, so its length says
 * nothing about bytes. A reader goes on at offset + min(what it asked for, MAX_READ_BYTES), or at `total` (the file's length
 * now) if that is less.
 */
export const ReadResponse = variant('ok', [
  message({ ok: v.literal(true), offset: unsigned, data: text, total: optional(unsigned) }),
  Failure,
])
export type ReadResponse = v.InferOutput<typeof ReadResponse>

/** Served by the actor `files` of a master or an agent. */
export const Files = protocol('files', {
  browse: call(BrowseRequest, BrowseResponse),
  read: call(ReadRequest, ReadResponse),
})
