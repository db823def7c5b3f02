// What containers mount: images and volumes.

import type * as v from 'valibot'
import { choice, flag, mapOf, message, oneOf, optional, repeated, text } from './schema.ts'
import { Credential, Labels, Parameters, Secret } from './values.ts'

/** A container image. `cached` (default true) allows one fetched before. */
export const Image = message({
  type: oneOf(['APPC', 'DOCKER']),
  appc: optional(message({ name: text, id: optional(text), labels: optional(Labels) })),
  docker: optional(
    message({ name: text, credential: optional(Credential), config: optional(Secret) }),
  ),
  cached: optional(flag),
})
export type Image = v.InferOutput<typeof Image>

const AccessMode = message({
  mode: oneOf([
    'UNKNOWN',
    'SINGLE_NODE_WRITER',
    'SINGLE_NODE_READER_ONLY',
    'MULTI_NODE_READER_ONLY',
    'MULTI_NODE_SINGLE_WRITER',
    'MULTI_NODE_MULTI_WRITER',
  ]),
})

const CSIVolume = message({
  plugin_name: text,
  static_provisioning: optional(
    message({
      volume_id: text,
      volume_capability: message({
        block: optional(message({})),
        mount: optional(message({ fs_type: optional(text), mount_flags: repeated(text) })),
        access_mode: AccessMode,
      }),
      node_stage_secrets: mapOf(Secret),
      node_publish_secrets: mapOf(Secret),
      volume_context: mapOf(text),
    }),
  ),
})

export const VolumeSource = message({
  type: choice(['DOCKER_VOLUME', 'HOST_PATH', 'SANDBOX_PATH', 'SECRET', 'CSI_VOLUME']),
  docker_volume: optional(
    message({ driver: optional(text), name: text, driver_options: optional(Parameters) }),
  ),
  host_path: optional(
    message({
      path: text,
      mount_propagation: optional(
        message({ mode: choice(['HOST_TO_CONTAINER', 'BIDIRECTIONAL']) }),
      ),
    }),
  ),
  sandbox_path: optional(message({ type: choice(['SELF', 'PARENT']), path: text })),
  secret: optional(Secret),
  csi_volume: optional(CSIVolume),
})
export type VolumeSource = v.InferOutput<typeof VolumeSource>

/** Seen by the container at `container_path`; comes from `host_path`, `image` or `source`. */
export const Volume = message({
  mode: oneOf(['RW', 'RO']),
  container_path: text,
  host_path: optional(text),
  image: optional(Image),
  source: optional(VolumeSource),
})
export type Volume = v.InferOutput<typeof Volume>
