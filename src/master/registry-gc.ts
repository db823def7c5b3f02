// The registry must not grow for ever: agents that were given up long ago, or that are too many, are forgotten.

import type { MasterContext } from './context.ts'

const FORGOTTEN = { why: 'older, or more, than --registry_max_agent_age and _count allow' }

/** Every `--registry_gc_interval`. An agent that was forgotten may still come back: its id is then taken as it is. */
export async function collectGarbage(m: MasterContext): Promise<void> {
  const { unreachable, gone } = m.registryView
  const { registryMaxAgentAgeMs: maxAgeMs, registryMaxAgentCount: maxCount } = m.config
  const limits = { before: m.now() - maxAgeMs, maxCount }
  const prune = { unreachable: tooOld(unreachable, limits), gone: tooOld(gone, limits) }
  const count = prune.unreachable.length + prune.gone.length
  if (count > 0 && (await m.registry({ type: 'prune', ...prune, cause: FORGOTTEN }))) {
    for (const { value: id } of [...prune.unreachable, ...prune.gone]) {
      m.state.registrations.delete(id)
    }
    m.log.info({ agents: count }, 'agents that were given up long ago forgotten')
    m.changed()
  }
}

/** `departed` is in order of time, oldest first. */
function tooOld(
  departed: ReadonlyMap<string, number>,
  { before, maxCount }: { readonly before: number; readonly maxCount: number },
): { value: string }[] {
  const ids: { value: string }[] = []
  let left = departed.size
  for (const [value, timeMs] of departed) {
    if (timeMs >= before && left <= maxCount) break
    ids.push({ value })
    left--
  }
  return ids
}
