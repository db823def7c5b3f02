// Bytes as text. In the v1 JSON form every bytes field (`uuid`, `data`) is standard base64 with padding (RFC 4648).

import { Buffer } from 'node:buffer'

const FORM = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/** Whether `text` is base64 that `fromBase64` takes. */
export function isBase64(text: string): boolean {
  return FORM.test(text)
}

/** The bytes, or undefined when `text` is not base64: Node alone would skip what it does not know. */
export function fromBase64(text: string): Uint8Array | undefined {
  return isBase64(text) ? new Uint8Array(Buffer.from(text, 'base64')) : undefined
}

/** UTF-8 text as base64, for `data` fields. */
export function textToBase64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}

/** The UTF-8 text in a `data` field, or undefined when it is not base64. */
export function base64ToText(base64: string): string | undefined {
  return isBase64(base64) ? Buffer.from(base64, 'base64').toString('utf8') : undefined
}

/** The 16 bytes of a `uuid` field in the form people know, `xxxxxxxx-xxxx-…`; undefined when it is not 16 bytes. */
export function base64ToUuid(base64: string): string | undefined {
  const bytes = fromBase64(base64)
  if (bytes?.length !== 16) return undefined
  const hex = Buffer.from(bytes).toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** A UUID in its text form as the base64 of its 16 bytes, for a `uuid` field. */
export function uuidToBase64(uuid: string): string {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex').toString('base64')
}
