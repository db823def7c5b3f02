// Real containers outlive a real process that launched them, and the next one learns how they ended.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import t, { type Test } from 'tap'
import { newToken } from '../../src/agent/agent-guard.ts'
import { whyNoCgroups } from '../../src/agent/containerizer/cgroup-tree.ts'
import type { LaunchedProcess } from '../../src/agent/processes.ts'
import { describeWaitStatus } from '../../src/agent/wait-status.ts'
import { ADOPTION_HOST } from './adoption-host.ts'
import { nextContainerizer } from './containers.ts'

const LONG = 600_000
/** Rounds of kills at random moments. The long form: MESOS_TEST_ADOPTION_ROUNDS=100. */
const ROUNDS = Number(process.env['MESOS_TEST_ADOPTION_ROUNDS'] ?? 2)

const noCgroups = whyNoCgroups('/sys/fs/cgroup')
const launchers: readonly { name: string; flags: string; skip?: string }[] = [
  { name: 'posix', flags: '' },
  {
    name: 'linux',
    flags: '--launcher=linux --isolation=cgroups/mem,cgroups/pids,namespaces/pid',
    ...(noCgroups !== undefined && { skip: noCgroups }),
  },
  {
    name: 'linux, without namespaces',
    flags: '--launcher=linux --isolation=cgroups/cpu',
    ...(noCgroups !== undefined && { skip: noCgroups }),
  },
]

t.setTimeout(600_000)

let count = 0

