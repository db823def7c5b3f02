// `npm run chaos`: three real masters under faults; exit status 1 if anything did not hold.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { messageOf } from '../../src/base/errors.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { freePorts } from '../../bench/ports.ts'
import { whyNoZooKeeper, ZooKeeperServer } from '../process/zookeeper-server.ts'
import { agentChaos } from './agent/main.ts'
import { distributionText, histogramText } from './distribution.ts'
import { FAULT_KINDS, type FaultKind, kindsFor } from './faults.ts'
import { type Hosts, insideHub, loopback, runInHub, whyNoLinks } from './hosts.ts'
import { byTheLog, type Electing } from './masters.ts'
import { runRounds } from './run.ts'

const MASTERS = 3

const USAGE = `Usage: npm run chaos -- [--rounds=N] [--seed=N] [--rate=N] [--kinds=LIST] [--zk] [--no-links] [--keep]
       npm run chaos -- agent …     agents, executors and masters; \`npm run chaos -- agent --help\` says more

  --rounds    how many faults, one after the other; default 200
  --seed      chooses them; default: any, and printed
  --rate      writes a second, about; default 20
  --kinds     of faults, with commas between; default: all that can be brought about
  --zk        a real ZooKeeper elects the masters; default: they elect one another through their log
  --no-links  signals only, on loopback; links are cut only by root, in network namespaces
  --keep      leaves the directory with logs and work_dirs, and says where it is

Kinds: ${FAULT_KINDS.join(', ')}
`

interface Options {
  readonly rounds: number
  readonly seed: number
  readonly rate: number
  readonly kinds: readonly FaultKind[] | undefined
  readonly zk: boolean
  readonly links: boolean
  readonly keep: boolean
}

/** Throws an `Error` that says what is wrong. */
function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '200' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      rate: { type: 'string', default: '20' },
      kinds: { type: 'string' },
      zk: { type: 'boolean', default: false },
      'no-links': { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const whole = (name: 'rounds' | 'seed' | 'rate', least: number): number => {
    const number = Number(values[name])
    if (values[name] !== '' && Number.isSafeInteger(number) && number >= least) return number
    throw new Error(`--${name} must be a whole number from ${least} on, not '${values[name]}'`)
  }
  return {
    rounds: whole('rounds', 1),
    seed: whole('seed', 0),
    rate: whole('rate', 1),
    kinds: values.kinds?.split(',').map(kindOf),
    zk: values.zk,
    links: !values['no-links'],
    keep: values.keep,
  }
}

function kindOf(text: string): FaultKind {
  const kind = FAULT_KINDS.find(it => it === text)
  if (kind) return kind
  throw new Error(`--kinds: there is no '${text}'`)
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

async function main(): Promise<number> {
  let options: Options | undefined
  try {
    options = readOptions()
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${USAGE}`)
    return 2
  }
  if (!options) return (say(USAGE), 0)
  const inside = insideHub(MASTERS)
  if (inside) return chaos(options, inside)
  // Out here, where it can be installed if it is missing.
  const missing = options.zk ? whyNoZooKeeper() : undefined
  if (missing !== undefined) return (process.stderr.write(`${missing}\n`), 1)
  if (options.links) {
    const why = whyNoLinks()
    if (why === undefined) return runInHub(MASTERS)
    say(`links are not cut: ${why}`)
  }
  return chaos(options, await loopback(MASTERS))
}

async function chaos(options: Options, hosts: Hosts): Promise<number> {
  const { rounds, seed, rate, keep } = options
  const possible = kindsFor({ links: hosts.links !== undefined, zookeeper: options.zk })
  const impossible = options.kinds?.find(kind => !possible.includes(kind))
  if (impossible !== undefined) {
    const needs = impossible.startsWith('zk ') ? '--zk' : 'links that can be cut'
    process.stderr.write(`--kinds: '${impossible}' needs ${needs}\n`)
    return 2
  }
  const dir = mkdtempSync(join(tmpdir(), 'mesos-chaos-'))
  const zookeeper = options.zk ? await startZooKeeper(hosts, dir) : undefined
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.once(signal, () => process.exit(128 + number))
  }
  process.once('exit', () => {
    void zookeeper?.kill()
    if (!keep) rmSync(dir, { recursive: true, force: true })
  })
  say(`seed ${seed}, ${rounds} rounds, ${zookeeper ? 'ZooKeeper elects' : 'the log elects'}`)
  try {
    const report = await runRounds({
      hosts,
      dir,
      electing: zookeeper ? byZooKeeper(zookeeper) : byTheLog,
      ...(zookeeper && { zookeeper }),
      random: new SeededRandom(seed),
      kinds: options.kinds ?? possible,
      rounds,
      rate,
      say,
    })
    const { failoverMs, kept, acknowledged, terms, problems } = report
    say('from the fault to the next leader’s first acknowledged write:')
    say(distributionText(failoverMs))
    say(histogramText([...failoverMs.values()].flat()))
    say(`${kept} faults of a leader left it the leader`)
    say(`${acknowledged} writes acknowledged by ${terms} leaders, ${problems.length} problems`)
    for (const problem of problems) say(`PROBLEM: ${problem}`)
    if (problems.length > 0) say(`again: npm run chaos -- --seed=${seed} --rounds=${rounds}`)
    return problems.length > 0 ? 1 : 0
  } finally {
    if (keep) say(`logs and work_dirs: ${dir}`)
    await zookeeper?.kill()
  }
}

const SESSION_MS = 2_000

const byZooKeeper =
  (server: ZooKeeperServer): Electing =>
  addresses => [
    `--zk=zk://${server.address}/mesos`,
    `--zk_session_timeout=${SESSION_MS}ms`,
    `--quorum=${Math.floor(addresses.length / 2) + 1}`,
  ]

async function startZooKeeper(hosts: Hosts, dir: string): Promise<ZooKeeperServer> {
  const [port] = await freePorts(1)
  const server = new ZooKeeperServer(join(dir, 'zookeeper'), port!, hosts.zookeeper)
  await server.start()
  return server
}

const [first, ...rest] = process.argv.slice(2)
process.exitCode = first === 'agent' ? await agentChaos(rest) : await main()
