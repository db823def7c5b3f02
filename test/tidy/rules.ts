// The house rules: pure functions from a project's files to complaints, one sentence each, beginning with the place.

import { dirname, join } from 'node:path/posix'
import * as house from './house.ts'
import { codeOf, type Import, importsOf } from './source.ts'

/** What the rules read: every file's text by its path from the top, and the files that make promises. */
export interface Project {
  readonly files: ReadonlyMap<string, string>
  readonly manifest: Manifest
  readonly lock: Lock
  readonly readme: string
}

export interface Manifest {
  readonly bin?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

export interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>
  >
}

export type Rule = (project: Project) => string[]

/** Imports go down: to lower floors and the own room, and to `src/sim` only from its users. */
export const floors: Rule = project =>
  edges(project).flatMap(({ from, to, line }) => {
    const target = roomOf(to)
    const source = roomOf(from)
    if (within(to, house.SIMULATOR)) {
      const allowed = house.SIMULATOR_USERS.some(user => from.startsWith(user))
      return allowed ? [] : [`${from}:${line}: the simulator (${to}) is for tests only`]
    }
    if (!source) return []
    if (!target) return [`${from}:${line}: product code imports ${to}, which is on no floor`]
    const allowed =
      source === target ||
      target.floor < source.floor ||
      (source.alsoImports?.includes(target.folder) ?? false)
    if (allowed) return []
    const why = source.floor === target.floor ? 'the same floor' : `floor ${target.floor}`
    return [`${from}:${line}: floor ${source.floor} may not import ${to} of ${why}`]
  })

/** No module waits for itself to load. Imports of types are erased and do not count. */
export const cycles: Rule = project => {
  const next = new Map<string, string[]>()
  for (const { from, to, typeOnly } of edges(project)) {
    if (!typeOnly) next.set(from, [...(next.get(from) ?? []), to])
  }
  const done = new Set<string>()
  const complaints: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file)
    if (at >= 0) complaints.push(`${[...path.slice(at), file].join(' → ')}: an import cycle`)
    if (at >= 0 || done.has(file)) return
    for (const target of next.get(file) ?? []) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of next.keys()) visit(file, [])
  return complaints
}

/** Time, chance, files, sockets and processes come in by argument, except in the files that make them. */
export const world: Rule = ({ files }) =>
  [...files]
    .filter(([path]) => path.startsWith('src/') && !touchesWorld(path))
    .flatMap(([path, text]) => [
      ...codeOf(text)
        .split('\n')
        .flatMap((line, index) =>
          house.FORBIDDEN_GLOBALS.filter(({ pattern }) => pattern.test(line)).map(
            ({ name, instead }) => `${path}:${index + 1}: ${name} is forbidden here: ${instead}`,
          ),
        ),
      ...importsOf(text)
        .filter(it => !it.typeOnly)
        .flatMap(({ specifier, line }) => {
          const name = specifier.replace(/^node:/, '').replace(/\/.*$/, '')
          const instead = Object.hasOwn(house.FORBIDDEN_MODULES, name)
            ? house.FORBIDDEN_MODULES[name]
            : undefined
          return instead
            ? [`${path}:${line}: importing ${specifier} is forbidden here: ${instead}`]
            : []
        }),
    ])

/** An exception for a file that is gone would quietly hold for the next file of that name. */
export const worldExists: Rule = ({ files }) =>
  Object.keys(house.WORLD)
    .filter(path => ![...files.keys()].some(file => isOrIsIn(file, path)))
    .map(path => `test/tidy/house.ts: ${path} is named as touching the world, but does not exist`)

/** Every relative import leads to a file, so that the other rules see every edge. */
export const resolved: Rule = ({ files }) =>
  [...files].flatMap(([path, text]) =>
    importsOf(text)
      .filter(it => it.specifier.startsWith('.'))
      .filter(it => !files.has(join(dirname(path), it.specifier)))
      .map(it => `${path}:${it.line}: ${it.specifier} is no file of the project`),
  )

/** What the product imports is a dependency; what only tests, benchmarks and the bundled page import may be a devDependency. */
export const declared: Rule = ({ files, manifest }) =>
  [...files].flatMap(([path, text]) => {
    const isProduct = /^(src|examples)\//.test(path) && !path.startsWith('src/web/page/')
    return packagesOf(text).flatMap(({ name, line }) => {
      if (manifest.dependencies?.[name]) return []
      if (!manifest.devDependencies?.[name]) {
        return [`${path}:${line}: ${name} is not declared in package.json`]
      }
      return isProduct
        ? [`${path}:${line}: ${name} must be in dependencies, not devDependencies`]
        : []
    })
  })

