// Images of registries that speak the Docker Registry HTTP API V2, which is OCI's too.

import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { UserError } from '../../base/errors.ts'
import { type Descriptor, followManifests, type Manifest, MAX_JSON } from './manifest.ts'
import { type Reference, referenceText } from './reference.ts'
import { type Credentials, credentialsFor } from './registry-auth.ts'
import { LIMITS, RegistryClient, type RegistryLimits } from './registry-client.ts'
import { type Remote, remoteOf } from './registry-url.ts'
import type { ImageSource, Registry } from './source.ts'

/** Of a layer as it is sent, whatever its manifest says. */
const MAX_LAYER = 32 * 2 ** 30

const MANIFESTS = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

export interface HttpRegistryOptions {
  /** `--docker_registry`. */
  readonly url: string
  /** `--docker_config`. */
  readonly config?: unknown
  readonly limits?: RegistryLimits
}

export function httpRegistry({ url, config = {}, limits = LIMITS }: HttpRegistryOptions): Registry {
  return {
    name: url,
    find: (reference, { stop, config: own }) => {
      const remote = remoteOf(reference, url)
      const credentials = credentialsIn([own, config], remote)
      const client = new RegistryClient({ remote, credentials, limits, stop })
      return Promise.resolve(new RegistryImage(client, remote, reference))
    },
  }
}

/** Those of the image count before those of the agent. */
function credentialsIn(configs: readonly unknown[], { host }: Remote): Credentials | undefined {
  for (const config of configs) {
    const found = config === undefined ? undefined : credentialsFor(config, host)
    if (found !== undefined) return found
  }
  return undefined
}

class RegistryImage implements ImageSource {
  readonly #client: RegistryClient
  readonly #remote: Remote
  readonly #reference: Reference
  /** How long its layers are. */
  readonly #sizes = new Map<string, number>()

  constructor(client: RegistryClient, remote: Remote, reference: Reference) {
    this.#client = client
    this.#remote = remote
    this.#reference = reference
  }

  async manifest(architecture: string): Promise<Manifest> {
    const { version } = this.#remote
    const first = await this.#client.read(`manifests/${version}`, MANIFESTS, MAX_JSON)
    const { digest } = this.#reference
    if (digest !== undefined) this.#check(first, digest)
    return followManifests({
      first,
      name: `manifests/${version}`,
      reference: this.#reference,
      architecture,
      get: (descriptor, kind) => this.#get(descriptor, kind),
      layer: ({ digest: file, size = MAX_LAYER }) => {
        this.#sizes.set(file, Math.min(size, MAX_LAYER))
        return file
      },
    })
  }

  async stream(digest: string): Promise<Readable> {
    const size = this.#sizes.get(digest) ?? MAX_LAYER
    return this.#client.stream(`blobs/${digest}`, digest, size)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  async #get({ digest }: Descriptor, kind: 'manifest' | 'config'): Promise<Buffer> {
    const bytes =
      kind === 'manifest'
        ? await this.#client.read(`manifests/${digest}`, MANIFESTS, MAX_JSON)
        : await this.#client.read(`blobs/${digest}`, '*/*', MAX_JSON)
    this.#check(bytes, digest)
    return bytes
  }

  #check(bytes: Buffer, digest: string): void {
    if (`sha256:${createHash('sha256').update(bytes).digest('hex')}` === digest) return
    const what = `of the image '${referenceText(this.#reference)}'`
    throw new UserError('data_damaged', `what the registry sent ${what} is not '${digest}'`)
  }
}
