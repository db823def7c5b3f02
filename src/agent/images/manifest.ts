// How an archive of an image says what belongs to it: `manifest.json` of `docker save`, or the index of an OCI image layout. Each
// is outside data. What a digest names is compared with it, here or when a layer is unpacked.

import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { UserError } from '../../base/errors.ts'
import { ImageConfig, type RuntimeConfig, runtimeConfig } from './image-config.ts'
import { DIGEST, type Reference, referenceText } from './reference.ts'

/** Of a JSON file of an image. */
export const MAX_JSON = 4 * 2 ** 20
const MAX_LAYERS = 127
/** An index may lead to one for each platform. */
const MAX_DEPTH = 4

/** The files of an archive or directory, by their names in it. */
export interface ImageFiles {
  /** Undefined: there is none. Rejects if it is larger. */
  read(name: string, maxBytes: number): Promise<Buffer | undefined>
}

export interface Layer {
  /** Its archive's name. */
  readonly file: string
  /** `sha256:…` of the archive, when it is no longer compressed. */
  readonly diffId: string
}

export interface Manifest {
  readonly config: RuntimeConfig
  /** The lowest first. */
  readonly layers: readonly Layer[]
}

const name = v.pipe(v.string(), v.regex(/^[^\0]{1,1024}$/))

const DockerManifest = v.array(
  v.object({
    Config: name,
    RepoTags: v.nullish(v.array(v.string()), []),
    Layers: v.pipe(v.array(name), v.maxLength(MAX_LAYERS)),
  }),
)

const digest = v.pipe(v.string(), v.regex(DIGEST, 'it is no sha256 digest'))

const Descriptor = v.object({
  mediaType: v.optional(v.string(), ''),
  digest,
  size: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
  annotations: v.nullish(v.record(v.string(), v.string())),
  platform: v.nullish(
    v.object({
      os: v.optional(v.string()),
      architecture: v.optional(v.string()),
      variant: v.optional(v.string()),
    }),
  ),
})
export type Descriptor = v.InferOutput<typeof Descriptor>

const Index = v.object({ manifests: v.array(Descriptor) })

const OciManifest = v.object({
  config: Descriptor,
  layers: v.pipe(v.array(Descriptor), v.maxLength(MAX_LAYERS)),
})

const OldManifest = v.object({ fsLayers: v.array(v.unknown()) })

/** In the words of images. */
export type Architecture = string

/** Rejects with a `UserError` if that image is not in these files, or if they do not say the truth. */
export async function readManifest(
  files: ImageFiles,
  reference: Reference,
  architecture: Architecture,
): Promise<Manifest> {
  const index = await files.read('index.json', MAX_JSON)
  const docker = await files.read('manifest.json', MAX_JSON)
  // Only what OCI's index names has a digest of its manifest; else the archive of docker(1) is the simpler one.
  if (reference.digest !== undefined || !docker) {
    if (index) return ofIndex(files, parse(Index, index, 'index.json'), reference, architecture)
    const what = docker ? 'has no digests of manifests' : 'is no archive of an image'
    throw bad(reference, `what is there ${what}: it has no index.json`)
  }
  return ofDocker(files, parse(DockerManifest, docker, 'manifest.json'), reference)
}

async function ofDocker(
  files: ImageFiles,
  images: v.InferOutput<typeof DockerManifest>,
  reference: Reference,
): Promise<Manifest> {
  const wanted = referenceText(reference)
  // An archive of one image is that image, whatever it was called when it was saved.
  const image =
    images.length === 1 ? images[0] : images.find(each => each.RepoTags?.includes(wanted))
  if (!image) throw bad(reference, 'the archive holds several images, and none of this name')
  const text = await needed(files, image.Config, reference)
  const config = parse(ImageConfig, text, image.Config)
  return manifest(config, image.Layers, reference)
}

async function ofIndex(
  files: ImageFiles,
  index: v.InferOutput<typeof Index>,
  reference: Reference,
  architecture: Architecture,
): Promise<Manifest> {
  const found = chosen(index.manifests, reference)
  return followManifests({
    first: await blob(files, found.digest, reference),
    name: found.digest,
    reference,
    architecture,
    get: each => blob(files, each.digest, reference),
    layer: each => blobName(each.digest),
  })
}

