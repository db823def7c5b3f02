// Makes root file systems of images for containers, and removes them. One of the few files that may touch the world.
//
//   <work_dir>/provisioner/
//   ├── containers/<container id>/
//   │   ├── image.json                              how the image is run
//   │   └── backends/
//   │       ├── overlay/
//   │       │   ├── rootfses/0/                     where the container's init mounts it
//   │       │   └── scratch/0/{upper,work,links}    what the container writes; links to the layers, the topmost is 0
//   │       └── copy/rootfses/0/                    the layers, copied one upon the other
//   └── trash/
//
// overlayfs is mounted by the container's own init in its own mount namespace. So the machine never sees it, and there is nothing to be
// unmounted, whoever dies when: the kernel does that when the container's last process is gone. What is left are directories, and
// they are found by the next agent.

import { chmodSync } from 'node:fs'
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import * as v from 'valibot'
import { assert } from '../../base/assert.ts'
import { messageOf, UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import type { Secret } from '../../messages/values.ts'
import type { Image } from '../../messages/volume.ts'
import type { Overlay } from '../containerizer/container.ts'
import { makeDirectories } from '../make-directories.ts'
import { whyNoPathSegment } from '../paths.ts'
import { Trash } from './commands.ts'
import { copyLayers } from './copy-layers.ts'
import { type Backend, BACKENDS } from './flags.ts'
import { type RuntimeConfig, StoredRuntime } from './image-config.ts'
import { parseReference } from './reference.ts'
import type { ImageStore, StoredImage } from './store.ts'

export interface ImageProvisionerOptions {
  readonly directory: string
  readonly backend: Backend
  /** Absent: this agent uses no images. It still removes what one before it left. */
  readonly store?: ImageStore
  /** Ends the watch over the disk. */
  readonly stopWatch?: () => void
  readonly programs: { readonly cp: string; readonly rm: string }
  readonly log: Logger
}

/** As in `ContainerConfig`. */
export interface Provisioned {
  readonly rootfs: string
  readonly overlay?: Overlay
  readonly image: RuntimeConfig
}

/** One root file system each. */
const ROOT = '0'
const OVERLAY = { lower: 'links', upper: 'upper', work: 'work' }
const MODE = 0o755

export class ImageProvisioner {
  readonly #o: ImageProvisionerOptions
  readonly #trash: Trash
  /** Containers that have something here, and the layers that are held for them. */
  readonly #containers = new Map<string, readonly string[]>()
  /** Those that wait for their image. */
  readonly #waiting = new Map<string, AbortController>()

  constructor(options: ImageProvisionerOptions) {
    this.#o = options
    makeDirectories(`${options.directory}/containers`)
    // An image may have programs that run as root whoever starts them: nobody but who has the image as root is to find them.
    chmodSync(options.directory, 0o700)
    this.#trash = new Trash(`${options.directory}/trash`, options.programs.rm, error =>
      options.log.warn({ error }, 'a root file system could not be removed'),
    )
  }

  /**
   * To be called once, before anything is provisioned: these containers go on, what is left of others is removed. Resolves with
   * the root file systems of those that have one.
   */
  async recover(known: ReadonlySet<string>): Promise<ReadonlyMap<string, Provisioned>> {
    const { directory, store, log } = this.#o
    const roots = new Map<string, Provisioned>()
    for (const id of await readdir(`${directory}/containers`)) {
      const layers = await this.#layersOf(id)
      store?.hold(layers)
      this.#containers.set(id, layers)
      if (known.has(id)) {
        const root = await this.#provisioned(id)
        if (root) roots.set(id, root)
        continue
      }
      log.info({ container: id }, 'removing the root file system of a container that is gone')
      await this.destroy(id)
    }
    return roots
  }

  /** Rejects with a `UserError` if there is no such image, or none that can be used. `destroy` is to be called in any case. */
  async provision(containerId: string, image: Image): Promise<Provisioned> {
    const { store, backend, log } = this.#o
    assert(whyNoPathSegment(containerId) === undefined, 'ids are checked before')
    if (!store || image.type !== 'DOCKER' || !image.docker) {
      throw new UserError('not_implemented', `this agent has no images of type ${image.type}`)
    }
    const { name } = image.docker
    const { layers, config } = await this.#fetched(store, containerId, image)
    this.#containers.set(containerId, layers)
    const top = `${this.#directory(containerId)}/backends/${backend}`
    const rootfs = this.#rootfs(containerId, backend)
    await mkdir(rootfs, { recursive: true })
    await chmod(rootfs, MODE)
    await writeFile(this.#imagePath(containerId), JSON.stringify(config))
    if (config.user !== '') {
      const fields = { container: containerId, image: name, user: config.user }
      log.warn(
        fields,
        'the user that an image names is not used: it is the framework that says who runs',
      )
    }
    if (backend === 'overlay') {
      const overlay = await this.#overlay(`${top}/scratch/${ROOT}`, layers)
      return { rootfs, image: config, overlay }
    }
    const copied = layers.map(async digest => ({
      path: store.layerPath(digest),
      ...(await store.marks(digest)),
    }))
    await copyLayers(await Promise.all(copied), rootfs, `${top}/aside`, this.#o.programs)
    return { rootfs, image: config }
  }

  /** The container is not to be launched any more: its image is not waited for. */
  abandon(containerId: string): void {
    this.#waiting.get(containerId)?.abort()
  }

  async #fetched(store: ImageStore, containerId: string, image: Image): Promise<StoredImage> {
    const { name, config: secret, credential } = image.docker!
    if (credential) {
      throw new UserError(
        'not_implemented',
        "an image's 'credential' is not known: it has 'config'",
      )
    }
    const config = secret && configOf(secret)
    const abandoned = new AbortController()
    this.#waiting.set(containerId, abandoned)
    try {
      const { signal } = abandoned
      const mayBeKnown = image.cached ?? true
      return await store.get(parseReference(name), { mayBeKnown, signal, config })
    } finally {
      this.#waiting.delete(containerId)
    }
  }

  /** The container is no more. Resolves when nothing of it is where containers are. */
  async destroy(containerId: string): Promise<void> {
    const layers = this.#containers.get(containerId)
    if (!layers) return
    await this.#trash.take(this.#directory(containerId))
    this.#containers.delete(containerId)
    this.#o.store?.release(layers)
  }

  async close(): Promise<void> {
    this.#o.stopWatch?.()
    await this.#trash.emptied()
    await this.#o.store?.close()
  }

  #directory(containerId: string): string {
    return `${this.#o.directory}/containers/${containerId}`
  }

  /** What an agent before this one made. */
  async #provisioned(containerId: string): Promise<Provisioned | undefined> {
    try {
      const text = await readFile(this.#imagePath(containerId), 'utf8')
      const image = v.parse(StoredRuntime, JSON.parse(text))
      for (const backend of BACKENDS) {
        const rootfs = this.#rootfs(containerId, backend)
        if (await stat(rootfs).catch(() => undefined)) return { rootfs, image }
      }
    } catch (error) {
      const fields = { container: containerId, error: messageOf(error) }
      this.#o.log.warn(fields, 'what image a container has cannot be read')
    }
    return undefined
  }

  #imagePath(containerId: string): string {
    return `${this.#directory(containerId)}/image.json`
  }

  #rootfs(containerId: string, backend: Backend): string {
    return `${this.#directory(containerId)}/backends/${backend}/rootfses/${ROOT}`
  }

  /** mount(2) takes a page of options: layers have short names, relative to a directory that is gone to first. */
  async #overlay(scratch: string, layers: readonly string[]): Promise<Overlay> {
    const directory = `${scratch}/${OVERLAY.lower}`
    for (const name of Object.values(OVERLAY))
      await mkdir(`${scratch}/${name}`, { recursive: true })
    await chmod(`${scratch}/${OVERLAY.upper}`, MODE)
    const topmostFirst = layers.toReversed()
    for (const [index, digest] of topmostFirst.entries()) {
      await symlink(this.#o.store!.layerPath(digest), `${directory}/${index}`)
    }
    const lower = topmostFirst.map((_, index) => index).join(':')
    const options = `lowerdir=${lower},upperdir=../${OVERLAY.upper},workdir=../${OVERLAY.work}`
    return { directory, options }
  }

  /** Those that a container of an agent before this one is mounted from. A copy needs none. */
  async #layersOf(containerId: string): Promise<string[]> {
    const links = `${this.#directory(containerId)}/backends/overlay/scratch/${ROOT}/${OVERLAY.lower}`
    const names = await readdir(links).catch(() => [])
    const targets = await Promise.all(names.map(name => readlink(`${links}/${name}`)))
    return targets.flatMap(target => {
      const [, digest] = /\/([0-9a-f]{64})\/rootfs$/.exec(target) ?? []
      return digest === undefined ? [] : [`sha256:${digest}`]
    })
  }
}

/** The text of a config.json of Docker's. */
function configOf({ value }: Secret): unknown {
  if (!value) {
    throw new UserError(
      'not_implemented',
      "the image's credentials are a reference to a secret, and this agent resolves none",
    )
  }
  try {
    return JSON.parse(Buffer.from(value.data, 'base64').toString())
  } catch {
    throw new UserError('invalid_value', "the image's credentials are no JSON")
  }
}
