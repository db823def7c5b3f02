// etcd as a yardstick: three members on loopback, and puts through its own gRPC service.
//
// The load comes from h2load (Debian's nghttp2-client), which is written in C and sends the same encoded PutRequest again and
// again over HTTP/2: it takes less of the machine than any client that builds and reads messages would, etcd's own
// included. Its JSON gateway, a proxy inside etcd, would cost etcd as much again.

import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { missingCommands } from './installed.ts'
import { freePorts } from './ports.ts'
import type { Scope } from './scope.ts'

const run = promisify(execFile)

const MEMBERS = 3
const CONNECTIONS = 4
const START_LIMIT_MS = 30_000
const KEY = 'bench'

/** Why it cannot be measured on this machine; undefined if it can. */
export function etcdMissing(): string | undefined {
  return missingCommands(
    ['etcd', 'etcdctl', 'h2load'],
    ['etcd-server', 'etcd-client', 'nghttp2-client'],
  )
}

export class Etcd {
  readonly #endpoint: string
  readonly #body: string

  private constructor(endpoint: string, body: string) {
    this.#endpoint = endpoint
    this.#body = body
  }

  /** Starts three members and finds the one that leads: who asks another one pays for a hop more. */
  static async open(scope: Scope, payloadBytes: number): Promise<Etcd> {
    const folder = scope.temporaryFolder()
    const ports = await freePorts(2 * MEMBERS)
    const peers = ports.slice(MEMBERS).map(port => `http://127.0.0.1:${port}`)
    const clients = ports.slice(0, MEMBERS).map(port => `http://127.0.0.1:${port}`)
    const cluster = peers.map((peer, i) => `m${i}=${peer}`).join()
    for (const [i, peer] of peers.entries()) {
      const args = [
        ['name', `m${i}`],
        ['data-dir', join(folder, `m${i}`)],
        ['listen-client-urls', clients[i]!],
        ['advertise-client-urls', clients[i]!],
        ['listen-peer-urls', peer],
        ['initial-advertise-peer-urls', peer],
        ['initial-cluster', cluster],
        ['initial-cluster-state', 'new'],
        // Warnings that a sync was slow would be most of what it says.
        ['log-level', 'error'],
      ].map(([name, value]) => `--${name}=${value}`)
      scope.start('etcd', args, { stdio: 'ignore' })
    }
    const body = join(folder, 'put')
    writeFileSync(body, putRequest(KEY, payloadBytes))
    const endpoint = await leaderOf(clients)
    return new Etcd(endpoint, body)
  }

  /** Puts one key for so long with so many requests under way; returns how many a second were answered. */
  async puts(outstanding: number, forMs: number): Promise<number> {
    const before = await this.#revision()
    const { stdout } = await run('h2load', [
      `--clients=${CONNECTIONS}`,
      `--max-concurrent-streams=${outstanding / CONNECTIONS}`,
      '--threads=1',
      `--duration=${forMs / 1_000}`,
      '--header=content-type: application/grpc',
      '--header=te: trailers',
      `--data=${this.#body}`,
      `${this.#endpoint}/etcdserverpb.KV/Put`,
    ])
    const [, done, failed] = /requests: .* (\d+) succeeded, (\d+) failed/.exec(stdout) ?? []
    const puts = Number(done)
    // gRPC reports failures in a trailer, which h2load does not look at: what counts is what etcd has.
    const revisions = (await this.#revision()) - before
    if (!(puts > 0) || Number(failed) > 0 || revisions < puts)
      throw new Error(`etcd has ${revisions} revisions more after these puts:\n${stdout}`)
    return puts / (forMs / 1_000)
  }

  async #revision(): Promise<number> {
    const { stdout } = await etcdctl(this.#endpoint, ['get', KEY, '-w', 'json'])
    return (JSON.parse(stdout) as { header: { revision: number } }).header.revision
  }
}

async function leaderOf(clients: readonly string[]): Promise<string> {
  const endMs = performance.now() + START_LIMIT_MS
  for (;;) {
    const status = await etcdctl(clients.join(), ['endpoint', 'status', '-w', 'json']).catch(
      () => undefined,
    )
    const members = status && (JSON.parse(status.stdout) as MemberStatus[])
    const leader = members?.find(
      ({ Status }) => Status.leader !== undefined && Status.leader === Status.header.member_id,
    )
    if (members?.length === clients.length && leader) return leader.Endpoint
    if (performance.now() > endMs) throw new Error('etcd has elected no leader')
    await sleep(200)
  }
}

interface MemberStatus {
  readonly Endpoint: string
  readonly Status: { readonly leader?: number; readonly header: { readonly member_id: number } }
}

function etcdctl(endpoints: string, args: readonly string[]) {
  const env = { ...process.env, ETCDCTL_API: '3' }
  return run('etcdctl', [`--endpoints=${endpoints}`, ...args], { env })
}

/** `etcdserverpb.PutRequest { key = 1; value = 2 }` in a frame of gRPC: not compressed, length, message. */
function putRequest(key: string, payloadBytes: number): Buffer {
  const message = Buffer.concat([
    field(1, Buffer.from(key)),
    field(2, Buffer.alloc(payloadBytes, 0x61)),
  ])
  const frame = Buffer.alloc(5)
  frame.writeUInt32BE(message.length, 1)
  return Buffer.concat([frame, message])
}

/** A field of bytes in protobuf's encoding. */
function field(number: number, bytes: Buffer): Buffer {
  const length: number[] = []
  for (let rest = bytes.length; ; rest >>= 7) {
    length.push(rest < 0x80 ? rest : (rest & 0x7f) | 0x80)
    if (rest < 0x80) break
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes])
}
