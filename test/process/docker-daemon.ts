// A real Docker for tests: Debian's, in a directory of its own, with one image that needs no registry.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { until } from './real-cluster.ts'

const DOCKER = '/usr/bin/docker'
const DOCKERD = '/usr/sbin/dockerd'
const BUSYBOX = '/bin/busybox'
const APPLETS = ['sh', 'sleep', 'echo', 'cat', 'env', 'dd', 'test', 'id', 'head', 'httpd', 'ls']
/** Its networks are seen by nobody else: it makes bridges, and routes. */
const IN_OWN_NETWORK = ['--net', 'sh', '-c', 'ip link set lo up; exec "$@"', 'sh', DOCKERD]

/** The image of the tests. */
export const IMAGE = 'busybox:test'

/** Why there is none; undefined if there is. Whoever is root gets it installed. */
export function whyNoDocker(): string | undefined {
  if (process.getuid?.() !== 0) return 'Docker needs root'
  if (isInstalled()) return undefined
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const wait = ['-o', 'DPkg::Lock::Timeout=300']
  const aptGet = (...args: string[]) =>
    spawnSync('apt-get', [...args, ...wait], { env, encoding: 'utf8', timeout: 300_000 })
  aptGet('update')
  const { stderr } = aptGet(
    'install',
    '-y',
    '--no-install-recommends',
    'docker.io',
    'busybox-static',
  )
  if (isInstalled()) return undefined
  return `Docker could not be installed (${(stderr ?? '').trim().split('\n').at(-1)}); install it: apt-get install docker.io busybox-static`
}

const isInstalled = (): boolean => [DOCKER, DOCKERD, BUSYBOX].every(path => existsSync(path))

export class DockerDaemon {
  readonly command = DOCKER
  readonly socket: string
  readonly #dir: string
  readonly #hasNetworks: boolean
  #process: ChildProcess | undefined
  #output = ''

  /** With networks, what it calls its host has a network of its own. */
  constructor(dir: string, options: { readonly hasNetworks?: boolean } = {}) {
    this.#dir = dir
    this.#hasNetworks = options.hasNetworks ?? false
    this.socket = join(dir, 'docker.sock')
    mkdirSync(dir, { recursive: true })
  }

  /** Resolves with why it does not run here; undefined if it does. */
  async start(): Promise<string | undefined> {
    const at = (name: string): string => join(this.#dir, name)
    const daemon = spawn(
      this.#hasNetworks ? 'unshare' : DOCKERD,
      [
        ...(this.#hasNetworks ? IN_OWN_NETWORK : []),
        ...['--data-root', at('data'), '--exec-root', at('exec'), '--pidfile', at('pid')],
        ...['--host', `unix://${this.socket}`, '--iptables=false', '--ip6tables=false'],
        ...(this.#hasNetworks ? [] : ['--bridge=none']),
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    daemon.stdout.on('data', chunk => (this.#output += String(chunk)))
    daemon.stderr.on('data', chunk => (this.#output += String(chunk)))
    this.#process = daemon
    let hasEnded = false
    daemon.once('close', () => (hasEnded = true))
    await until(() => hasEnded || this.docker('version').status === 0, 'Docker answers', 60_000)
    if (hasEnded) return `Docker does not run here: ${this.#output.trim().split('\n').at(-1)}`
    return this.#import()
  }

  #import(): string | undefined {
    const root = join(this.#dir, 'image')
    mkdirSync(join(root, 'bin'), { recursive: true })
    mkdirSync(join(root, 'tmp'))
    copyFileSync(BUSYBOX, join(root, 'bin/busybox'))
    for (const name of APPLETS) symlinkSync('busybox', join(root, 'bin', name))
    const tar = join(this.#dir, 'image.tar')
    spawnSync('tar', ['-C', root, '-cf', tar, '.'])
    this.docker('import', tar, IMAGE)
    // The machine may let a daemon run, and no container.
    const { status, stderr } = this.docker(
      'run',
      '--rm',
      '--network=host',
      IMAGE,
      'sh',
      '-c',
      'true',
    )
    return status === 0 ? undefined : `Docker runs no container here: ${stderr.trim()}`
  }

  docker(...args: string[]) {
    return spawnSync(DOCKER, ['--host', `unix://${this.socket}`, ...args], { encoding: 'utf8' })
  }

  /** Asks an address of its own network; what came. */
  get(url: string): string {
    const net = `--net=/proc/${this.#process!.pid}/ns/net`
    return spawnSync('nsenter', [net, BUSYBOX, 'wget', '-qO-', url], { encoding: 'utf8' }).stdout
  }

  /** Names of containers. */
  names(...more: string[]): string[] {
    const { stdout } = this.docker('ps', '--format={{.Names}}', ...more)
    return stdout.split('\n').filter(name => name !== '')
  }

  async stop(): Promise<void> {
    const daemon = this.#process
    if (!daemon || daemon.exitCode !== null) return
    const all = this.names('--all')
    if (all.length > 0) this.docker('rm', '--force', '--volumes', ...all)
    const ended = new Promise(done => daemon.once('close', done))
    daemon.kill('SIGTERM')
    await ended
    // What it mounted for itself.
    for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n').toReversed()) {
      const [, path = ''] = line.split(' ')
      if (path.startsWith(`${this.#dir}/`)) spawnSync('umount', [path])
    }
  }
}
