// Builds the simulation with a bug in it: from the same sources, with a few words changed on their way into the bundle.

import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, stop } from 'esbuild'
import type { PlantedBug } from './planted.ts'
import type { SimulationOptions, SimulationReport } from './simulate.ts'

type Simulate = (options: SimulationOptions) => Promise<SimulationReport>

/** `root`: the repository's top. Rejects if a change does not fit the source any more. */
export async function buildPlanted(root: string, name: string, bug: PlantedBug): Promise<Simulate> {
  const left = new Set(bug.edits)
  const outfile = join(root, `build/planted/${name.replace(/\W+/g, '-')}.js`)
  await build({
    absWorkingDir: root,
    entryPoints: ['test/log/sim/simulate.ts'],
    outfile,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    bundle: true,
    packages: 'external',
    logLevel: 'warning',
    plugins: [
      {
        name: 'plant',
        setup: on =>
          on.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
            const edits = bug.edits.filter(({ file }) => path === join(root, file))
            if (edits.length === 0) return undefined
            let contents = await readFile(path, 'utf8')
            for (const edit of edits) {
              contents = changed(contents, edit.from, edit.to, `${name}: ${edit.file}`)
              left.delete(edit)
            }
            return { contents, loader: 'ts' }
          }),
      },
    ],
  })
  for (const { file } of left) throw new Error(`${name}: ${file} is no part of the simulation`)
  const module = (await import(pathToFileURL(outfile).href)) as { simulate: Simulate }
  await rm(outfile)
  return module.simulate
}

export function changed(text: string, from: string, to: string, where: string): string {
  const parts = text.split(from)
  if (parts.length !== 2) {
    throw new Error(`${where} has ${parts.length - 1} places, not one, that read: ${from}`)
  }
  return parts.join(to)
}

/** esbuild's process ends. */
export const buildsOver = (): void => void stop()

export interface Hunt {
  /** Seeds that it took; undefined: it was not found. */
  readonly seeds: number | undefined
  readonly problem: string
}

/** Runs seed after seed until one finds the bug, by what it is expected to find. */
export async function hunt(simulate: Simulate, bug: PlantedBug, firstSeed = 1): Promise<Hunt> {
  let other = ''
  for (let i = 0; i < bug.within; i++) {
    const { problems } = await simulate({
      seed: firstSeed + i,
      ...(bug.kinds && { kinds: bug.kinds }),
    })
    const problem = problems.find(each => bug.finds.test(each))
    if (problem !== undefined) return { seeds: i + 1, problem }
    other ||= problems[0] ?? ''
  }
  return { seeds: undefined, problem: other }
}
