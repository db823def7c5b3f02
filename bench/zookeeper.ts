// ZooKeeper as a yardstick: three servers on loopback, and a client in this process that is cheaper than any library.

import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAccessible, missingCommands } from './installed.ts'
import { freePorts } from './ports.ts'
import type { Scope } from './scope.ts'
import { ZooKeeperClient } from './zookeeper-client.ts'

const SERVERS = 3
const CONNECTIONS = 4
const START_LIMIT_MS = 60_000
const JAR = '/usr/share/java/zookeeper.jar'

/** Why it cannot be measured on this machine; undefined if it can. */
export function zooKeeperMissing(): string | undefined {
  const java = missingCommands(['java'], ['zookeeper'])
  if (java !== undefined) return java
  return isAccessible(JAR) ? undefined : `there is no ${JAR} (apt-get install zookeeper)`
}

export class ZooKeeper {
  readonly #clients: readonly ZooKeeperClient[]

  private constructor(clients: readonly ZooKeeperClient[]) {
    this.#clients = clients
  }

  /** Starts three servers and connects to the one that leads: who asks another one pays for a hop more. */
  static async open(scope: Scope): Promise<ZooKeeper> {
    const folder = scope.temporaryFolder()
    const ports = await freePorts(3 * SERVERS)
    const clientPorts = ports.slice(0, SERVERS)
    const servers = clientPorts.map(
      (_, i) => `server.${i + 1}=127.0.0.1:${ports[SERVERS + i]}:${ports[2 * SERVERS + i]}`,
    )
    for (const [i, port] of clientPorts.entries()) {
      const dataDir = join(folder, String(i))
      mkdirSync(dataDir)
      writeFileSync(join(dataDir, 'myid'), `${i + 1}\n`)
      const config = join(folder, `${i}.cfg`)
      const settings = [
        'tickTime=2000',
        'initLimit=10',
        'syncLimit=5',
        `dataDir=${dataDir}`,
        `clientPort=${port}`,
        'clientPortAddress=127.0.0.1',
        'admin.enableServer=false',
        ...servers,
      ]
      writeFileSync(config, `${settings.join('\n')}\n`)
      scope.start(
        'java',
        [
          '-Xmx256m',
          '-cp',
          '/usr/share/java/*:/etc/zookeeper/conf',
          'org.apache.zookeeper.server.quorum.QuorumPeerMain',
          config,
        ],
        { stdio: 'ignore' },
      )
    }
    const port = await leaderOf(clientPorts)
    const clients = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => ZooKeeperClient.connect(port)),
    )
    for (const client of clients) scope.defer(() => client.close())
    await Promise.all(clients.map((client, i) => client.create(`/bench-${i}`)))
    return new ZooKeeper(clients)
  }

  /** Sets a node's data for so long with so many requests under way; returns how many a second were answered. */
  async sets(payloadBytes: number, outstanding: number, forMs: number): Promise<number> {
    const startedMs = performance.now()
    const each = outstanding / CONNECTIONS
    const more = (): boolean => performance.now() - startedMs < forMs
    const answered = await Promise.all(
      this.#clients.map((client, i) => client.setData(`/bench-${i}`, payloadBytes, each, more)),
    )
    const ms = performance.now() - startedMs
    return (answered.reduce((sum, count) => sum + count, 0) / ms) * 1_000
  }
}

async function leaderOf(ports: readonly number[]): Promise<number> {
  const endMs = performance.now() + START_LIMIT_MS
  for (;;) {
    const modes = await Promise.all(ports.map(modeOf))
    const leader = modes.indexOf('leader')
    if (leader >= 0 && modes.every(mode => mode !== undefined)) return ports[leader]!
    if (performance.now() > endMs) throw new Error('ZooKeeper has elected no leader')
    await sleep(200)
  }
}

/** What a server says that it is; undefined while it does not serve. */
async function modeOf(port: number): Promise<string | undefined> {
  try {
    const socket = connect({ port, host: '127.0.0.1' })
    await once(socket, 'connect')
    socket.write('srvr')
    let answer = ''
    for await (const bytes of socket) answer += String(bytes)
    return /Mode: (\w+)/.exec(answer)?.[1]
  } catch {
    return undefined
  }
}
