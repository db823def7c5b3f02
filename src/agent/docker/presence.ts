// What is to be said of a container of Docker's while it runs: where it is reached, and what `docker inspect` says. Pure.

import { textToBase64 } from '../../base/base64.ts'
import type { ContainerInfo, NetworkInfo } from '../../messages/container.ts'
import type { Presence } from '../processes.ts'
import type { DockerState } from './docker-state.ts'

/** As Mesos has it: the network that was asked for, with the addresses that the container has in it. */
export function presenceOf(info: ContainerInfo | undefined, state: DockerState): Presence {
  const { addresses, text } = state
  const data = textToBase64(text)
  if (addresses === undefined) return { data }
  const { ip_addresses: _, ...asked } = info?.network_infos?.[0] ?? {}
  const network: NetworkInfo = {
    ...asked,
    ip_addresses: addresses.map(each => ({
      protocol: each.includes(':') ? 'IPv6' : 'IPv4',
      ip_address: each,
    })),
  }
  const [first] = addresses
  return {
    data,
    networks: first === undefined ? [] : [network],
    // Old, and still asked for by those who discover services.
    ...(first !== undefined && {
      labels: { labels: [{ key: 'Docker.NetworkSettings.IPAddress', value: first }] },
    }),
  }
}
