// Where images come from: a directory (archive.ts) or registries (registry.ts).

import type { Readable } from 'node:stream'
import type { Manifest } from './manifest.ts'
import type { Reference } from './reference.ts'

export interface ImageSource {
  /** Rejects with a `UserError` if there is no such image, or if it does not say the truth of itself. */
  manifest(architecture: string): Promise<Manifest>
  /** The bytes of a layer's file; undefined: there is none. */
  stream(file: string): Promise<Readable | undefined>
  close(): Promise<void>
}

/** Who asks, and until when. */
export interface Asking {
  /** Gives up. */
  readonly stop: AbortSignal
  /** Credentials of the image's own: a config.json of Docker's. */
  readonly config?: unknown
}

export interface Registry {
  readonly name: string
  /** Undefined: it certainly has no such image. */
  find(reference: Reference, asking: Asking): Promise<ImageSource | undefined>
}
