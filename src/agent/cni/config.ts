// What the files of `--network_cni_config_dir` say: networks in the form of the Container Network Interface (CNI), versions 0.1
// to 1.0 of its specification. One plugin (`type`), or a list of them (`plugins`) that run one after the other. Pure.

import * as v from 'valibot'
import { UserError } from '../../base/errors.ts'
import type { NetworkInfo } from '../../messages/container.ts'
import type { PluginResult } from './result.ts'

/** Plugins and networks have names that are safe as file names, and as arguments of iptables(8). */
const Name = v.pipe(v.string(), v.regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/, 'is no name'))

/** Of a configuration that does not say, as the specification has it. */
const OLDEST = '0.1.0'
const Version = v.optional(v.pipe(v.string(), v.regex(/^\d+\.\d+\.\d+$/, 'is no version')), OLDEST)

/** All else is the plugin's own. */
const PluginConfig = v.looseObject({
  type: Name,
  capabilities: v.optional(v.record(v.string(), v.boolean())),
  args: v.optional(v.record(v.string(), v.unknown())),
})
export type PluginConfig = v.InferOutput<typeof PluginConfig>

export const NetworkConfig = v.object({
  cniVersion: Version,
  name: Name,
  plugins: v.pipe(v.array(PluginConfig), v.minLength(1, 'has no plugin'), v.maxLength(32)),
})
export type NetworkConfig = v.InferOutput<typeof NetworkConfig>

const Single = v.looseObject({ ...PluginConfig.entries, cniVersion: Version, name: Name })

/** What is kept for us in `args`. */
const OURS = 'org.apache.mesos'

/** Throws a `UserError` if the text is no network's. */
export function parseNetworkConfig(text: string): NetworkConfig {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new UserError('invalid_value', 'it is no JSON')
  }
  const isList = typeof json === 'object' && json !== null && 'plugins' in json
  const parsed = isList ? v.safeParse(NetworkConfig, json) : v.safeParse(Single, json)
  if (!parsed.success) throw new UserError('invalid_value', problemIn(parsed.issues))
  const { cniVersion, name } = parsed.output
  const plugins = 'plugins' in parsed.output ? (parsed.output as NetworkConfig).plugins : undefined
  const config = { cniVersion, name, plugins: plugins ?? [parsed.output as PluginConfig] }
  if (config.plugins.some(({ args }) => args !== undefined && OURS in args)) {
    throw new UserError('invalid_value', `'${OURS}' in 'args' is not for configurations to set`)
  }
  return config
}

/** The first thing that is wrong, with where it is. */
export function problemIn(issues: readonly v.BaseIssue<unknown>[]): string {
  const [first] = issues
  const at = first ? v.getDotPath(first) : null
  return `${at === null ? '' : `'${at}': `}${first?.message ?? 'it is malformed'}`
}

/** Whether any of a network's plugins can lead ports of the machine to it. */
export function mapsPorts({ plugins }: NetworkConfig): boolean {
  return plugins.some(
    // Mesos' own reads them from `args`.
    ({ type, capabilities }) => capabilities?.['portMappings'] || type === 'mesos-cni-port-mapper',
  )
}

/** What a plugin is given on its standard input. */
export function pluginInput(
  { capabilities, ...plugin }: PluginConfig,
  { name, cniVersion }: NetworkConfig,
  info: NetworkInfo,
  previous: PluginResult | undefined,
): Readonly<Record<string, unknown>> {
  const mappings = capabilities?.['portMappings'] ? (info.port_mappings ?? []) : []
  return {
    ...plugin,
    name,
    cniVersion,
    args: { ...plugin.args, [OURS]: { network_info: info } },
    ...(mappings.length > 0 && {
      runtimeConfig: {
        portMappings: mappings.map(({ host_port, container_port, protocol }) => ({
          hostPort: host_port,
          containerPort: container_port,
          protocol: (protocol ?? 'tcp').toLowerCase(),
        })),
      },
    }),
    ...(previous && { prevResult: previous }),
  }
}