function place(t: Test, launcherFlags: string) {
  // Not the test's own directory: that is gone before the teardown, and with it what the guard goes by.
  const top = mkdtempSync(`${tmpdir()}/mesos-test-`)
  mkdirSync(`${top}/box`)
  const runtimeDir = `${top}/run`
  const root = `mesos_adopt_${process.pid}_${++count}`
  const flags = launcherFlags === '' ? '' : `${launcherFlags} --cgroups_root=${root}`
  const token = newToken()
  const hosts: ChildProcess[] = []
  t.teardown(async () => {
    for (const host of hosts) if (host.exitCode === null) host.kill('SIGKILL')
    const last = await nextContainerizer({ runtimeDir, token }, ...flags.split(' ').filter(Boolean))
    await last.recover([])
    await last.close()
    const groups = existsSync('/sys/fs/cgroup/freezer') ? readdirSync('/sys/fs/cgroup/freezer') : []
    if (groups.includes(root)) throw new Error('control groups are left')
    const left = ['containers', 'leases', 'guards'].flatMap(directory =>
      readdirSync(`${runtimeDir}/${directory}`).map(name => `${directory}/${name}`),
    )
    if (left.length > 0) throw new Error(`${left.join(' ')} are left`)
    if (marked(token).length > 0) throw new Error('processes are left')
    rmSync(top, { recursive: true })
  })
  return {
    token,
    /** An agent's process that has launched these. */
    host: async (scripts: Record<string, string>, timeoutMs = LONG): Promise<ChildProcess> => {
      const args = [runtimeDir, `${top}/box`, token, String(timeoutMs), flags]
      const containers = Object.entries(scripts).map(([name, script]) => `${name}=${script}`)
      const host = spawn(process.execPath, [ADOPTION_HOST, ...args, ...containers], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      hosts.push(host)
      await new Promise<void>(resolve =>
        host.stdout.on('data', (bytes: Buffer) => {
          if (bytes.toString().includes('ready')) resolve()
        }),
      )
      return host
    },
    next: async (...known: string[]) => {
      const processes = await nextContainerizer(
        { runtimeDir, token, recoveryTimeoutMs: LONG },
        ...flags.split(' ').filter(Boolean),
      )
      const found = await processes.recover(
        known.map(containerId => ({ containerId, cwd: `${top}/box` })),
      )
      return { processes, found }
    },
    recorded: () => readdirSync(`${runtimeDir}/containers`),
    files: (): string[] => {
      try {
        return readdirSync(`${runtimeDir}/containers`, { recursive: true }).map(String)
      } catch {
        return ['one/that is just being removed']
      }
    },
    guards: () => readdirSync(`${runtimeDir}/guards`).length,
    guard: () => Number.parseInt(readFileSync(`${runtimeDir}/guards/${token}`, 'utf8'), 10),
  }
}

/** Processes that carry the mark of a token. */
function marked(token: string): string[] {
  return readdirSync('/proc').filter(name => {
    if (!/^\d+$/.test(name)) return false
    try {
      return readFileSync(`/proc/${name}/environ`, 'latin1').includes(token)
    } catch {
      return false
    }
  })
}

const killed = async (host: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
  const exited = new Promise(resolve => host.once('exit', resolve))
  host.kill(signal)
  await exited
}
const wait = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
const until = async (reached: () => boolean, what: string): Promise<void> => {
  for (let i = 0; !reached(); i++) {
    if (i === 1_000) throw new Error(`not within 10 s: ${what}`)
    await wait(10)
  }
}
const howEnded = async (process: LaunchedProcess | undefined): Promise<string> =>
  process ? describeWaitStatus(await process.exited) : 'not found'

for (const { name, flags, ...skip } of launchers) {
  t.test(`${name}: how what survived ended is told truly`, skip, async t => {
    const p = place(t, flags)
    const scripts = {
      s0: 'sleep 0.6; exit 0',
      s7: 'sleep 0.6; exit 7',
      s143: 'sleep 0.6; exit 143',
      sTerm: 'sleep 0.6; kill -TERM $$',
      sSegv: 'sleep 0.6; kill -SEGV $$',
      sKill: 'sleep 0.6; kill -KILL $$',
      sAway: 'sleep 0.2; exit 9',
      sAwayTerm: 'sleep 0.2; kill -TERM $$',
    }
    const host = await p.host({ ...scripts, other: 'sleep 1000' })
    await wait(100)
    await killed(host)
    await wait(300)
    const { processes, found } = await p.next(...Object.keys(scripts))
    t.same([...found.keys()].sort(), Object.keys(scripts).sort())
    t.notOk(p.recorded().includes('other'), 'what does not survive is gone')
    const ends = await Promise.all(
      Object.keys(scripts).map(async id => [id, await howEnded(found.get(id))]),
    )
    t.same(Object.fromEntries(ends), {
      s0: 'exited with status 0',
      s7: 'exited with status 7',
      s143: 'exited with status 143',
      sTerm: 'terminated with signal Terminated',
      sSegv: 'terminated with signal Segmentation fault',
      sKill: 'terminated with signal Killed',
      sAway: 'exited with status 9',
      sAwayTerm: 'terminated with signal Terminated',
    })
    t.same(p.recorded().sort(), Object.keys(scripts).sort(), 'until that is written down')
    for (const id of found.keys()) processes.forget(id)
    await until(() => p.files().length === 0, 'nothing is left')
    await processes.close()
  })

  t.test(`${name}: what is adopted can be killed, and what nobody asks for is`, skip, async t => {
    const p = place(t, flags)
    const endless = 'trap "exit 5" TERM; (setsid sleep 1000 &); while :; do sleep 0.05; done'
    await killed(await p.host({ s1: endless, s2: 'trap "" TERM; sleep 1000', s3: 'sleep 1000' }))
    const { processes, found } = await p.next('s1', 's2', 'never')
    t.same([...found.keys()].sort(), ['s1', 's2'])
    await until(() => p.recorded().length === 2, 'only these are on record')
    processes.killTree(found.get('s1')!.pid, 'SIGTERM')
    t.equal(await howEnded(found.get('s1')), 'exited with status 5')
    processes.killTree(found.get('s2')!.pid, 'SIGKILL')
    t.equal(await howEnded(found.get('s2')), 'terminated with signal Killed')
    await processes.close()
  })

  t.test(
    `${name}: an end in order spares them, too; and the next end, and the next`,
    skip,
    async t => {
      const p = place(t, flags)
      await killed(await p.host({ s1: 'sleep 3; exit 3', other: 'sleep 1000' }), 'SIGTERM')
      t.same(p.recorded(), ['s1'])
      const second = await p.next('s1')
      t.equal(second.found.size, 1)
      await second.processes.close()
      const third = await p.next('s1')
      t.equal(await howEnded(third.found.get('s1')), 'exited with status 3')
      await third.processes.close()
    },
  )

  t.test(`${name}: without an agent they are ended in the end`, skip, async t => {
    const p = place(t, flags)
    await killed(await p.host({ s1: 'sleep 1000', s2: 'sleep 1000' }, 1_000))
    await wait(300)
    t.same(p.recorded().sort(), ['s1', 's2'])
    await until(() => p.recorded().length === 0 && p.guards() === 0, 'the guard has ended them')
    t.same(marked(p.token), [])
  })

  t.test(`${name}: a guard that dies, before the agent or with it, is no loss`, skip, async t => {
    const p = place(t, flags)
    const host = await p.host({ s1: 'sleep 1.5; exit 1', other: 'sleep 1000' })
    host.kill('SIGSTOP')
    process.kill(p.guard(), 'SIGKILL')
    await killed(host)
    const { processes, found } = await p.next('s1')
    t.same(p.recorded(), ['s1'])
    t.equal(await howEnded(found.get('s1')), 'exited with status 1')
    await processes.close()
  })

  t.test(`${name}: killed at any moment, an agent loses none that it launched`, skip, async t => {
    const p = place(t, flags)
    for (let round = 0; round < ROUNDS; round++) {
      const host = await p.host({})
      let launched = -1
      host.stdout!.on('data', (bytes: Buffer) => {
        for (const [, id] of bytes.toString().matchAll(/launched (\d+)/g)) launched = Number(id)
      })
      await wait(Math.random() * 400)
      await killed(host)
      const ids = Array.from({ length: launched + 10 }, (_, i) => `s${i}`)
      const { processes, found } = await p.next(...ids)
      for (let i = 0; i <= launched; i++) {
        // What ended while the agent lived was reported and forgotten.
        const process = found.get(`s${i}`)
        if (!process) continue
        const end = await howEnded(process)
        if (process.whyNeverRan?.() !== undefined && i === launched) continue
        t.equal(end, `exited with status ${i % 100}`, `s${i}`)
      }
      for (const [id, process] of found) {
        await process.exited
        processes.forget(id)
      }
      // An empty directory may be left of one that was just being started; the next agent removes it.
      const files = (): string[] => p.files().filter(path => path.includes('/'))
      await until(() => files().length === 0, 'no record is left').catch(() => t.same(files(), []))
      await processes.close()
    }
  })
}
