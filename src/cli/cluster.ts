// A cluster on this machine: one master and some agents, each a process of its own, with shares of the machine.

import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { get } from 'node:http'
import { createServer } from 'node:net'
import { availableParallelism, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { megabytes } from '../base/bytes.ts'
import { UserError } from '../base/errors.ts'
import { Child } from './children.ts'
import { checkDirectory } from './work-dir.ts'

export interface ClusterOptions {
  readonly ip: string
  /** The master's port. Agents get the next ones that are free. */
  readonly port: number
  readonly agents: number
  /** Absent: a temporary directory, removed at the end. */
  readonly workDir: string | undefined
  /** Of each agent. Absent: its share of the machine. */
  readonly resources: string | undefined
  /** That all processes share; see `--cluster_secret`. */
  readonly secret: string | undefined
}

export interface Cluster {
  /** `ip:port` of the master. */
  readonly master: string
  readonly workDir: string
  /** Resolves, with what to tell, when the master has ended although nobody asked it to. */
  readonly lost: Promise<string>
  /** Starts another program that ends with the cluster, before it. */
  run(name: string, program: string, args: readonly string[], onLine: (line: string) => void): Child
  /** Ends all processes. */
  stop(): Promise<void>
}

/** From the start of the processes to the last agent's registration. */
const START_LIMIT_MS = 30_000
const POLL_MS = 30

/**
 * Starts the processes and waits until all agents are registered. Rejects with a `UserError` if the port is taken or
 * one of them ends, or `signal` is aborted; then none is left. `tell` hears of agents that end later.
 */
export async function startCluster(
  options: ClusterOptions,
  tell: (text: string) => void,
  signal: AbortSignal,
): Promise<Cluster> {
  const { ip, port, agents } = options
  if (options.workDir !== undefined) checkDirectory('work_dir', options.workDir)
  const masterPort = await claim(ip, port)
  const workDir = options.workDir ?? mkdtempSync(join(tmpdir(), 'mesos-local-'))
  const children: Child[] = []
  const programs: Child[] = []
  let stopping = false

  const stop = async (): Promise<void> => {
    stopping = true
    // Frameworks first, so that they tear down; the master last, so that it hears of everything.
    for (const group of [programs, children.slice(1), children.slice(0, 1)]) {
      await Promise.all(group.map(child => child.stop()))
    }
    if (options.workDir === undefined) rmSync(workDir, { recursive: true, force: true })
  }
  // Not by the command line, which everybody on the machine can read.
  const env = options.secret === undefined ? {} : { MESOS_CLUSTER_SECRET: options.secret }
  const start = (name: string, program: string, args: readonly string[]): Child => {
    const logFile = join(workDir, `${name}.log`)
    const child = new Child({ name, program: sibling(program), args, env, logFile })
    children.push(child)
    return child
  }
  const directory = (...parts: readonly string[]): string => {
    const path = join(workDir, ...parts)
    mkdirSync(path, { recursive: true })
    return path
  }

  try {
    const master = `${ip}:${masterPort}`
    const masterDirectory = directory('master')
    start('master', 'mesos-master.js', [
      `--ip=${ip}`,
      `--port=${masterPort}`,
      `--work_dir=${masterDirectory}`,
    ])
    let next = masterPort
    for (let i = 0; i < agents; i++) {
      next = await nextFree(ip, next + 1)
      start(`agent-${i}`, 'mesos-agent.js', [
        `--master=${master}`,
        `--ip=${ip}`,
        `--port=${next}`,
        `--work_dir=${directory('agents', String(i), 'work')}`,
        `--runtime_dir=${directory('agents', String(i), 'run')}`,
        `--resources=${options.resources ?? share(i, agents, workDir)}`,
      ])
    }
    await registered(master, agents, children, signal)
    const lost = children[0]!.ended.then(
      status => `The master has ended (${status}). Its log: ${children[0]!.logFile}`,
    )
    for (const child of children.slice(1)) {
      void child.ended.then(status => {
        if (!stopping) tell(`${child.name} has ended (${status}). Its log: ${child.logFile}`)
      })
    }
    const run: Cluster['run'] = (name, program, args, onLine) => {
      const logFile = join(workDir, `${name}.log`)
      const child = new Child({ name, program: sibling(program), args, env, logFile, onLine })
      programs.push(child)
      return child
    }
    return { master, workDir, lost, run, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const sibling = (program: string): string => fileURLToPath(new URL(program, import.meta.url))

/** What one of several agents may offer: not less than a CPU, or the usual task would fit nowhere. */
export function share(index: number, agents: number, directory: string): string {
  const cpus = Math.max(1, Math.floor(availableParallelism() / agents))
  const memory = Math.max(256, Math.floor(totalmem() / megabytes(1) / 2 / agents))
  const { bavail, bsize } = statfsSync(directory)
  const disk = Math.max(256, Math.floor((bavail * bsize) / megabytes(1) / 2 / agents))
  const firstPort = 31_000 + index * 1_000
  return `cpus:${cpus};mem:${memory};disk:${disk};ports:[${firstPort}-${firstPort + 999}]`
}

/** Resolves when the master knows so many agents; rejects if a process ends before. */
async function registered(
  master: string,
  agents: number,
  children: readonly Child[],
  signal: AbortSignal,
): Promise<void> {
  const end = performance.now() + START_LIMIT_MS
  for (;;) {
    signal.throwIfAborted()
    const failed = children.find(child => !child.running)
    if (failed) {
      throw new UserError('internal', `The process ${failed.name} has ended at once:`, {
        hint: failed.lastWords(),
      })
    }
    if ((await countAgents(master)) >= agents) return
    if (performance.now() > end) {
      const said = children.map(child => `${child.name}:\n${child.lastWords(3)}`).join('\n')
      throw new UserError('timeout', `Not all of ${agents} agents have registered in time.`, {
        hint: said,
      })
    }
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
}

function countAgents(master: string): Promise<number> {
  return new Promise(resolve => {
    const request = get(`http://${master}/state`, response => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => {
        if (response.statusCode !== 200) return resolve(0)
        const state = JSON.parse(body) as { slaves: readonly { active: boolean }[] }
        resolve(state.slaves.filter(({ active }) => active).length)
      })
    })
    request.on('error', () => resolve(0))
  })
}

async function nextFree(ip: string, from: number): Promise<number> {
  for (let port = from; ; port++) {
    if (typeof (await tryListen(ip, port)) === 'number') return port
  }
}

/** The master's port: the one that is wanted, or for 0 any. */
async function claim(ip: string, port: number): Promise<number> {
  const found = await tryListen(ip, port)
  if (typeof found === 'number') return found
  if (found.code === 'EADDRINUSE') {
    throw new UserError('address_in_use', `Port ${port} on ${ip} is in use by another process.`, {
      hint: `Stop it (find it with: ss -ltnp 'sport = :${port}'), or choose another port with --port.`,
    })
  }
  throw new UserError('invalid_value', `Cannot listen on ${ip}:${port}: ${found.message}.`, {
    hint: 'Check --ip and --port.',
  })
}

/** The port that could be listened on, and is free again; or why it could not. */
function tryListen(ip: string, port: number): Promise<number | NodeJS.ErrnoException> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', resolve)
    server.listen({ host: ip, port }, () => {
      const address = server.address()
      const found = typeof address === 'object' && address ? address.port : port
      server.close(() => resolve(found))
    })
  })
}
