// A CPU profile summed up by part of the program. Pure, but for reading source maps.

import type { Profiler } from 'node:inspector'
import { findSourceMap } from 'node:module'
import { fileURLToPath } from 'node:url'

export interface Breakdown {
  readonly sampledMs: number
  /** Share of the sampled time by part, largest first. */
  readonly parts: readonly { readonly part: string; readonly share: number }[]
  /** Functions with the largest time of their own, idle and collector aside. */
  readonly functions: readonly {
    readonly name: string
    readonly place: string
    readonly share: number
  }[]
}

/** The sampler's own work, which is not the program's: left out. */
const SAMPLER = 'node:inspector'

/** Parts by where a function's source is: the first that is found in the path counts. */
const PARTS: readonly (readonly [string, string])[] = [
  ['/src/actors/codec.', 'codec'],
  ['/src/actors/packing.', 'codec'],
  ['/src/actors/texts.', 'codec'],
  ['/node_modules/msgpackr', 'codec'],
  ['/node_modules/valibot/', 'schema validation'],
  ['/src/messages/', 'schema validation'],
  ['/src/actors/websocket-transport.', 'ws and net'],
  ['/src/actors/http-server.', 'ws and net'],
  ['/node_modules/ws/', 'ws and net'],
  ['/src/actors/', 'actor runtime'],
  ['/src/master/allocator/', 'allocator'],
  ['/src/resources/', 'resources'],
  ['/src/master/', 'master logic'],
  ['/src/log/', 'log'],
  ['/src/base/', 'base'],
  [SAMPLER, SAMPLER],
]

/** V8's own names for time outside of functions. */
const META: ReadonlyMap<string, string> = new Map([
  ['(idle)', 'idle'],
  ['(garbage collector)', 'garbage collector'],
  ['(program)', 'native code and system calls'],
])

/** What nobody of ours called: sockets being read, timers being run. */
const FROM_THE_LOOP = 'ws and net'

/**
 * Sums each function's own time by part. Functions of V8 and Node count for the part that called them: `Map.get` in
 * the allocator is the allocator's time.
 */
export function breakdown(profile: Profiler.Profile, top = 20): Breakdown {
  const nodes = new Map(profile.nodes.map(node => [node.id, node]))
  const parent = new Map<number, number>()
  for (const node of profile.nodes)
    for (const child of node.children ?? []) parent.set(child, node.id)
  const partOf = new Map<number, string>()
  const find = (id: number): string => {
    const known = partOf.get(id)
    if (known !== undefined) return known
    const { functionName, url } = nodes.get(id)!.callFrame
    const above = parent.get(id)
    const part =
      META.get(functionName) ??
      PARTS.find(([path]) => url.includes(path))?.[1] ??
      (above === undefined ? FROM_THE_LOOP : find(above))
    partOf.set(id, part)
    return part
  }

  const byPart = new Map<string, number>()
  const byFunction = new Map<
    string,
    { name: string; frame: Profiler.ProfileNode['callFrame']; us: number }
  >()
  let sampled = 0
  for (const [index, id] of (profile.samples ?? []).entries()) {
    const us = Math.max(0, profile.timeDeltas?.[index] ?? 0)
    const part = find(id)
    if (part === SAMPLER) continue
    sampled += us
    byPart.set(part, (byPart.get(part) ?? 0) + us)
    const { callFrame: frame } = nodes.get(id)!
    if (META.has(frame.functionName) || frame.functionName === '(root)') continue
    const key = `${frame.functionName} ${frame.url}:${frame.lineNumber}:${frame.columnNumber}`
    const seen = byFunction.get(key)
    if (seen) seen.us += us
    else byFunction.set(key, { name: frame.functionName || '(anonymous)', frame, us })
  }
  const share = (us: number): number => us / Math.max(1, sampled)
  return {
    sampledMs: sampled / 1_000,
    parts: [...byPart]
      .map(([part, us]) => ({ part, share: share(us) }))
      .sort((a, b) => b.share - a.share),
    functions: [...byFunction.values()]
      .sort((a, b) => b.us - a.us)
      .slice(0, top)
      .map(({ name, frame, us }) => ({ name, place: placeOf(frame), share: share(us) })),
  }
}

/** `src/actors/codec.ts:72`, through the source map if the file has one. */
function placeOf({ url, lineNumber, columnNumber }: Profiler.ProfileNode['callFrame']): string {
  const path = url.startsWith('file:') ? fileURLToPath(url) : url
  const entry = findSourceMap(path)?.findEntry(lineNumber, columnNumber)
  const isMapped = entry && 'originalSource' in entry && entry.originalSource !== undefined
  const file = isMapped ? entry.originalSource : path
  const line = isMapped ? entry.originalLine : lineNumber
  const short = file.replace(/^.*?\/(?=(src|bench|node_modules)\/)/, '')
  return short === '' ? 'V8' : `${short}:${line + 1}`
}

/** The breakdown as lines of text, parts below half a percent left out. */
export function breakdownText(it: Breakdown, functions = 0): string {
  const percent = (share: number): string => `${(share * 100).toFixed(1).padStart(5)} %`
  const parts = it.parts
    .filter(({ share }) => share >= 0.005)
    .map(({ part, share }) => `  ${percent(share)}  ${part}`)
  const top = it.functions
    .slice(0, functions)
    .map(({ name, place, share }) => `  ${percent(share)}  ${name}  ${place}`)
  return [...parts, ...(top.length > 0 ? ['  of which in single functions:', ...top] : [])].join(
    '\n',
  )
}
