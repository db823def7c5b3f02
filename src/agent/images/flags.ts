// The agent's flags about container images, in Mesos' spelling.

import { defineFlags, type FlagValues, flag } from '../../base/flags.ts'
import type { IsolationFlags } from '../containerizer/flags.ts'
import { parseIsolation } from '../containerizer/isolation.ts'
import type { DockerFlags } from '../docker/flags.ts'
import { readGcConfig } from './garbage.ts'
import { DOCKER_HUB, whyNoRegistryUrl } from './registry-url.ts'

const group = 'Images'

export const BACKENDS = ['overlay', 'copy'] as const
export type Backend = (typeof BACKENDS)[number]

export const imageFlags = defineFlags({
  image_providers: flag.string({
    group,
    help: "Kinds of images that containers may have as their root file system; 'docker' is the only one. Needs the isolators filesystem/linux and docker/runtime.",
    example: 'docker',
    validate: text => (text === 'docker' ? undefined : `'${text}' is not 'docker', all there is`),
  }),
  docker_registry: flag.string({
    group,
    help: 'Where images come from: the URL of a registry, for those whose name begins with none; or a directory with NAME:TAG.tar as `docker save` writes them, or an OCI image layout, as a directory NAME:TAG or an archive. Names with slashes lie in directories.',
    example: '/var/lib/images',
    defaultText: `${DOCKER_HUB}, Docker Hub`,
    validate: text =>
      isUrl(text)
        ? whyNoRegistryUrl(text)
        : text.startsWith('/')
          ? undefined
          : `'${text}' is neither a URL nor an absolute path`,
  }),
  docker_store_dir: flag.path({
    group,
    help: 'Where layers of images are kept unpacked. No other agent may use it.',
    defaultText: 'store/docker in the work directory',
  }),
  image_provisioner_backend: flag.choice(BACKENDS, {
    group,
    help: 'How a root file system is made of layers. overlay: by overlayfs, at once. copy: by copying them.',
    defaultText:
      'overlay, if the kernel and the file system of the work directory have it, else copy',
  }),
  image_gc_config: flag.json(readGcConfig, {
    group,
    help: 'When images that nobody uses are removed: at what part of the disk that is to be free, how often that is looked at, and which stay. Absent: never.',
    example:
      '{"image_disk_headroom":0.1,"image_disk_watch_interval":{"nanoseconds":3600000000000},"excluded_images":[]}',
  }),
})

export type ImageFlags = FlagValues<typeof imageFlags>
/** Of registries. */
export type Credentials = Partial<Pick<DockerFlags, 'docker_config'>>

export const isUrl = (text: string): boolean => /^\w+:\/\//.test(text)

/** What is wrong with these flags together, and with those of isolation. */
export function imageErrors(flags: ImageFlags & IsolationFlags): string[] {
  const isolation = parseIsolation(flags.isolation)
  if (typeof isolation === 'string') return []
  const errors: string[] = []
  if (flags.image_providers === undefined) {
    for (const name of Object.keys(imageFlags) as (keyof ImageFlags)[]) {
      if (flags[name] === undefined) continue
      errors.push(`Flag '--${name}' is for images, and there is no --image_providers.`)
    }
    if (isolation.has('docker/runtime')) {
      errors.push("Flag '--isolation': the isolator 'docker/runtime' needs '--image_providers'.")
    }
    return errors
  }
  for (const name of ['filesystem/linux', 'docker/runtime'] as const) {
    if (isolation.has(name)) continue
    errors.push(`Flag '--image_providers': images need the isolator '${name}'.`)
  }
  return errors
}
