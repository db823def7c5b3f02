// The project as the rules see it: the real one from disk, or a made-up one for the examples that rules must refuse.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Lock, Manifest, Project } from './rules.ts'

const FOLDERS = ['src', 'test', 'bench', 'examples', 'scripts']

/** Reads the repository whose top is `root`. */
export function readProject(root: string): Project {
  const files = new Map<string, string>()
  for (const folder of FOLDERS) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (!/\.(tsx?|js|css)$/.test(entry)) continue
      files.set(`${folder}/${entry}`, readFileSync(join(root, folder, entry), 'utf8'))
    }
  }
  const read = (file: string): string => readFileSync(join(root, file), 'utf8')
  const manifest: Manifest = JSON.parse(read('package.json'))
  const lock: Lock = JSON.parse(read('package-lock.json'))
  return { files, manifest, lock, readme: read('README.md') }
}

/** A project of a few lines. */
export function sketch(
  files: Record<string, string>,
  more: { manifest?: Manifest; lock?: Lock; readme?: string } = {},
): Project {
  return {
    files: new Map(Object.entries(files)),
    manifest: more.manifest ?? {},
    lock: more.lock ?? { packages: {} },
    readme: more.readme ?? '',
  }
}
