// Real networks for tests: Debian's CNI plugins, on bridges of this process' own, of which nothing may be left.

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'

const PLUGINS = '/usr/lib/cni'
const PARTS = ['bridge', 'host-local', 'loopback', 'portmap'].map(name => `${PLUGINS}/${name}`)
const PROGRAMS = ['/usr/sbin/iptables', '/bin/ip']
const PACKAGES = ['containernetworking-plugins', 'iptables', 'iproute2']

const areThere = (): boolean => [...PARTS, ...PROGRAMS].every(path => existsSync(path))

/** Why there are no networks; undefined if there are. Whoever is root gets the plugins installed. */
export function whyNoNetworks(): string | undefined {
  if (process.getuid?.() !== 0) return 'networks need root'
  if (!areThere()) install()
  if (!areThere())
    return `CNI plugins could not be installed; apt-get install ${PACKAGES.join(' ')}`
  const { status, stderr } = spawnSync('unshare', ['--net', '--uts', 'true'])
  return status === 0 ? undefined : `network namespaces are not to be had: ${String(stderr)}`
}

function install(): void {
  const wait = ['-o', 'DPkg::Lock::Timeout=300']
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [
    ['update', ...wait],
    ['install', '-y', '--no-install-recommends', ...wait, ...PACKAGES],
  ]) {
    spawnSync('apt-get', args, { env, timeout: 300_000 })
  }
}

let count = 0

/** Networks below a directory; `flags` are an agent's that has them. */
export class TestNetworks {
  readonly #top: string
  readonly #runtime: string
  readonly #bridges: string[] = []

  /** `runtime`: the name of the agent's runtime directory there. */
  constructor(top: string, runtime = 'run') {
    this.#top = top
    this.#runtime = runtime
    for (const name of ['networks', 'plugins']) mkdirSync(`${top}/${name}`, { recursive: true })
  }

  get flags(): string[] {
    return [
      `--network_cni_plugins_dir=${PLUGINS}:${this.#top}/plugins`,
      `--network_cni_config_dir=${this.#top}/networks`,
    ]
  }

  /** A bridge with a network of 10.213.0.0/16 that is this process' own, and other plugins after it. */
  bridge(name: string, ...more: readonly object[]): { readonly gateway: string } {
    const number = ++count
    const bridge = `mt${process.pid % 10 ** 9}x${number}`
    this.#bridges.push(bridge)
    const subnet = `10.213.${(process.pid * 7 + number) % 256}`
    const plugin = {
      type: 'bridge',
      bridge,
      isGateway: true,
      ipam: {
        type: 'host-local',
        dataDir: `${this.#top}/leases`,
        ranges: [[{ subnet: `${subnet}.0/24` }]],
      },
    }
    this.write(name, { cniVersion: '0.4.0', name, plugins: [plugin, ...more] })
    return { gateway: `${subnet}.1` }
  }

  write(name: string, config: object): void {
    writeFileSync(`${this.#top}/networks/${name}.conflist`, JSON.stringify(config))
  }

  /** A plugin of the test's own. */
  plugin(type: string, script: string): void {
    const path = `${this.#top}/plugins/${type}`
    writeFileSync(path, `#!/bin/sh\n${script}\n`)
    chmodSync(path, 0o755)
  }

  /** What is there of containers: their interfaces on the bridges, their addresses, mounts and records. */
  left(): string[] {
    const links = this.#bridges.flatMap(bridge => [
      ...ip('-o', 'link', 'show', 'master', bridge).split('\n'),
    ])
    const files = ['leases', `${this.#runtime}/isolators/network/cni`].flatMap(name =>
      below(`${this.#top}/${name}`),
    )
    const mounts = spawnSync('grep', [this.#top, '/proc/self/mountinfo'], { encoding: 'utf8' })
    return [...links, ...files, ...mounts.stdout.split('\n')].filter(line => line !== '')
  }

  /** Also what a test that failed left, which nobody else will find. */
  remove(): void {
    const table = readFileSync('/proc/self/mountinfo', 'utf8')
    for (const line of table.split('\n')) {
      const path = line.split(' ')[4]
      if (path?.startsWith(`${this.#top}/`)) spawnSync('umount', ['-l', path])
    }
    for (const bridge of this.#bridges) ip('link', 'delete', bridge)
  }
}

function ip(...args: string[]): string {
  return spawnSync('ip', args, { encoding: 'utf8' }).stdout
}

/** Leases and records; what plugins keep for themselves is none. */
function below(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { recursive: true })
    .map(String)
    .filter(name => !/(^|\/)(lock|last_reserved_ip\.\d+)$/.test(name) && name.includes('/'))
}

const NAT = ['-w', '-t', 'nat']
const iptables = (...args: string[]): string =>
  spawnSync('iptables', [...NAT, ...args], { encoding: 'utf8' }).stdout ?? ''

/** Rules of portmap that lead to a port. */
export const rulesOf = (port: number): string[] =>
  iptables('-S')
    .split('\n')
    .filter(line => line.includes(`${port}`))

/** The chains that portmap makes once for all containers stay, as it wants them to; a test takes them away if they are empty. */
export function removeChains(): void {
  const chains = ['CNI-HOSTPORT-DNAT', 'CNI-HOSTPORT-MASQ', 'CNI-HOSTPORT-SETMARK']
  const rules = iptables('-S').split('\n')
  if (rules.some(rule => rule.startsWith('-A CNI-HOSTPORT-DNAT'))) return
  for (const rule of rules) {
    if (!/^-A (PREROUTING|OUTPUT|POSTROUTING) .*CNI-HOSTPORT/.test(rule)) continue
    const words = [...rule.matchAll(/"([^"]*)"|(\S+)/g)].map(
      ([, quoted, plain]) => quoted ?? plain!,
    )
    iptables('-D', ...words.slice(1))
  }
  for (const chain of chains) iptables('-F', chain)
  for (const chain of chains) iptables('-X', chain)
}
