// What of a container may be shown to whoever may see a task.

import type { ContainerInfo } from './container.ts'

/** Without the values of its secrets; that there are some, and where, is seen. */
export function withoutSecrets(container: ContainerInfo): ContainerInfo {
  const { volumes } = container
  if (!volumes?.some(({ source }) => source?.secret?.value)) return container
  return {
    ...container,
    volumes: volumes.map(volume => {
      const { source } = volume
      if (!source?.secret?.value) return volume
      const { value: _, ...secret } = source.secret
      return { ...volume, source: { ...source, secret } }
    }),
  }
}
