// The actor runtime beside Erlang/OTP, and beside the libraries it stands on, used by hand.

import { erlangMissing, openErlang, openErlangPair } from './erlang.ts'
import { type Contest, experiment } from './harness.ts'
import { DEFAULT_LIMITS } from '../src/actors/limits.ts'
import type { Pid } from '../src/actors/pid.ts'
import type { Program } from './program.ts'
import type { ActorsProgram } from './programs/actors.ts'
import type { BareProgram } from './programs/bare.ts'
import type { CrowdProgram } from './programs/crowd.ts'
import type { StuckProgram } from './programs/stuck.ts'
import type { Scope } from './scope.ts'

const LOCAL = 'actors.local_tells'
const RING = 'actors.ring'
const SPAWN = 'actors.spawn'
const BYTES = 'actors.bytes_each'
const REMOTE = 'actors.remote_tells'
const REMOTE_BARE = 'actors.remote_tells_bare'
const LATENCY = 'actors.ask_one'
const CALLS = 'actors.ask_256'
const BROADCAST = 'actors.broadcast'
const BESIDE_STUCK = 'actors.beside_stuck'
const STUCK_MEMORY = 'actors.stuck_memory'

const LOCAL_NOTES = 1_000_000
const RING_SIZE = 10_000
const RING_TOKENS = 100
const RING_HOPS = 10_000
const SPAWNED = 1_000_000
const REMOTE_NOTES = 500_000
const ECHOES = 5_000
/** About what a question of `ask_one` takes on the wire; its answer is shorter, the echo is not. */
const ECHO_BYTES = 56
const CALLERS = 256
const ASKERS = 64
const CALLS_MADE = 51_200
const CROWD = 1_000
const BROADCASTS = 100
const BESIDE_NOTES = 5_000_000
const STUCK_BYTES = 2 ** 30

export const experiments = [
  experiment({
    figures: {
      [LOCAL]: {
        unit: 'messages/s',
        yardstick: { what: 'Erlang/OTP, the same map from one process to another of a node' },
        goal: { atLeast: 5 },
      },
    },
    skip: erlangMissing,
    open: openLocal,
  }),
  experiment({
    figures: {
      [RING]: {
        unit: 'hops/s',
        yardstick: {
          what: `Erlang/OTP, ${RING_TOKENS} tokens in a ring of ${RING_SIZE} processes`,
        },
        goal: { atLeast: 1 },
      },
    },
    skip: erlangMissing,
    open: openRing,
  }),
  experiment({
    figures: {
      [SPAWN]: {
        unit: 'actors/s',
        yardstick: {
          what: 'Erlang/OTP, a million processes spawned, then ended by a message each',
        },
        goal: { atLeast: 1 },
      },
      [BYTES]: {
        unit: 'bytes',
        yardstick: { what: 'Erlang/OTP, growth of erlang:memory(total) for each of the million' },
        goal: { atMost: 0.5 },
      },
    },
    skip: erlangMissing,
    open: openSpawn,
  }),
  experiment({
    figures: {
      [REMOTE]: {
        unit: 'messages/s',
        yardstick: { what: 'Erlang distribution between two nodes over loopback, the same map' },
        goal: { atLeast: 3 },
      },
    },
    skip: erlangMissing,
    open: openRemote,
  }),
  experiment({
    figures: {
      [REMOTE_BARE]: {
        unit: 'messages/s',
        yardstick: { what: 'bare ws and msgpackr, batches of 1,000 by hand, nothing checked' },
        goal: { atLeast: 0.8 },
      },
    },
    open: openRemoteBare,
  }),
  experiment({
    figures: {
      [LATENCY]: {
        unit: 'µs',
        yardstick: { what: 'bare ws that sends 56 bytes back' },
        goal: { atMost: 1.25 },
      },
    },
    open: openLatency,
  }),
  experiment({
    figures: {
      [CALLS]: {
        unit: 'requests/s',
        yardstick: { what: `gen_server:call of ${CALLERS} processes between two Erlang nodes` },
        goal: { atLeast: 1.5 },
      },
    },
    skip: erlangMissing,
    open: openCalls,
  }),
  experiment({
    figures: {
      [BROADCAST]: {
        unit: 'ms',
        yardstick: {
          what: `bare ws, the same ready bytes sent to ${CROWD} sockets; CPU time of the sender`,
        },
        goal: { atMost: 2 },
      },
    },
    open: openBroadcast,
  }),
  experiment({
    figures: {
      [BESIDE_STUCK]: {
        unit: 'messages/s',
        yardstick: { what: 'the same sender without a peer that does not read, and 1 GiB for it' },
        goal: { atLeast: 0.9 },
      },
      [STUCK_MEMORY]: {
        unit: 'MiB',
        yardstick: { what: 'the limit for one peer, maxQueuedBytes (constant)' },
        goal: { atMost: 1 },
      },
    },
    open: openStuck,
  }),
]