/** A dependency that nothing imports and no chore runs is weight. */
export const used: Rule = ({ files, manifest }) => {
  const imported = new Set([...files.values()].flatMap(text => packagesOf(text).map(it => it.name)))
  return Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
    .filter(name => !imported.has(name) && !house.TOOLS.includes(name))
    .map(name => `package.json: ${name} is imported nowhere: remove it`)
}

/** A file of src that is longer holds more than one idea. */
export const length: Rule = ({ files }) =>
  [...files]
    .filter(([path]) => /^src\/.*\.tsx?$/.test(path))
    .map(([path, text]) => ({ path, lines: text.trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > house.MAX_LINES)
    .map(({ path, lines }) => `${path}: ${lines} lines; split it below ${house.MAX_LINES}`)

/** Code that no program reaches is dead, also when a test keeps it warm. Only the simulator lives for tests alone. */
export const reached: Rule = project => {
  const imported = new Set(
    edges(project)
      .filter(({ from, to }) => !from.startsWith('test/') || !isProductFile(to))
      .map(({ to }) => to),
  )
  return [...project.files.keys()]
    .filter(path => /\.tsx?$/.test(path) && !imported.has(path))
    .filter(path => !house.ENTRY_POINTS.some(pattern => pattern.test(path)))
    .map(path => `${path}: nothing imports it${isProductFile(path) ? ' but tests' : ''}`)
}

/** A command is promised once and kept: each bin has a source, and each command of the README is a bin. */
export const commands: Rule = ({ files, manifest, readme }) => {
  const bins = manifest.bin ?? {}
  const sourceless = Object.entries(bins)
    .filter(([, file]) => !files.has(sourceOf(file)))
    .map(([name, file]) => `package.json: ${name} is ${file}, but ${sourceOf(file)} does not exist`)
  const unknown = [...readme.matchAll(/\bnpx\s+([a-z][\w-]*)/g)]
    .map(match => match[1]!)
    .filter(name => !Object.hasOwn(bins, name))
    .map(name => `README.md: npx ${name} is no command of package.json`)
  return [...sourceless, ...new Set(unknown)]
}

/**
 * `npm ci` refuses a lock file that leaves out a platform's optional package; npm writes such a file when the registry
 * it asks does not have that package.
 */
export const locked: Rule = ({ lock: { packages } }) =>
  Object.entries(packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies ?? {})
      .filter(
        name => !packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`],
      )
      .map(name => `package-lock.json: ${name} of ${path} is missing: node scripts/dev.js lock`),
  )

interface Edge extends Import {
  readonly from: string
  readonly to: string
}

/** The relative imports that lead to a file. */
function edges({ files }: Project): Edge[] {
  return [...files].flatMap(([from, text]) =>
    importsOf(text)
      .filter(it => it.specifier.startsWith('.'))
      .map(it => ({ ...it, from, to: join(dirname(from), it.specifier) }))
      .filter(({ to }) => files.has(to)),
  )
}

function packagesOf(text: string): { name: string; line: number }[] {
  return importsOf(text)
    .filter(({ specifier }) => !/^[./]|^node:/.test(specifier))
    .map(({ specifier, line }) => ({
      name: /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier,
      line,
    }))
}

/** `dist/mesos-log.js` comes from `src/cli/bin/mesos-log.ts`, `dist/examples/…` from `examples/…`. */
function sourceOf(output: string): string {
  const path = output.replace(/^dist\//, '').replace(/\.js$/, '.ts')
  return path.startsWith('examples/') ? path : `src/cli/bin/${path}`
}

function roomOf(path: string): house.Room | undefined {
  return house.ROOMS.find(({ folder }) => within(path, folder))
}

function within(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`)
}

function isOrIsIn(path: string, place: string): boolean {
  return place.endsWith('/') ? path.startsWith(place) : path === place
}

function touchesWorld(path: string): boolean {
  return Object.keys(house.WORLD).some(place => isOrIsIn(path, place))
}

function isProductFile(path: string): boolean {
  return path.startsWith('src/') && !within(path, house.SIMULATOR)
}
