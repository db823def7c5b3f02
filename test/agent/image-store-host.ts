// Run as a program by image-store.test.ts: an agent's process with a store of images, which is killed while it unpacks one.
// Arguments: a directory, the name of an image, tar(1).

import { fileURLToPath } from 'node:url'
import { directoryRegistry } from '../../src/agent/images/archive.ts'
import { parseReference } from '../../src/agent/images/reference.ts'
import type { Registry } from '../../src/agent/images/source.ts'
import { ImageStore } from '../../src/agent/images/store.ts'
import { silentLogger } from '../../src/base/log.ts'

/** This file, to be given to node. */
export const IMAGE_STORE_HOST = fileURLToPath(import.meta.url)

/** `store` in a directory, of what is in `images` there. */
export const openStore = (
  top: string,
  tar = 'tar',
  style: 'list' | 'overlay' = 'list',
  registry: Registry = directoryRegistry(`${top}/images`),
): Promise<ImageStore> =>
  ImageStore.open({
    directory: `${top}/store`,
    registry,
    style,
    architecture: 'amd64',
    programs: { tar, sync: 'sync', rm: 'rm' },
    log: silentLogger,
  })

if (process.argv[1] === IMAGE_STORE_HOST) {
  const [, , top = '', name = '', tar = ''] = process.argv
  const store = await openStore(top, tar)
  await store.get(parseReference(name))
}