async function openLocal(scope: Scope): Promise<Contest<typeof LOCAL>> {
  const actors = await openActors(scope)
  const erlang = await openErlang(scope)
  return warm({
    ours: async () => ({
      [LOCAL]: rate(LOCAL_NOTES, await actors.call('send', { count: LOCAL_NOTES })),
    }),
    yardstick: async () => ({
      [LOCAL]: rate(LOCAL_NOTES, ms(await erlang.run('local', LOCAL_NOTES))),
    }),
  })
}

async function openRing(scope: Scope): Promise<Contest<typeof RING>> {
  const actors = await openActors(scope)
  await actors.call('openRing', { size: RING_SIZE })
  const erlang = await openErlang(scope)
  await erlang.run('ring_open', RING_SIZE)
  const hops = RING_TOKENS * RING_HOPS
  const command = { tokens: RING_TOKENS, hops: RING_HOPS }
  return warm({
    ours: async () => ({ [RING]: rate(hops, await actors.call('pass', command)) }),
    yardstick: async () => ({
      [RING]: rate(hops, ms(await erlang.run('ring_pass', RING_TOKENS, RING_HOPS))),
    }),
  })
}

async function openSpawn(scope: Scope): Promise<Contest<typeof SPAWN | typeof BYTES>> {
  const actors = await openActors(scope)
  const erlang = await openErlang(scope)
  await actors.call('spawnAndEnd', { count: SPAWNED / 10 })
  return {
    async ours() {
      const { tookMs, bytesEach } = await actors.call('spawnAndEnd', { count: SPAWNED })
      return { [SPAWN]: rate(SPAWNED, tookMs), [BYTES]: bytesEach }
    },
    async yardstick() {
      const [micros = 0, bytesEach = 0] = await erlang.run('spawn', SPAWNED)
      return { [SPAWN]: rate(SPAWNED, micros / 1_000), [BYTES]: bytesEach }
    },
  }
}

async function openRemote(scope: Scope): Promise<Contest<typeof REMOTE>> {
  const { sender, to } = await openActorsPair(scope)
  const erlang = await openErlangPair(scope)
  const command = ['remote', erlang.peer, REMOTE_NOTES] as const
  return warm({
    ours: async () => ({
      [REMOTE]: rate(REMOTE_NOTES, await sender.call('send', { to, count: REMOTE_NOTES })),
    }),
    yardstick: async () => ({
      [REMOTE]: rate(REMOTE_NOTES, ms(await erlang.sender.run(...command))),
    }),
  })
}

async function openRemoteBare(scope: Scope): Promise<Contest<typeof REMOTE_BARE>> {
  const { sender, to } = await openActorsPair(scope)
  const bare = await openBarePair(scope, '/')
  return warm({
    ours: async () => ({
      [REMOTE_BARE]: rate(REMOTE_NOTES, await sender.call('send', { to, count: REMOTE_NOTES })),
    }),
    yardstick: async () => ({
      [REMOTE_BARE]: rate(REMOTE_NOTES, await bare.call('send', { count: REMOTE_NOTES })),
    }),
  })
}

async function openLatency(scope: Scope): Promise<Contest<typeof LATENCY>> {
  const { sender, to } = await openActorsPair(scope)
  const bare = await openBarePair(scope, '/echo')
  const question = { to, actors: 1, openEach: 1, count: ECHOES }
  const each = (tookMs: number): number => (tookMs / ECHOES) * 1_000
  return warm({
    ours: async () => ({ [LATENCY]: each(await sender.call('ask', question)) }),
    yardstick: async () => ({
      [LATENCY]: each(await bare.call('echo', { count: ECHOES, sizeBytes: ECHO_BYTES })),
    }),
  })
}

