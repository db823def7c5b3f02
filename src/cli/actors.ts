// mesos actors: the actors of a running process, asked over HTTP.

import * as v from 'valibot'
import { parseAddress } from '../actors/pid.ts'
import { UserError } from '../base/errors.ts'
import { defineFlags, flag } from '../base/flags.ts'
import { whyNoMasters } from '../detector/location.ts'
import { type ActorView, actorText, actorsTable } from './actors-text.ts'
import { leaderAddress } from './leader.ts'
import type { Command } from './main.ts'

export const actorsFlags = defineFlags({
  master: flag.string({
    help: 'The leading master: host:port; of several masters all of them, with commas between; or zk://host:port/path.',
    default: '127.0.0.1:5050',
    validate: whyNoMasters,
  }),
  address: flag.string({
    help: 'Another process than the master: an agent, or whatever else listens.',
    example: '127.0.0.1:5051',
    validate: text => (parseAddress(text) ? undefined : `'${text}' is not host:port.`),
  }),
  json: flag.boolean({ help: 'The JSON of /__processes__.' }),
})

const LIMIT_MS = 5_000

export const actorsCommand: Command<typeof actorsFlags> = {
  name: 'mesos actors',
  summary:
    'Lists the actors of a process, with the length of their mailboxes and what they were served last; with an id, the last events of that one. Times are UTC.',
  flags: actorsFlags,
  positionals: [{ name: 'ID', help: 'An actor of the process: master, slave(1), …' }],
  examples: ['mesos actors', "mesos actors --address=10.0.0.7:5051 'slave(1)'"],
  run: async (flags, { positional: [id] }) => {
    const address = flags.address ?? (await leaderAddress(flags.master))
    const actors = await ask(address, id)
    if (id !== undefined && actors.length === 0) {
      throw new UserError('not_found', `There is no actor '${id}' at ${address}.`, {
        hint: "List them with 'mesos actors' without an id.",
      })
    }
    const text = flags.json
      ? `${JSON.stringify(actors)}\n`
      : id === undefined
        ? actorsTable(actors)
        : actorText(actors[0]!)
    process.stdout.write(text)
    return 0
  },
}

const Processes = v.array(
  v.object({
    id: v.string(),
    events: v.array(v.looseObject({ type: v.string(), name: v.optional(v.string()) })),
    recent: v.array(
      v.object({
        type: v.string(),
        name: v.string(),
        from: v.optional(v.string()),
        count: v.number(),
        first: v.string(),
        last: v.string(),
      }),
    ),
  }),
)

/** Rejects with a `UserError`: nobody listens there, or it is no process of ours. */
async function ask(address: string, id: string | undefined): Promise<readonly ActorView[]> {
  const query = id === undefined ? '' : `?id=${encodeURIComponent(id)}`
  let response: Response
  let body: string
  try {
    response = await fetch(`http://${address}/__processes__${query}`, {
      signal: AbortSignal.timeout(LIMIT_MS),
    })
    body = await response.text()
  } catch (error) {
    const { cause, message } = error as Error
    const why = cause instanceof Error ? cause.message || 'no connection' : message
    throw new UserError('unreachable', `No answer from ${address}: ${why}.`, {
      hint: 'Give the host:port of a running master with --master, or of another process with --address.',
    })
  }
  if (response.status !== 200) {
    throw new UserError('unavailable', `${address} answered ${response.status}: ${body.trim()}`)
  }
  const parsed = v.safeParse(Processes, parseJson(body))
  if (parsed.success) return parsed.output
  throw new UserError('invalid_value', `What ${address} answers is no list of actors.`, {
    hint: 'Is it a process of Mesos, and of this version?',
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
