// The images that were fetched: layers, each unpacked once under its digest, and which of them an image has. One of the few
// files that may touch the world.
//
//   <docker_store_dir>/
//   ├── images/<sha256 of the name>.json    what an image is made of
//   ├── layers/<style>/<digest>/
//   │   ├── rootfs/                         the files
//   │   └── marks.json                      what it removes of those below
//   ├── staging/                            layers that are not yet whole
//   └── trash/                              what is being removed
//
// A layer counts when it has its name in `layers`, which it gets when it is unpacked, compared with its digest, and on the disk. What
// an agent that died was at lies in `staging`, and is thrown away. Nobody else writes here: the directory is locked.

import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import * as v from 'valibot'
import { messageOf, UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import { lockDirectory } from '../../log/lock-file.ts'
import { SystemDisk } from '../checkpoint/system-disk.ts'
import { makeDirectories } from '../make-directories.ts'
import { run, Trash } from './commands.ts'
import { type RuntimeConfig, StoredRuntime } from './image-config.ts'
import type { LayerLimits, Marks, MarkStyle } from './layer-entries.ts'
import type { Architecture, Layer } from './manifest.ts'
import { DIGEST, type Reference, referenceText } from './reference.ts'
import type { Asking, ImageSource, Registry } from './source.ts'
import { unpackLayer } from './unpack.ts'

/** Of a layer. Larger images than any that are of use, and small enough for a disk. */
const LIMITS: LayerLimits = { entries: 500_000, bytes: 32 * 2 ** 30 }

/** Layers that are unpacked at a time: more would not be faster, and each has a process. */
const MAX_UNPACKING = 4

const text = v.string()
const StoredImage = v.object({
  name: text,
  layers: v.array(v.pipe(text, v.regex(DIGEST))),
  config: StoredRuntime,
})

/** An image whose layers are all there, the lowest first. */
export interface StoredImage {
  readonly name: string
  readonly layers: readonly string[]
  readonly config: RuntimeConfig
}

export interface ImageStoreOptions {
  readonly directory: string
  /** `--docker_registry`. */
  readonly registry: Registry
  readonly style: MarkStyle
  readonly architecture: Architecture
  readonly programs: { readonly tar: string; readonly sync: string; readonly rm: string }
  readonly log: Logger
}

/** One image on its way, however many wait for it. */
interface Pull {
  readonly done: Promise<StoredImage>
  readonly held: string[]
  readonly stop: AbortController
  waiters: number
}

/** Of who asks for an image. */
export interface Wish {
  /** The one that is known will do. Default. */
  readonly mayBeKnown?: boolean
  /** It is not wanted any more. */
  readonly signal?: AbortSignal
  /** Credentials of its own: a config.json of Docker's. */
  readonly config?: unknown
}

export class ImageStore {
  readonly #o: ImageStoreOptions
  readonly #disk: SystemDisk
  readonly #trash: Trash
  readonly #images = new Map<string, StoredImage>()
  readonly #layers = new Set<string>()
  readonly #pulls = new Map<string, Pull>()
  readonly #unpackings = new Map<string, Promise<void>>()
  /** How many need a layer: it is not to go. */
  readonly #held = new Map<string, number>()
  #staged = 0
  #unpacking = 0
  readonly #waiting: (() => void)[] = []
  #release: () => void = () => {}

  private constructor(options: ImageStoreOptions) {
    const { directory, programs, log } = options
    this.#o = options
    this.#trash = new Trash(`${directory}/trash`, programs.rm, error =>
      log.warn({ error }, 'what is no longer needed of images could not be removed'),
    )
    this.#disk = new SystemDisk(`${directory}/trash`)
  }

  /** Rejects with a `UserError` if the directory is another agent's, or cannot be read. */
  static async open(options: ImageStoreOptions): Promise<ImageStore> {
    const { directory, style } = options
    makeDirectories(directory)
    const lock = await lockDirectory(directory)
    try {
      const store = new ImageStore(options)
      store.#release = () => lock.release()
      makeDirectories(`${directory}/images`)
      makeDirectories(`${directory}/layers/${style}`)
      await store.#trash.take(`${directory}/staging`)
      makeDirectories(`${directory}/staging`)
      // An image may have programs that run as root whoever starts them: nobody is to find them here.
      for (const name of ['layers', 'staging', 'trash']) await chmod(`${directory}/${name}`, 0o700)
      await store.#recover()
      return store
    } catch (error) {
      lock.release()
      throw error
    }
  }

  /** Those that are known. */
  get images(): readonly StoredImage[] {
    return [...this.#images.values()]
  }

  /** Where the files of a layer are. */
  layerPath(digest: string): string {
    return `${this.#layer(digest)}/rootfs`
  }

  async marks(digest: string): Promise<Marks> {
    const json: unknown = JSON.parse(await readFile(`${this.#layer(digest)}/marks.json`, 'utf8'))
    return v.parse(v.object({ whiteouts: v.array(text), opaques: v.array(text) }), json)
  }

  /**
   * The image of this name: the one that is known, if that will do, or else what the registry has. Its layers are held for whoever
   * asked, who is to release them. When nobody waits for it any more, it is not fetched any further.
   */
  async get(reference: Reference, wish: Wish = {}): Promise<StoredImage> {
    const { mayBeKnown = true, signal, config } = wish
    const name = referenceText(reference)
    const known = mayBeKnown ? this.#images.get(name) : undefined
    if (known) {
      this.hold(known.layers)
      return known
    }
    // What one may have with his credentials is not another one's to wait for.
    const key = config === undefined ? name : `${name} ${JSON.stringify(config)}`
    let pull = this.#pulls.get(key)
    // One that was given up is of no use.
    if (!pull || pull.stop.signal.aborted) {
      const held: string[] = []
      const stop = new AbortController()
      const done = this.#pull(reference, held, { stop: stop.signal, config })
      pull = { done, held, stop, waiters: 0 }
      this.#pulls.set(key, pull)
      const forget = (): void => {
        if (this.#pulls.get(key)?.done === done) this.#pulls.delete(key)
      }
      done.then(forget, forget)
    }
    pull.waiters++
    try {
      const image = await unless(pull.done, signal)
      this.hold(image.layers)
      return image
    } finally {
      if (--pull.waiters === 0) {
        const { held, stop, done } = pull
        stop.abort()
        const release = (): void => this.release(held)
        done.then(release, release)
      }
    }
  }

  hold(layers: readonly string[]): void {
    for (const digest of layers) this.#held.set(digest, (this.#held.get(digest) ?? 0) + 1)
  }

  release(layers: readonly string[]): void {
    for (const digest of layers) {
      const left = (this.#held.get(digest) ?? 0) - 1
      if (left > 0) this.#held.set(digest, left)
      else this.#held.delete(digest)
    }
  }

  /** Forgets images but for these, and removes the layers that neither they nor anybody else needs. Resolves with how many. */
  async prune(kept: ReadonlySet<string>): Promise<number> {
    const forgotten = this.images.filter(({ name }) => !kept.has(name))
    for (const { name } of forgotten) this.#images.delete(name)
    const needed = new Set(this.images.flatMap(({ layers }) => layers))
    const doomed = [...this.#layers].filter(
      digest => !needed.has(digest) && !this.#held.has(digest),
    )
    // From here on nobody gets one of them: whoever wants it waits until it is gone, and unpacks it again.
    const removals = doomed.map(digest => {
      this.#layers.delete(digest)
      return this.#once(digest, () => this.#trash.take(this.#layer(digest)))
    })
    for (const { name } of forgotten) {
      if (!this.#images.has(name)) await this.#disk.remove(this.#record(name))
    }
    await Promise.all(removals)
    return doomed.length
  }

  async close(): Promise<void> {
    for (const { stop } of this.#pulls.values()) stop.abort()
    await this.#trash.emptied()
    this.#release()
  }

  #layer(digest: string): string {
    return `${this.#o.directory}/layers/${this.#o.style}/${digest.replace('sha256:', '')}`
  }

  #record(name: string): string {
    const mark = createHash('sha256').update(name).digest('hex')
    return `${this.#o.directory}/images/${mark}.json`
  }

  async #recover(): Promise<void> {
    const { directory, style, log } = this.#o
    for (const name of await readdir(`${directory}/layers/${style}`)) {
      this.#layers.add(`sha256:${name}`)
    }
    for (const file of await readdir(`${directory}/images`)) {
      const path = `${directory}/images/${file}`
      try {
        const image = v.parse(StoredImage, JSON.parse(await readFile(path, 'utf8')))
        if (image.layers.every(digest => this.#layers.has(digest))) {
          this.#images.set(image.name, image)
          continue
        }
      } catch (error) {
        log.warn({ path, error: messageOf(error) }, 'what is known of an image cannot be read')
      }
      await this.#disk.remove(path)
    }
  }

  /** Every layer is in `held` from before it is looked for. */
  async #pull(reference: Reference, held: string[], asking: Asking): Promise<StoredImage> {
    const { registry, architecture, log } = this.#o
    const name = referenceText(reference)
    const failed = new AbortController()
    const stop = AbortSignal.any([asking.stop, failed.signal])
    const source = await registry.find(reference, { ...asking, stop })
    if (!source) {
      throw new UserError('not_found', `there is no image '${name}' in '${registry.name}'`)
    }
    try {
      const { config, layers } = await source.manifest(architecture)
      held.push(...layers.map(layer => layer.diffId))
      this.hold(held)
      await allOrFirst(
        layers.map(layer => this.#fetch(source, layer, stop)),
        () => failed.abort(),
      )
      const image = { name, layers: held.slice(), config }
      await this.#disk.write(this.#record(name), `${JSON.stringify(image)}\n`, { durable: true })
      this.#images.set(name, image)
      log.info({ image: name, layers: layers.length }, 'an image is in the store')
      return image
    } finally {
      await source.close()
    }
  }

  /** Who comes while it is being unpacked, or removed, waits for that. Should it fail, the next one tries himself. */
  async #fetch(source: ImageSource, layer: Layer, stop: AbortSignal): Promise<void> {
    for (;;) {
      if (this.#layers.has(layer.diffId)) return
      if (stop.aborted) throw new UserError('unavailable', 'It is not wanted any more.')
      const other = this.#unpackings.get(layer.diffId)
      if (!other) return this.#once(layer.diffId, () => this.#inTurn(source, layer))
      await other.catch(() => {})
    }
  }

  #once(digest: string, act: () => Promise<void>): Promise<void> {
    const done = act().finally(() => this.#unpackings.delete(digest))
    this.#unpackings.set(digest, done)
    done.catch((error: unknown) => {
      this.#o.log.warn({ layer: digest, error: messageOf(error) }, 'a layer is not in the store')
    })
    return done
  }

  async #inTurn(source: ImageSource, layer: Layer): Promise<void> {
    if (this.#unpacking === MAX_UNPACKING) {
      // Whoever is done hands on his place.
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    } else this.#unpacking++
    try {
      await this.#unpack(source, layer)
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#unpacking--
    }
  }

  async #unpack(source: ImageSource, { file, diffId }: Layer): Promise<void> {
    const { directory, style, programs, log } = this.#o
    const staged = `${directory}/staging/${process.pid}.${this.#staged++}`
    try {
      await mkdir(`${staged}/rootfs`, { recursive: true, mode: 0o755 })
      const archive = await source.stream(file)
      if (!archive)
        throw new UserError('not_found', `the image has no file '${file.slice(0, 200)}'`)
      const { digest, marks, devices } = await unpackLayer(archive, {
        tar: programs.tar,
        directory: `${staged}/rootfs`,
        style,
        limits: LIMITS,
      })
      if (digest !== diffId) {
        throw new UserError('invalid_value', `a layer of the image is ${digest}, and not ${diffId}`)
      }
      if (devices > 0) log.info({ layer: diffId, devices }, 'devices in an image are left out')
      await writeFile(`${staged}/marks.json`, JSON.stringify(marks))
      // Else a loss of power could leave a layer that looks whole.
      await run(programs.sync, '-f', staged)
      await rename(staged, this.#layer(diffId))
      this.#layers.add(diffId)
    } catch (error) {
      await this.#trash.take(staged)
      throw error
    }
  }
}

/** The first failure is the result, when all have ended; `failed` may hasten that. */
async function allOrFirst(all: readonly Promise<void>[], failed: () => void): Promise<void> {
  try {
    await Promise.all(all)
  } catch (error) {
    failed()
    await Promise.allSettled(all)
    throw error
  }
}

/** As the promise does, or rejects when it is not wanted any more. */
async function unless<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  let stop = (): void => {}
  const unwanted = new Promise<never>((_, reject) => {
    stop = () => reject(new UserError('unavailable', 'It is not wanted any more.'))
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
  })
  try {
    return await Promise.race([promise, unwanted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
