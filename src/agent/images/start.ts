// Puts the parts together that images need, and looks at what the machine has for them. One of the few files that may touch
// the world.

import { existsSync } from 'node:fs'
import { mkdir, statfs, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Clock } from '../../actors/clock.ts'
import { messageOf, UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import { findProgram, kindOfPath } from '../containerizer/system-programs.ts'
import { directoryRegistry } from './archive.ts'
import { run } from './commands.ts'
import { type Backend, type Credentials, type ImageFlags, isUrl } from './flags.ts'
import { watchImages } from './garbage.ts'
import { ImageProvisioner } from './provisioner.ts'
import { httpRegistry } from './registry.ts'
import { credentialsFor } from './registry-auth.ts'
import { DOCKER_HUB } from './registry-url.ts'
import { ImageStore } from './store.ts'

export interface ProvisionerStart {
  readonly flags: ImageFlags & Credentials
  readonly workDir: string
  readonly clock: Clock
  readonly log: Logger
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  arm: 'arm',
  arm64: 'arm64',
  ppc64: 'ppc64le',
  riscv64: 'riscv64',
  s390x: 's390x',
}

/** Undefined: no images are asked for, and an agent before this one left none. Rejects with a `UserError` if they cannot be had. */
export async function startProvisioner({
  flags,
  workDir,
  clock,
  log,
}: ProvisionerStart): Promise<ImageProvisioner | undefined> {
  // Links to it lie elsewhere.
  const directory = resolve(workDir, 'provisioner')
  const place = flags.docker_registry ?? DOCKER_HUB
  const isAsked = flags.image_providers !== undefined
  if (!isAsked && !existsSync(directory)) return undefined
  const find = (name: string): string => findProgram(name, '--image_providers')
  const rm = find('rm')
  const programs = { cp: find('cp'), rm }
  if (!isAsked) return new ImageProvisioner({ directory, backend: 'copy', programs, log })
  if (!isUrl(place) && kindOfPath(place) !== 'directory') {
    throw new UserError('not_a_directory', `Flag '--docker_registry': ${place} is no directory.`)
  }
  const { docker_config } = flags
  if (docker_config) checkCredentials(docker_config)
  const registry = isUrl(place)
    ? httpRegistry({ url: place, ...(docker_config && { config: docker_config }) })
    : directoryRegistry(place)
  const wanted = flags.image_provisioner_backend
  const whyNone = wanted === 'copy' ? undefined : await whyNoOverlay(directory, rm)
  if (wanted === 'overlay' && whyNone !== undefined) {
    throw new UserError(
      'not_found',
      `Flag '--image_provisioner_backend': there is no overlayfs here: ${whyNone}`,
      {
        hint: 'Leave the flag out, or name a --work_dir on another file system.',
      },
    )
  }
  const backend: Backend = wanted ?? (whyNone === undefined ? 'overlay' : 'copy')
  if (whyNone !== undefined) log.info({ why: whyNone }, 'images are copied: there is no overlayfs')
  const storeDir = resolve(flags.docker_store_dir ?? `${workDir}/store/docker`)
  const store = await ImageStore.open({
    directory: storeDir,
    registry,
    style: backend === 'overlay' ? 'overlay' : 'list',
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    programs: { tar: find('tar'), sync: find('sync'), rm },
    log,
  })
  const config = flags.image_gc_config
  const stopWatch =
    config &&
    watchImages({
      config,
      clock,
      usage: () => usedPart(storeDir),
      prune: kept => store.prune(kept),
      log,
    })
  return new ImageProvisioner({
    directory,
    backend,
    store,
    ...(stopWatch && { stopWatch }),
    programs,
    log,
  })
}

/** Rather now than with the first image. */
function checkCredentials(config: unknown): void {
  try {
    credentialsFor(config, '')
  } catch (error) {
    throw new UserError('invalid_flags', `Flag '--docker_config': ${messageOf(error)}.`)
  }
}

async function usedPart(path: string): Promise<number> {
  const { blocks, bavail } = await statfs(path)
  return blocks === 0 ? 0 : 1 - bavail / blocks
}

/** A file of a lower layer that is removed, which needs all of what the layers' file system has to have. */
const PROBE = `cd "$1" && "$2" -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay "$1/merged" &&
  cd "$1/merged" && [ -e file ] && "$3" file && [ ! -e file ] && [ -e ../lower/file ]`

/** Tries it, in a mount namespace of its own. */
async function whyNoOverlay(provisionerDir: string, rm: string): Promise<string | undefined> {
  const find = (name: string): string => findProgram(name, '--image_providers')
  const top = `${provisionerDir}/probe.${process.pid}`
  try {
    for (const name of ['lower', 'upper', 'work', 'merged']) {
      await mkdir(`${top}/${name}`, { recursive: true })
    }
    await writeFile(`${top}/lower/file`, '')
    const inside = [find('unshare'), '--mount', '--propagation', 'private', '/bin/sh']
    await run(inside[0]!, ...inside.slice(1), '-c', PROBE, 'sh', top, find('mount'), rm)
    return undefined
  } catch (error) {
    return messageOf(error).trim().split('\n').at(-1)
  } finally {
    await run(rm, '-rf', '--one-file-system', '--', top)
  }
}
