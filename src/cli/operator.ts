// mesos drain, mesos deactivate, mesos reactivate: an agent is taken out of service, and put back.

import * as v from 'valibot'
import { operatorToken } from '../actors/shared-secret.ts'
import { trustFlags } from '../actors/trust-flags.ts'
import { seconds } from '../base/duration.ts'
import { UserError } from '../base/errors.ts'
import { defineFlags, flag, type Flags } from '../base/flags.ts'
import { whyNoMasters } from '../detector/location.ts'
import type { OperatorCall } from '../messages/operator-api.ts'
import { leaderAddress } from './leader.ts'
import type { Command } from './main.ts'

const LIMIT_MS = seconds(30)
const PAUSE_MS = 500

const master = flag.string({
  help: 'The leading master: host:port; of several masters all of them, with commas between; or zk://host:port/path.',
  default: '127.0.0.1:5050',
  validate: whyNoMasters,
})

const drainFlags = defineFlags({
  master,
  ...trustFlags,
  max_grace_period: flag.duration({
    help: 'No task has longer than this to end after it was asked to. Without it each has what its kill policy says.',
    min: 0,
    example: '10mins',
  }),
  mark_gone: flag.boolean({
    help: 'The agent is given up for ever as soon as it is drained: it ends, and so do all its data.',
    default: false,
  }),
  wait: flag.boolean({
    help: 'Return when the agent is drained, or gone; otherwise as soon as the master has taken note.',
    default: true,
  }),
})

const flags = defineFlags({ master, ...trustFlags })

/** What the three commands have in common. */
function command<const F extends Flags>(
  name: string,
  { summary, flags: own, run }: Pick<Command<F>, 'summary' | 'flags' | 'run'>,
): Command<F> {
  return {
    name: `mesos ${name}`,
    summary,
    flags: own,
    positionals: [{ name: 'AGENT_ID', required: true, help: "The agent's id, as /state has it." }],
    examples: [`mesos ${name} 5f1cd2a6-1f2e-4c1e-9d57-64d1b5a0c7d5-S0`],
    run,
  }
}

export const drainCommand = command('drain', {
  summary:
    "Kills all tasks of an agent and offers it no more. 'mesos reactivate' puts it back into service once it is drained.",
  flags: drainFlags,
  run: async (
    { master: masters, cluster_secret: secret, max_grace_period: grace, mark_gone, wait },
    { positional },
  ) => {
    const [id = ''] = positional
    const max_grace_period = grace === undefined ? {} : { max_grace_period: nanoseconds(grace) }
    const agent_id = { value: id }
    await ask(
      { masters, secret },
      {
        type: 'DRAIN_AGENT',
        drain_agent: { agent_id, ...max_grace_period, mark_gone },
      },
    )
    if (wait) await drained(masters, id)
    return 0
  },
})

const nanoseconds = (ms: number) => ({ nanoseconds: Math.round(ms * 1e6) })

export const deactivateCommand = command('deactivate', {
  summary: 'Offers an agent no more. What it runs goes on.',
  flags,
  run: async ({ master: masters, cluster_secret: secret }, { positional: [value = ''] }) => {
    await ask(
      { masters, secret },
      { type: 'DEACTIVATE_AGENT', deactivate_agent: { agent_id: { value } } },
    )
    return 0
  },
})

export const reactivateCommand = command('reactivate', {
  summary: 'Offers an agent again that was deactivated, or drained.',
  flags,
  run: async ({ master: masters, cluster_secret: secret }, { positional: [value = ''] }) => {
    await ask(
      { masters, secret },
      { type: 'REACTIVATE_AGENT', reactivate_agent: { agent_id: { value } } },
    )
    return 0
  },
})

async function ask(
  { masters, secret }: { readonly masters: string; readonly secret: string | undefined },
  call: OperatorCall,
): Promise<void> {
  const address = await leaderAddress(masters)
  const { status, text } = await answer(address, '/api/v1', { call, secret })
  if (status === 200) return
  throw new UserError('conflict', `The master at ${address} refuses: ${text.trim() || status}`)
}

async function answer(
  address: string,
  path: string,
  asked?: { readonly call: object; readonly secret: string | undefined },
): Promise<{ readonly status: number; readonly text: string }> {
  try {
    const response = await fetch(`http://${address}${path}`, {
      ...(asked && {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(asked.secret !== undefined && {
            authorization: `Bearer ${operatorToken(asked.secret)}`,
          }),
        },
        body: JSON.stringify(asked.call),
      }),
      signal: AbortSignal.timeout(LIMIT_MS),
    })
    return { status: response.status, text: await response.text() }
  } catch (error) {
    const { cause, message } = error as Error
    const why = cause instanceof Error ? cause.message || 'no connection' : message
    throw new UserError('unreachable', `No answer from ${address}: ${why}.`, { cause: error })
  }
}

const Agents = v.object({
  slaves: v.array(
    v.object({ pid: v.string(), drain_info: v.optional(v.object({ state: v.string() })) }),
  ),
})
const Gone = v.object({ gone: v.array(v.object({ id: v.object({ value: v.string() }) })) })

/** Until it is, however long its tasks take to end, and whoever leads by then. */
async function drained(masters: string, id: string): Promise<void> {
  for (let told = ''; ; await new Promise(resolve => setTimeout(resolve, PAUSE_MS))) {
    const now = await stateOf(masters, id).catch((error: unknown) => {
      // Another master is about to lead.
      if (error instanceof UserError && error.code !== 'conflict') return error.message
      throw error
    })
    if (now !== told) process.stderr.write(`${now}\n`)
    if (now === 'DRAINED' || now === 'GONE') return
    told = now
  }
}

async function stateOf(masters: string, id: string): Promise<string> {
  const address = await leaderAddress(masters)
  const { text } = await answer(address, `/slaves?slave_id=${encodeURIComponent(id)}`)
  const parsed = v.safeParse(Agents, parseJson(text))
  if (!parsed.success) throw new UserError('unavailable', `The master at ${address} does not lead.`)
  const [agent] = parsed.output.slaves
  if (agent?.drain_info) return agent.drain_info.state
  if (agent) throw new UserError('conflict', `Agent ${id} was put back into service meanwhile.`)
  const registry = await answer(address, '/registrar(1)/registry')
  const { gone } = v.parse(v.fallback(Gone, { gone: [] }), parseJson(registry.text))
  return gone.some(({ id: { value } }) => value === id)
    ? 'GONE'
    : 'The agent is away; it is drained when it is back.'
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
