// The `data` fields of messages between schedulers and executors.

import { textToBase64, toBase64 } from '../base/base64.ts'

/** Bytes, or the UTF-8 of a text, as base64. */
export function encodeData(data: Uint8Array | string): string {
  return typeof data === 'string' ? textToBase64(data) : toBase64(data)
}
