// Where a container of Docker's is reached, by what `docker inspect` says of its networks. Pure.

import * as v from 'valibot'

const address = v.optional(v.nullable(v.string()))
const Addresses = v.object({ IPAddress: address, GlobalIPv6Address: address })
type Addresses = v.InferOutput<typeof Addresses>

/** Of the answer to `docker inspect`, what tells of networks. */
export const InspectedNetworks = {
  NetworkSettings: v.optional(
    v.object({
      ...Addresses.entries,
      Networks: v.optional(v.nullable(v.record(v.string(), v.nullable(Addresses)))),
    }),
  ),
  HostConfig: v.optional(v.object({ NetworkMode: v.optional(v.string()) })),
}
const Inspected = v.object(InspectedNetworks)

/** Undefined: it is on the machine's own network, as any process. */
export function addressesIn({
  HostConfig,
  NetworkSettings,
}: v.InferOutput<typeof Inspected>): readonly string[] | undefined {
  const mode = HostConfig?.NetworkMode
  // One that shares another container's says nothing of it.
  if (mode === undefined || mode === 'host' || mode.startsWith('container:')) return undefined
  const joined = Object.entries(NetworkSettings?.Networks ?? {})
  const [, own] = joined.find(([name]) => name === mode) ?? joined[0] ?? []
  const all = [...both(own), ...both(NetworkSettings)]
  return [...new Set(all)]
}

const both = (of: Addresses | null | undefined): string[] =>
  [of?.IPAddress, of?.GlobalIPv6Address].filter(isAddress)

/** As Docker prints them: nothing else is told to frameworks. */
const isAddress = (text: string | null | undefined): text is string =>
  /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]*)$/i.test(text ?? '')
