// mesos-log benchmark: how fast a log takes what is appended.

import { readFileSync } from 'node:fs'
import { kilobytes, megabytes, parseBytes } from '../../base/bytes.ts'
import { minutes } from '../../base/duration.ts'
import { messageOf, UserError } from '../../base/errors.ts'
import { defineFlags, flag, type FlagValues } from '../../base/flags.ts'
import { createLogger } from '../../base/logger.ts'
import type { Runtime } from '../../actors/runtime.ts'
import { systemRuntime } from '../../actors/system-runtime.ts'
import type { Command } from '../main.ts'
import { addresses } from '../server.ts'
import { type Append, appendAll, fillings, openWriter } from './appends.ts'
import { Lines } from './lines.ts'
import { checkMembers, memberFlags, openMember } from './members.ts'
import { figures, figuresText } from './figures.ts'
import { refuseRegistry } from './no-registry.ts'
import { withinTime } from './time-limit.ts'
import { json } from './where.ts'

const flags = defineFlags({
  ...memberFlags(0),
  input: flag.file({
    help: 'File with the size of each append, one a line, such as 100B or 2MB; instead of --count and --size.',
    example: '/tmp/sizes',
  }),
  count: flag.integer({ help: 'How many appends.', default: 1000, min: 1, max: 10_000_000 }),
  size: flag.bytes({
    help: 'Size of each append.',
    default: kilobytes(1),
    min: 1,
    max: megabytes(8),
  }),
  type: flag.choice(fillings, {
    help: 'What is appended: zeros, ones, or bytes by chance.',
    default: 'random',
  }),
  outstanding: flag.integer({
    help: 'How many appends are under way at a time. With 1 each waits for the one before it.',
    default: 1,
    min: 1,
    max: 10_000,
  }),
  output: flag.path({
    help: 'File for a line about each append: when it was begun (ms since the epoch), its bytes, how long it took (ms), with tabs between.',
    example: '/tmp/appends.tsv',
  }),
  timeout: flag.duration({
    help: 'How long to wait until this process is elected to write; after that the command fails.',
    default: minutes(1),
    min: 1,
  }),
  json: json('The figures as one JSON object.'),
})
type Values = FlagValues<typeof flags>

export const benchmarkCommand: Command<typeof flags> = {
  name: 'mesos-log benchmark',
  summary:
    'Appends to a log, and prints how many appends a second it took and how long each lasted. This process has a replica of the log itself. What it appends stays in the log; a log with the registry of a master in it is refused.',
  flags,
  examples: [
    'mesos-log benchmark --path=/tmp/log --count=10000 --size=4KB --outstanding=64',
    'mesos-log benchmark --path=/tmp/log --ip=10.0.0.1 --port=5051 --replicas=10.0.0.1:5051,10.0.0.2:5050,10.0.0.3:5050',
  ],
  check: values => [
    ...checkMembers(values),
    ...(values.replicas !== undefined && values.port === 0
      ? ["With '--replicas' the port has to be known: give '--port', as in that list."]
      : []),
  ],
  run: async values => {
    const sizes = sizesOf(values)
    await refuseRegistry(values.path)
    const runtime = await startRuntime(values)
    try {
      const log = await openMember(values, runtime)
      const writer = await withinTime(values.timeout, 'This process was not elected to write', () =>
        openWriter(runtime, log),
      )
      const appends = await appendAll(writer, {
        sizes,
        type: values.type,
        outstanding: values.outstanding,
      })
      await show(values, appends)
      return 0
    } finally {
      await runtime.shutdown()
    }
  },
}

async function startRuntime(values: Values): Promise<Runtime> {
  const log = createLogger({
    name: 'mesos-log',
    level: values.logging_level,
    format: values.log_format,
  })
  const { listen, advertise } = await addresses(values)
  const runtime = await systemRuntime({
    log,
    ...(values.replicas !== undefined && {
      listen: {
        ip: listen,
        port: values.port,
        advertiseHost: advertise,
        ...(values.advertise_port !== undefined && { advertisePort: values.advertise_port }),
      },
    }),
    ...(values.cluster_secret !== undefined && { trust: { secret: values.cluster_secret } }),
  })
  runtime.installFirewall(values.firewall_rules ?? {})
  return runtime
}

function sizesOf({ input, count, size }: Values): readonly number[] {
  if (input === undefined) return Array.from({ length: count }, () => size)
  const sizes = readFileOf(input)
    .split('\n')
    .map((line, index) => [line.trim(), index + 1] as const)
    .filter(([text]) => text !== '')
    .map(([text, number]) => sizeOf(text, `${input}, line ${number}`))
  if (sizes.length === 0) throw new UserError('invalid_value', `${input} has no size in it.`)
  return sizes
}

function readFileOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UserError('path_missing', `Flag '--input': ${messageOf(error)}.`)
  }
}

function sizeOf(text: string, where: string): number {
  let size: number
  try {
    size = parseBytes(text)
  } catch (error) {
    throw new UserError('invalid_value', `${where}: ${messageOf(error)}`)
  }
  if (size >= 1 && size <= megabytes(8)) return size
  throw new UserError('invalid_value', `${where}: an append has from 1B to 8MB.`)
}

async function show(values: Values, appends: readonly Append[]): Promise<void> {
  if (values.output !== undefined) {
    const file = Lines.toFile(values.output)
    for (const { atMs, bytes, tookMs } of appends) {
      await file.print(`${atMs.toFixed(3)}\t${bytes}\t${tookMs.toFixed(3)}`)
    }
    await file.end()
  }
  const measured = figures(appends)
  const lines = Lines.toOutput()
  await lines.print(values.json ? JSON.stringify(measured) : figuresText(measured))
  await lines.end()
}
