// A real ZooKeeper for tests: Debian's, on loopback, in a directory of its own.

import { spawnSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { until } from './real-cluster.ts'

const JAR = '/usr/share/java/zookeeper.jar'
const CONFIG = '/etc/zookeeper/conf'

/** Why there is none; undefined if there is. Whoever is root gets it installed. */
export function whyNoZooKeeper(): string | undefined {
  if (isInstalled()) return undefined
  const how = 'install it: apt-get install zookeeper'
  if (process.getuid?.() !== 0) return `no ZooKeeper on this machine; ${how}`
  const wait = ['-o', 'DPkg::Lock::Timeout=300']
  aptGet(['update', ...wait])
  const said = aptGet(['install', '-y', '--no-install-recommends', ...wait, 'zookeeper'])
  if (isInstalled()) return undefined
  return `ZooKeeper could not be installed (${said.trim().split('\n').at(-1)}); ${how}`
}

function aptGet(args: readonly string[]): string {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync('apt-get', args, { env, encoding: 'utf8', timeout: 300_000 }).stderr ?? ''
}

const isInstalled = (): boolean => existsSync(JAR) && spawnSync('java', ['-version']).status === 0

export class ZooKeeperServer {
  readonly #dir: string
  readonly port: number
  readonly #host: string
  #process: ChildProcess | undefined
  #output = ''

  constructor(dir: string, port: number, host = '127.0.0.1') {
    this.#dir = dir
    this.#host = host
    this.port = port
    mkdirSync(dir, { recursive: true })
    const lines = [
      // Half a second: sessions may be as short as twice that.
      'tickTime=500',
      `dataDir=${dir}`,
      `clientPort=${port}`,
      `clientPortAddress=${host}`,
      'admin.enableServer=false',
      '4lw.commands.whitelist=ruok',
    ]
    writeFileSync(join(dir, 'zoo.cfg'), `${lines.join('\n')}\n`)
  }

  get address(): string {
    return `${this.#host}:${this.port}`
  }

  async start(): Promise<void> {
    const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
    const options = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']
    const args = [...options, '-cp', `/usr/share/java/*:${CONFIG}`, main]
    const server = spawn('java', [...args, join(this.#dir, 'zoo.cfg')], {
      cwd: this.#dir,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    server.stdout.on('data', chunk => (this.#output += String(chunk)))
    server.stderr.on('data', chunk => (this.#output += String(chunk)))
    this.#process = server
    await until(() => this.#isOk(), `ZooKeeper serves; it said:\n${this.#output}`, 30_000)
  }

  /** Ends it at once; what it has is on its disk. */
  async kill(): Promise<void> {
    const server = this.#process
    if (!server) return
    this.#process = undefined
    const ended = new Promise(done => server.once('close', done))
    server.kill('SIGKILL')
    await ended
  }

  /** As if it could not be reached, though it takes connections. */
  pause(): void {
    this.#process?.kill('SIGSTOP')
  }

  resume(): void {
    this.#process?.kill('SIGCONT')
  }

  #isOk(): Promise<boolean> {
    return new Promise(resolve => {
      let answer = ''
      const socket = connect(this.port, this.#host)
      // While it starts it may take a connection, and never answer.
      socket.setTimeout(500, () => socket.destroy())
      socket.on('connect', () => socket.write('ruok'))
      socket.on('data', chunk => (answer += String(chunk)))
      socket.on('error', () => resolve(false))
      socket.on('close', () => resolve(answer === 'imok'))
    })
  }
}
