// mesos-log diff: what changed in the registry between two positions, or differs between two replicas.

import { existsSync } from 'node:fs'
import { UserError } from '../../base/errors.ts'
import { defineFlags, type FlagValues } from '../../base/flags.ts'
import type { LogView } from '../../log/log.ts'
import type { Command } from '../main.ts'
import { changesBetween, changeText } from './changes.ts'
import { Lines } from './lines.ts'
import { type RegistryAt, registryAt } from './registry-at.ts'
import { compareReplicas, type Difference } from './replicas.ts'
import { timeText } from './text.ts'
import { directoryOf, json, logIn, look, refuseDamage, where } from './where.ts'

const flags = defineFlags({ ...where, json: json('One JSON object.') })
type Values = FlagValues<typeof flags>

export const diffCommand: Command<typeof flags> = {
  name: 'mesos-log diff',
  summary:
    'Compares the registry at two positions of one log, or in two replicas of it; of replicas also the values, position by position, and whether they agree. The exit status is 0 if nothing differs, 1 if something does, 2 if it cannot be told.',
  flags,
  positionals: [
    {
      name: 'A',
      required: true,
      help: 'A position of the log of --work_dir or --path; or a work_dir or log directory, with @POSITION or, without it, at its end.',
    },
    { name: 'B', required: true, help: 'The same, to compare it with.' },
  ],
  examples: [
    'mesos-log diff --work_dir=/var/lib/mesos 17 42',
    'mesos-log diff /var/lib/mesos-1 /var/lib/mesos-2',
    'mesos-log diff /var/lib/mesos-1@17 /var/lib/mesos-2@17',
  ],
  trouble: 2,
  check: checkSides,
  run: async (values, { positional }) => {
    const [a, b] = await Promise.all([
      openSide(values, positional[0]!),
      openSide(values, positional[1]!),
    ])
    // A log of something else has values that can be compared, but no registry.
    const changes = a.at && b.at && changesBetween(a.at.replay.registry, b.at.replay.registry)
    // What one has truncated may be gone from its disk, and says nothing.
    const from = Math.max(a.view.begin, b.view.begin)
    const to = Math.max(a.position, b.position)
    const replicas =
      a.directory === b.directory
        ? undefined
        : await compareReplicas(a.view.entries({ from, to }), b.view.entries({ from, to }))
    const differs = (changes?.length ?? 0) > 0 || replicas?.first !== undefined
    const lines = Lines.toOutput()
    if (values.json) {
      await lines.print(
        JSON.stringify({
          differs,
          a: sideJson(a),
          b: sideJson(b),
          changes: changes ?? null,
          ...(replicas && {
            agreement: replicas.broken === undefined,
            first_difference: replicas.first ?? null,
            broken: replicas.broken ?? null,
          }),
        }),
      )
    } else {
      await lines.print(`A ${sideText(a)}`)
      await lines.print(`B ${sideText(b)}`)
      if (replicas) await lines.print(agreementText(replicas))
      for (const change of changes ?? []) await lines.print(changeText(change))
      if (changes?.length === 0) await lines.print('The registry is the same.')
    }
    await lines.end()
    for (const { view } of [a, b]) refuseDamage(view)
    return differs ? 1 : 0
  },
}

const isPosition = (side: string): boolean => /^\d{1,15}$/.test(side)

function checkSides(values: Values, sides: readonly string[]): readonly string[] {
  const { work_dir, path } = values
  if (work_dir !== undefined && path !== undefined)
    return ["Only one of '--work_dir' and '--path' can be given."]
  const here = work_dir !== undefined || path !== undefined
  if (sides.some(isPosition) && !here)
    return ["A position needs the log it is of: give '--work_dir' or '--path'."]
  return []
}

interface Side {
  readonly directory: string
  readonly view: LogView
  readonly position: number
  /** Absent if there is no registry in the log. */
  readonly at?: RegistryAt
}

async function openSide(values: Values, side: string): Promise<Side> {
  const { directory, position } = parseSide(values, side)
  const view = await look(directory)
  const at = await registryAt(view, position)
  if (!('why' in at)) return { directory, view, position: at.position, at }
  // Two replicas can be compared all the same.
  if (at.none && !isPosition(side)) return { directory, view, position: position ?? view.end ?? 0 }
  refuseDamage(view)
  throw new UserError('not_found', `${directory}: ${at.why}`)
}

function parseSide(values: Values, side: string): { directory: string; position?: number } {
  if (isPosition(side)) return { directory: directoryOf(values), position: Number(side) }
  const [, directory, position] = /^(.+)@(\d{1,15})$/s.exec(side) ?? []
  // A directory may have such a name itself.
  if (directory === undefined || existsSync(side)) return { directory: logIn(side) }
  return { directory: logIn(directory), position: Number(position) }
}

function sideText({ directory, position, at }: Side): string {
  if (!at) return `${directory}@${position}: no registry`
  const doubt = at.learned ? '' : ' (not known to be chosen)'
  return `${directory}@${at.position}: written at ${at.written_at}, ${timeText(at.time_ms)}${doubt}`
}

function sideJson({ directory, position, at }: Side): object {
  if (!at) return { directory, position }
  const { replay, ...facts } = at
  return { directory, ...facts, sequence: replay.sequence }
}

function agreementText({
  first,
  broken,
}: {
  readonly first?: Difference
  readonly broken?: Difference
}): string {
  if (broken) {
    return (
      `AGREEMENT IS BROKEN at position ${broken.position}: both replicas know a value to be chosen, and not the same one. ` +
      'Stop the masters, and keep both directories.'
    )
  }
  if (!first) return 'The replicas hold the same values.'
  const { position, a, b } = first
  return `They first differ at position ${position} (A: ${a}, B: ${b}); that breaks no agreement, since not both know it to be chosen.`
}
