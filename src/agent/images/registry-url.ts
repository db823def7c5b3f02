// Which registry has an image, by `--docker_registry` and the image's name. Pure.

import { UserError } from '../../base/errors.ts'
import type { Reference } from './reference.ts'

export const DOCKER_HUB = 'https://registry-1.docker.io'
/** All of them mean Docker Hub, in names and in files of credentials. */
const HUB_NAMES: ReadonlySet<string> = new Set([
  'docker.io',
  'index.docker.io',
  'registry-1.docker.io',
])

/** An image in a registry. */
export interface Remote {
  /** What comes before `/v2/`. */
  readonly base: string
  /** With its port, if there is one. */
  readonly host: string
  /** Nothing is asked of others without TLS, if it has it. */
  readonly isSecure: boolean
  readonly repository: string
  /** Its tag or digest. */
  readonly version: string
}

/** What is wrong with a URL of a registry; undefined: nothing, or it is none. */
export function whyNoRegistryUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol)) return `'${text}' is no URL of http or https`
  if (url.username !== '' || url.password !== '') {
    return 'credentials are no part of it: they belong into --docker_config'
  }
  return url.search === '' && url.hash === '' ? undefined : `'${text}' has more than a path`
}

/** A name begins with a registry if its first part looks like a host. The others are in that of `--docker_registry`. */
export function remoteOf({ name, tag, digest }: Reference, registry: string): Remote {
  const slash = name.indexOf('/')
  const first = slash === -1 ? '' : name.slice(0, slash)
  const isHost = /[.:]/.test(first) || first === 'localhost'
  const usual = new URL(registry)
  const url = isHost && first !== usual.host ? urlOf(first) : usual
  const path = isHost ? name.slice(slash + 1) : name
  const isOfficial = isHub(url.host) && !path.includes('/')
  return {
    base: `${url.origin}${url.pathname.replace(/\/+$/, '')}`,
    host: url.host,
    isSecure: url.protocol === 'https:',
    repository: isOfficial ? `library/${path}` : path,
    version: digest ?? tag ?? 'latest',
  }
}

export const isHub = (host: string): boolean => HUB_NAMES.has(host)

/** As Docker has it: without TLS only on this machine. */
function urlOf(host: string): URL {
  if (isHub(host)) return new URL(DOCKER_HUB)
  const isHere = /^(?:localhost|127(?:\.\d{1,3}){3})(?::|$)/.test(host)
  const text = `${isHere ? 'http' : 'https'}://${host}`
  if (URL.canParse(text)) return new URL(text)
  throw new UserError('invalid_value', `'${host}' is not the name of a registry`)
}
