// Images for tests: archives as `docker save` writes them, and OCI layouts, with a static busybox and whatever else is wanted.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { gzipSync } from 'node:zlib'

const BUSYBOX = '/usr/bin/busybox'

const isStatic = (): boolean =>
  existsSync(BUSYBOX) &&
  /not a (valid )?dynamic/.test(spawnSync('ldd', [BUSYBOX]).stderr.toString())

/** Why there is no static busybox; undefined if there is. Whoever is root gets it installed. */
export function whyNoBusybox(): string | undefined {
  if (isStatic()) return undefined
  const how = 'install it: apt-get install busybox-static'
  if (process.getuid?.() !== 0) return `no static busybox on this machine; ${how}`
  const wait = ['-o', 'DPkg::Lock::Timeout=300']
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [
    ['update', ...wait],
    ['install', '-y', '--no-install-recommends', ...wait, 'busybox-static'],
  ]) {
    spawnSync('apt-get', args, { env, timeout: 300_000 })
  }
  return isStatic() ? undefined : `busybox-static could not be installed; ${how}`
}

/** An entry of an archive: the letter that its type has, and what it has of these. */
export interface Entry {
  readonly name: string
  readonly type?: string
  readonly link?: string
  readonly data?: Buffer | string
  readonly mode?: number
}

/** A tar archive, header by header, with whatever it is told. */
export function tarOf(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ name, type = '0', link = '', data = '', mode = 0o755 }) => {
    const bytes = Buffer.from(data)
    const header = Buffer.alloc(512)
    header.write(name, 0, 100)
    const octal = (value: number, at: number, length: number): number =>
      header.write(value.toString(8).padStart(length - 1, '0'), at)
    octal(mode, 100, 8)
    octal(0, 108, 8)
    octal(0, 116, 8)
    octal(bytes.length, 124, 12)
    octal(0, 136, 12)
    header.write(type, 156)
    header.write(link, 157, 100)
    header.write('ustar\x0000', 257)
    header.fill(' ', 148, 156)
    octal(
      header.reduce((sum, byte) => sum + byte, 0),
      148,
      7,
    )
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

export const directory = (name: string): Entry => ({ name: `${name}/`, type: '5' })

/** The lowest layer of a system: busybox under the names of a few programs. */
export function busyboxLayer(): Buffer {
  const programs = ['sh', 'ls', 'cat', 'touch', 'mkdir', 'rm', 'id', 'sleep', 'env', 'pwd', 'echo']
  return tarOf([
    ...['bin', 'etc', 'tmp', 'work'].map(directory),
    { name: 'bin/busybox', data: readFileSync(BUSYBOX) },
    ...programs.map(name => ({ name: `bin/${name}`, type: '2', link: 'busybox' })),
    { name: 'etc/passwd', data: 'root:x:0:0::/:/bin/sh\n', mode: 0o644 },
  ])
}

export const sha256 = (bytes: Buffer | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

export interface Image {
  readonly layers: readonly Buffer[]
  readonly config?: Readonly<Record<string, unknown>>
  /** What it says of its layers, if not the truth. */
  readonly diffIds?: readonly string[]
}

export const configOf = ({ layers, config = {}, diffIds = layers.map(sha256) }: Image): string =>
  JSON.stringify({ config, os: 'linux', rootfs: { type: 'layers', diff_ids: diffIds } })

/** `<directory>/<name>.tar`, as `docker save` writes it. */
export function saveImage(registry: string, name: string, image: Image): void {
  const config = configOf(image)
  const names = image.layers.map((_, i) => `layer${i}/layer.tar`)
  const manifest = [{ Config: 'config.json', RepoTags: [name], Layers: names }]
  const path = `${registry}/${name}.tar`
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(
    path,
    tarOf([
      ...image.layers.map((data, i) => ({ name: names[i]!, data })),
      { name: 'config.json', data: config },
      { name: 'manifest.json', data: JSON.stringify(manifest) },
    ]),
  )
}

/** A directory in OCI's layout, its layers compressed. Returns the digest of the manifest. */
export function layoutImage(registry: string, name: string, image: Image): string {
  const top = `${registry}/${name}`
  mkdirSync(`${top}/blobs/sha256`, { recursive: true })
  const blob = (bytes: Buffer): { digest: string; size: number } => {
    const digest = sha256(bytes)
    writeFileSync(`${top}/blobs/${digest.replace(':', '/')}`, bytes)
    return { digest, size: bytes.length }
  }
  const manifest = blob(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        config: blob(Buffer.from(configOf(image))),
        layers: image.layers.map(layer => blob(gzipSync(layer))),
      }),
    ),
  )
  const annotations = { 'org.opencontainers.image.ref.name': name.split(':').at(-1) }
  const manifests = [{ ...manifest, annotations }]
  writeFileSync(`${top}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}')
  writeFileSync(`${top}/index.json`, JSON.stringify({ schemaVersion: 2, manifests }))
  return manifest.digest
}