async function openCalls(scope: Scope): Promise<Contest<typeof CALLS>> {
  const { sender, to } = await openActorsPair(scope)
  const erlang = await openErlangPair(scope)
  const question = { to, actors: ASKERS, openEach: CALLERS / ASKERS, count: CALLS_MADE }
  const command = ['calls', erlang.peer, CALLERS, CALLS_MADE] as const
  return warm({
    ours: async () => ({ [CALLS]: rate(CALLS_MADE, await sender.call('ask', question)) }),
    yardstick: async () => ({
      [CALLS]: rate(CALLS_MADE, ms(await erlang.sender.run(...command))),
    }),
  })
}

async function openBroadcast(scope: Scope): Promise<Contest<typeof BROADCAST>> {
  const [speaker, listeners, server, clients] = [1, 2, 3, 4].map(() =>
    scope.program<CrowdProgram>('crowd'),
  ) as [Crowd, Crowd, Crowd, Crowd]
  const to = await speaker.call('speaker')
  const joined = speaker.call('joined', { count: CROWD })
  await listeners.call('listeners', { to, count: CROWD })
  await joined
  const port = await server.call('listen')
  const connected = server.call('joined', { count: CROWD })
  await clients.call('connect', { port, count: CROWD })
  await connected
  const times = { times: BROADCASTS }
  return warm({
    ours: async () => ({ [BROADCAST]: (await speaker.call('speak', times)) / BROADCASTS }),
    yardstick: async () => ({ [BROADCAST]: (await server.call('send', times)) / BROADCASTS }),
  })
}

type Crowd = Program<CrowdProgram>

async function openStuck(
  scope: Scope,
): Promise<Contest<typeof BESIDE_STUCK | typeof STUCK_MEMORY>> {
  const { maxQueuedBytes } = DEFAULT_LIMITS
  const healthy = scope.program<StuckProgram>('stuck')
  const sender = scope.program<StuckProgram>('stuck')
  const to = await healthy.call('receive')
  await sender.call('start', { maxQueuedBytes })
  const order = { to, notes: BESIDE_NOTES, loadBytes: STUCK_BYTES }
  // What it takes to send at all is no cost of the other peer.
  const { peakBytes: quietBytes } = await sender.call('send', order)
  const speed = (tookMs: number): number => rate(BESIDE_NOTES, tookMs)
  return warm({
    async ours() {
      const inner = scope.nested()
      const stuck = inner.program<StuckProgram>('stuck')
      const loadsTo = await stuck.call('receive')
      await sender.call('reach', { to: loadsTo })
      // A process that stands still: its sockets stay open, and nothing is read from them.
      process.kill(stuck.pid!, 'SIGSTOP')
      try {
        const { tookMs, peakBytes } = await sender.call('send', { ...order, loadsTo })
        return { [BESIDE_STUCK]: speed(tookMs), [STUCK_MEMORY]: (peakBytes - quietBytes) / MIB }
      } finally {
        process.kill(stuck.pid!, 'SIGCONT')
        await inner.close()
      }
    },
    async yardstick() {
      const { tookMs } = await sender.call('send', order)
      return { [BESIDE_STUCK]: speed(tookMs), [STUCK_MEMORY]: maxQueuedBytes / MIB }
    },
  })
}

const MIB = 1024 * 1024

/** One run of each that does not count. */
async function warm<Name extends string>(contest: Contest<Name>): Promise<Contest<Name>> {
  await contest.ours()
  await contest.yardstick()
  return contest
}

const MORE_HEAP = ['--expose-gc', '--max-old-space-size=8192']

async function openActors(scope: Scope): Promise<Program<ActorsProgram>> {
  const actors = scope.program<ActorsProgram>('actors', MORE_HEAP)
  await actors.call('start', { listen: false })
  return actors
}

async function openActorsPair(scope: Scope): Promise<{ sender: Program<ActorsProgram>; to: Pid }> {
  const receiver = scope.program<ActorsProgram>('actors')
  const to = await receiver.call('start', { listen: true })
  const sender = scope.program<ActorsProgram>('actors')
  await sender.call('start', { listen: false })
  return { sender, to }
}

async function openBarePair(scope: Scope, path: string): Promise<Program<BareProgram>> {
  const receiver = scope.program<BareProgram>('bare')
  const port = await receiver.call('listen')
  const sender = scope.program<BareProgram>('bare')
  await sender.call('connect', { port, path })
  return sender
}

function rate(count: number, tookMs: number): number {
  return (count / tookMs) * 1_000
}

/** Erlang answers in microseconds. */
function ms(answer: readonly number[]): number {
  return (answer[0] ?? Number.NaN) / 1_000
}
