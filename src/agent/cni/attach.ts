// Attaches containers to networks and takes them off again, as the CNI specification has it: each plugin of a network in its
// order, with what the one before it answered; and in the reverse order at the end.

import { messageOf, UserError } from '../../base/errors.ts'
import { type PluginConfig, pluginInput } from './config.ts'
import type { Attachment } from './network-store.ts'
import type { Answer, Plugins } from './plugins.ts'
import { parseError, parseResult, type PluginResult } from './result.ts'

const MAX_WORDS = 1_000
/** Older plugins are told nothing of what was answered when they are to undo it. */
const SINCE_KNOWS_RESULT = '0.4.0'

export interface Attached {
  readonly id: string
  /** Its network namespace; absent: there is none any more. */
  readonly netns: string | undefined
}

const LOOPBACK = { cniVersion: '0.3.1', name: 'loopback', type: 'loopback' }

/** Brings the container's own loopback up. */
export async function addLoopback(
  plugins: Plugins,
  { id, netns }: Attached,
  stop?: AbortSignal,
): Promise<void> {
  const answer = await plugins.run({
    argv: [plugins.find(LOOPBACK.type)],
    env: environment('ADD', id, netns, 'lo', plugins.directories),
    input: JSON.stringify(LOOPBACK),
    stop,
  })
  if (!answer.ok) throw failed('loopback', 'loopback', 'ADD', answer)
}

/** Resolves with the last plugin's answer. Rejects with a `UserError`; what was done until then has to be undone by `detach`. */
export async function attach(
  plugins: Plugins,
  { id, netns }: Attached,
  { ifName, info, config }: Attachment,
  stop?: AbortSignal,
): Promise<PluginResult> {
  let result: PluginResult | undefined
  for (const plugin of config.plugins) {
    const answer = await plugins.run({
      argv: [plugins.find(plugin.type)],
      env: environment('ADD', id, netns, ifName, plugins.directories),
      input: JSON.stringify(pluginInput(plugin, config, info, result)),
      stop,
    })
    if (!answer.ok) throw failed(plugin.type, config.name, 'ADD', answer)
    result = parseResult(answer.stdout)
    if (!result) {
      const why = `The CNI plugin '${plugin.type}' of network '${config.name}' answered no result`
      throw new UserError('invalid_value', why)
    }
  }
  return result!
}

/** Resolves with what went wrong; all plugins are told, whatever one of them says. */
export async function detach(
  plugins: Plugins,
  { id, netns }: Attached,
  { ifName, info, config, result }: Attachment,
): Promise<string[]> {
  const problems: string[] = []
  const previous = isAtLeast(config.cniVersion, SINCE_KNOWS_RESULT) ? result : undefined
  const one = async (plugin: PluginConfig): Promise<void> => {
    const answer = await plugins.run({
      argv: [plugins.find(plugin.type)],
      env: environment('DEL', id, netns, ifName, plugins.directories),
      input: JSON.stringify(pluginInput(plugin, config, info, previous)),
    })
    if (!answer.ok) throw failed(plugin.type, config.name, 'DEL', answer)
  }
  for (const plugin of config.plugins.toReversed()) {
    try {
      await one(plugin)
    } catch (error) {
      problems.push(messageOf(error))
    }
  }
  return problems
}

function environment(
  command: 'ADD' | 'DEL',
  id: string,
  netns: string | undefined,
  ifName: string,
  directories: readonly string[],
): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: id,
    ...(netns !== undefined && { CNI_NETNS: netns }),
    CNI_IFNAME: ifName,
    CNI_ARGS: 'IgnoreUnknown=1',
    CNI_PATH: directories.join(':'),
  }
}

function failed(type: string, network: string, command: string, answer: Answer): UserError {
  const { stdout, stderr } = answer
  // Those of a plugin that was killed are whatever it had come to.
  const said = parseError(stdout) ?? stdout.slice(0, MAX_WORDS).trim()
  const why = [stderr, said].filter(text => text !== '').join('; ')
  return new UserError(
    'internal',
    `The CNI plugin '${type}' of network '${network}' failed to ${command}: ${why.slice(0, MAX_WORDS)}`,
  )
}

function isAtLeast(version: string, wanted: string): boolean {
  const [mine, other] = [version, wanted].map(text => text.split('.').map(Number))
  for (const [index, number] of other!.entries()) {
    if (mine![index] !== number) return mine![index]! > number
  }
  return true
}
