// Logs on a real disk for the tests of mesos-log: written by a log that elects itself, or record by record.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Actor } from '../../src/actors/actor.ts'
import type { Pid } from '../../src/actors/pid.ts'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { silentLogger } from '../../src/base/log.ts'
import { FileStorage, type FileStorageOptions, Log, LogService, Writer } from '../../src/log/log.ts'
import type { ReplicaRecord } from '../../src/log/storage.ts'
import { encodeEntry } from '../../src/master/registry/entry.ts'
import type { Entry, Operation } from '../../src/master/registry/operations.ts'
import type { AgentInfo } from '../../src/messages/agent.ts'

export const TIME_MS = Date.UTC(2026, 0, 31, 13, 45, 0, 123)

export const agent = (id: string, cpus = 4): AgentInfo => ({
  id: { value: id },
  hostname: `${id}.example`,
  port: 5051,
  resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: cpus } }],
})
export const admit = (id: string): Operation => ({
  type: 'admit_agent',
  info: agent(id),
  cause: { by: `slave(1)@${id}.example:5051`, why: 'registration' },
})
export const unreachable = (id: string): Operation => ({
  type: 'mark_agent_unreachable',
  agent_id: { value: id },
  time_ms: TIME_MS,
  cause: { why: 'health check timed out' },
})
export const recover = (id: string, host = '10.0.0.1'): Operation => ({
  type: 'recover',
  master: { id, ip: 0, port: 5050, pid: `master@${host}:5050`, hostname: host },
  cause: { by: `master@${host}:5050`, why: 'elected' },
})

export const entry = (content: Partial<Entry>): Entry => ({
  version: 1,
  time_ms: TIME_MS,
  master_id: 'M',
  sequence: 0,
  ...content,
})

/** Each operation as an entry of its own, a second apart. */
export function entriesOf(operations: readonly Operation[]): Uint8Array[] {
  return operations.map((operation, i) =>
    encodeEntry(entry({ operations: [operation], sequence: i, time_ms: TIME_MS + i * 1000 })),
  )
}

/** A directory that goes with the test. */
export function directory(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'mesos-log-test-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

class Writing extends Actor {
  override readonly idPrefix = 'writing'
  readonly serves = []
  readonly #log: Pid
  readonly #work: (writer: Writer) => Promise<unknown>
  readonly done: Promise<unknown>
  #settle!: (outcome: unknown) => void

  constructor(log: Pid, work: (writer: Writer) => Promise<unknown>) {
    super()
    this.#log = log
    this.#work = work
    this.done = new Promise(resolve => (this.#settle = resolve))
  }

  protected override async initialize(): Promise<void> {
    const writer = new Writer(this.ref(LogService, this.#log))
    await writer.start()
    await this.#work(writer)
    this.#settle(undefined)
  }
}

/** Writes with a log that is alone, and closes it. */
export async function writeLog(
  path: string,
  work: (writer: Writer) => Promise<unknown>,
  options: Partial<FileStorageOptions> = {},
): Promise<void> {
  const runtime = await systemRuntime({ log: silentLogger })
  const log = await Log.open({
    storage: new FileStorage({ directory: path, ...options }),
    quorum: 1,
  })
  const writing = new Writing(runtime.spawn(log, 'log(1)'), work)
  runtime.spawn(writing)
  await writing.done
  await runtime.shutdown()
  await log.closed
}

/** Writes these records as they are, each batch in one sync: also what no replica would. */
export async function writeRecords(
  path: string,
  batches: readonly (readonly ReplicaRecord[])[],
  options: Partial<FileStorageOptions> = {},
): Promise<void> {
  const storage = new FileStorage({ directory: path, ...options })
  await storage.open(
    () => {},
    () => [],
  )
  for (const records of batches) await storage.persist(records)
  await storage.close()
}

export const VOTING: ReplicaRecord = { type: 'metadata', status: 'VOTING', promised: 1 }

export const written = (
  position: number,
  bytes: Uint8Array,
  { proposal = 1, learned = true } = {},
): ReplicaRecord => ({
  ...{ type: 'write', position, proposal, learned },
  value: { type: 'APPEND', bytes: bytes as Uint8Array<ArrayBuffer> },
})