export interface Following {
  /** A manifest, or an index of some. */
  readonly first: Buffer
  readonly name: string
  readonly reference: Reference
  readonly architecture: Architecture
  /** What is named by a digest, and has it. */
  readonly get: (descriptor: Descriptor, kind: 'manifest' | 'config') => Promise<Buffer>
  /** The name of a layer's file. */
  readonly layer: (descriptor: Descriptor) => string
}

/** From index to index to the manifest for this machine, and what it says. */
export async function followManifests(following: Following): Promise<Manifest> {
  const { reference, architecture, get, layer } = following
  let { first: text, name } = following
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const json = parse(v.union([Index, OciManifest, OldManifest]), text, name)
    if ('fsLayers' in json) throw bad(reference, 'its manifest is of schema 1, which is not read')
    if ('layers' in json) {
      const config = parse(ImageConfig, await get(json.config, 'config'), 'config')
      return manifest(config, json.layers.map(layer), reference)
    }
    const [ours] = json.manifests.filter(({ platform }) => runsHere(platform, architecture))
    if (!ours) throw bad(reference, `it has no manifest for linux/${architecture}`)
    text = await get(ours, 'manifest')
    name = ours.digest
  }
  throw bad(reference, 'its indices lead to one another')
}

const TAG_ANNOTATIONS = ['io.containerd.image.name', 'org.opencontainers.image.ref.name']

function chosen(manifests: readonly Descriptor[], reference: Reference): Descriptor {
  if (reference.digest !== undefined) {
    const found = manifests.find(each => each.digest === reference.digest)
    if (found) return found
    throw bad(reference, 'its index has no manifest of this digest')
  }
  const names = [referenceText(reference), reference.tag ?? '']
  for (const key of TAG_ANNOTATIONS) {
    const found = manifests.find(each => names.includes(each.annotations?.[key] ?? ''))
    if (found) return found
  }
  if (manifests.length === 1) return manifests[0]!
  throw bad(reference, 'its index holds several manifests, and none of this name')
}

const runsHere = (platform: Descriptor['platform'], architecture: string): boolean =>
  !platform || (platform.os === 'linux' && platform.architecture === architecture)

function manifest(
  config: v.InferOutput<typeof ImageConfig>,
  files: readonly string[],
  reference: Reference,
): Manifest {
  const { diff_ids: ids } = config.rootfs
  if (ids.length !== files.length) {
    throw bad(reference, `it has ${files.length} layers, and digests of ${ids.length}`)
  }
  if (files.length === 0) throw bad(reference, 'it has no layers')
  return {
    config: runtimeConfig(config),
    layers: files.map((file, i) => ({ file, diffId: ids[i]! })),
  }
}

const blobName = (text: string): string => `blobs/${text.replace(':', '/')}`

/** A file that is named by its digest, and has it. */
async function blob(files: ImageFiles, text: string, reference: Reference): Promise<Buffer> {
  const bytes = await needed(files, blobName(text), reference)
  if (`sha256:${createHash('sha256').update(bytes).digest('hex')}` === text) return bytes
  throw bad(reference, `'${blobName(text)}' does not have the digest that it is named by`)
}

async function needed(files: ImageFiles, file: string, reference: Reference): Promise<Buffer> {
  const bytes = await files.read(file, MAX_JSON)
  if (bytes) return bytes
  throw bad(reference, `it has no file '${file.slice(0, 200)}'`)
}

function parse<S extends v.GenericSchema>(
  schema: S,
  bytes: Buffer,
  file: string,
): v.InferOutput<S> {
  let json: unknown
  try {
    json = JSON.parse(bytes.toString())
  } catch {
    throw new UserError('invalid_value', `the image's '${file.slice(0, 200)}' is no JSON`)
  }
  const found = v.safeParse(schema, json)
  if (found.success) return found.output
  const [issue] = found.issues
  const at = v.getDotPath(issue) ?? ''
  throw new UserError(
    'invalid_value',
    `the image's '${file.slice(0, 200)}' is not as it should be at '${at.slice(0, 100)}'`,
  )
}

const bad = (reference: Reference, why: string): UserError =>
  new UserError('invalid_value', `the image '${referenceText(reference)}' cannot be used: ${why}`)
