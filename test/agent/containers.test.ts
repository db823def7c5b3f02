// The linux launcher and its isolators with real processes: what a container cannot do, not what is in files about it.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { textOf } from '../../src/agent/container-records.ts'
import t from 'tap'
import { describeWaitStatus } from '../../src/agent/wait-status.ts'
import { place, skip, until, V1 } from './containers.ts'

/** Gone, or at least nothing but an entry that its parent has not read. */
function isDead(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
  } catch {
    return true
  }
}

t.test('of a record that was written to without end, the beginning is read', async t => {
  const top = t.testdir({ record: 'x'.repeat(2 ** 20), short: 'all of it' })
  t.equal(textOf(`${top}/record`)?.length, 2 ** 18)
  t.equal(textOf(`${top}/short`), 'all of it')
  t.equal(textOf(`${top}/none`), undefined)
})

t.test('a program runs in its groups from its first instruction on', skip, async t => {
  const { top, root, run, text, processes, spec } = await place(
    t,
    'cgroups/cpu,cgroups/mem,cgroups/pids',
  )
  t.equal((await run('cat /proc/self/cgroup; env; exit 3')).how, 'exited with status 3')
  const [groups, env] = [text('stdout'), text('stdout')]
  for (const controller of ['cpu', 'cpuacct', 'memory', 'pids', 'freezer']) {
    t.match(groups, new RegExp(`:${controller}:/${root}/c1\n`))
  }
  t.notMatch(env, /MESOS_|status|lease/, 'the environment is its own')
  const sleeping = await processes.launch(spec('exec sleep 1000'))
  const members = (): string => readFileSync(`${V1}/freezer/${root}/c2/tasks`, 'utf8')
  await until(() => members().split('\n').length > 2, 'the program runs')
  t.strictSame(readdirSync(`${top}/run/containers/c2`).sort(), ['cgroups', 'pid', 'status'])
  t.match(readFileSync(`${top}/run/containers/c2/pid`, 'utf8'), new RegExp(`^${sleeping.pid}\n`))
  processes.killTree(sleeping.pid, 'SIGTERM')
  t.equal(describeWaitStatus(await sleeping.exited), 'terminated with signal Terminated')
  t.notOk(existsSync(`${V1}/freezer/${root}/c2`), 'its groups are gone when its end is known')
  await until(() => readdirSync(`${top}/run/containers`).length === 0, 'the records are gone')
})

for (const isolation of ['cgroups/pids', 'cgroups/pids,namespaces/pid']) {
  t.test(`how a program ends is told exactly, with ${isolation}`, skip, async t => {
    const { run, processes, spec, top } = await place(t, isolation)
    const ends: [string, string][] = [
      ['exit 0', 'exited with status 0'],
      ['exit 125', 'exited with status 125'],
      ['exit 137', 'exited with status 137'],
      ['kill -KILL $$', 'terminated with signal Killed'],
      ['kill -TERM $$', 'terminated with signal Terminated'],
      ['kill -INT $$', 'terminated with signal Interrupt'],
      ['kill -PIPE $$', 'terminated with signal Broken pipe'],
      ['kill -SEGV $$', 'terminated with signal Segmentation fault'],
      ['kill -USR1 $$', 'terminated with signal User defined signal 1'],
      ['exec /no/such/program', 'exited with status 127'],
    ]
    for (const [script, how] of ends) t.equal((await run(script)).how, how, script)
    const none = await run('', { argv: ['/no/such'] })
    t.strictSame([none.how, none.whyNeverRan], ['exited with status 127', undefined])
    await t.rejects(processes.launch(spec('true', { cwd: `${top}/none` })), /could not be started/)
  })

  t.test(`a kill reaches everything, with ${isolation}`, skip, async t => {
    const { processes, spec, text, root } = await place(t, isolation)
    // In sessions of their own, without an environment, without parents, and deaf.
    const escaping = `(setsid env -i sh -c 'trap "" TERM; while :; do sleep 1000; done' &)`
    const process = await processes.launch(
      spec(`${escaping}; trap '' TERM; echo ready; while :; do sleep 1000; done`),
    )
    await until(() => text('stdout') === 'ready\n', 'it runs')
    const pids = readFileSync(`${V1}/freezer/${root}/c1/cgroup.procs`, 'utf8')
      .trim()
      .split('\n')
      .map(Number)
    t.ok(pids.length >= 4)
    processes.killTree(process.pid, 'SIGTERM')
    processes.killTree(process.pid, 'SIGKILL')
    t.equal(describeWaitStatus(await process.exited), 'terminated with signal Killed')
    for (const pid of pids) t.ok(isDead(pid), `${pid} is dead`)
  })

  t.test(
    `a kill comes in time for a program that only starts, with ${isolation}`,
    skip,
    async t => {
      const { processes, spec } = await place(t, isolation)
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        const process = await processes.launch(spec('exec sleep 1000'))
        processes.killTree(process.pid, signal)
        const word = signal === 'SIGTERM' ? 'Terminated' : 'Killed'
        t.equal(describeWaitStatus(await process.exited), `terminated with signal ${word}`)
      }
    },
  )

  t.test(`what a program leaves behind ends with it, with ${isolation}`, skip, async t => {
    const { run, text } = await place(t, isolation)
    const { how } = await run(`(setsid env -i sleep 1000 &); sleep 0.1; exit 7`)
    t.equal(how, 'exited with status 7')
    t.equal(text('stderr'), '')
  })
}

t.test('half a processor is half a processor', skip, async t => {
  const flags = ['cgroups/cpu,cgroups/mem', '--cgroups_enable_cfs']
  const { processes, spec } = await place(t, ...(flags as [string, string]))
  const process = await processes.launch(spec('while :; do :; done'))
  const used = (): number => {
    const { cpus_user_time_secs: user, cpus_system_time_secs: system } = processes.usage('c1')!
    return user! + system!
  }
  await until(() => used() > 0.05, 'it spins')
  const [before, from] = [used(), performance.now()]
  await new Promise(resolve => setTimeout(resolve, 3_000))
  const seconds = (performance.now() - from) / 1000
  const share = (used() - before) / seconds
  const { cpus_nr_throttled: throttled, cpus_nr_periods: periods } = processes.usage('c1')!
  t.comment(`${share.toFixed(3)} of a core, throttled in ${throttled} of ${periods} periods`)
  t.ok(share < 0.55, 'never more, however idle the machine is')
  // Where others want the processors as well it may be less; then it was throttled less often than it had periods.
  if (throttled! >= periods! * 0.9) t.ok(share > 0.45, 'nor less')
  t.ok(throttled! > 0, 'the kernel held it')
  processes.killTree(process.pid, 'SIGKILL')
  await process.exited
})

/** Takes so many megabytes of memory, by holding them in one string. */
const hog = (megabytes: number): string =>
  `x=$(head -c ${megabytes * 2 ** 20} /dev/zero | tr '\\0' x); echo \${#x}`

t.test('who takes more memory than its own is ended alone, with the reason', skip, async t => {
  const { processes, spec, run, text } = await place(
    t,
    'cgroups/mem,namespaces/pid',
    '--cgroups_limit_swap',
  )
  const neighbour = await processes.launch(spec('exec sleep 1000'))
  const { limitation, how } = await run(hog(256))
  t.match(how, /Killed|status/)
  t.equal(limitation?.reason, 'REASON_CONTAINER_LIMITATION_MEMORY')
  t.match(
    limitation?.message,
    /^Memory limit exceeded: Requested: 64MB Maximum Used: 6\dMB\n\nMEMORY STATISTICS: \ncache \d+\n/,
  )
  t.match(limitation?.resources, [{ name: 'mem', scalar: { value: 64 } }])
  t.notOk(isDead(neighbour.pid), 'its neighbour lives')
  // One of whose processes only a child was killed is ended as a whole.
  const parent = await run(`(${hog(256)}); while :; do sleep 0.1; done`)
  t.equal(parent.limitation?.reason, 'REASON_CONTAINER_LIMITATION_MEMORY')
  t.equal(text('stdout'), '')
  const small = await run(hog(4))
  t.equal(small.limitation, undefined)
  t.equal(text('stdout'), `${4 * 2 ** 20}\n`)
  const limited = await run(hog(70), { limits: { memMb: 512 } })
  t.equal(limited.limitation, undefined, 'a limit above the request is the limit')
  processes.killTree(neighbour.pid, 'SIGKILL')
  await neighbour.exited
})

t.test('a fork bomb ends where it began', skip, async t => {
  const { processes, spec, root } = await place(t, 'cgroups/pids', '--cgroups_pids_max=60')
  const process = await processes.launch(spec('bomb() { bomb | bomb & }; bomb; sleep 1000'))
  const peak = (): number => Number(readFileSync(`${V1}/pids/${root}/c1/pids.current`, 'utf8'))
  await until(() => peak() > 30, 'it grows')
  t.ok(peak() <= 60)
  processes.killTree(process.pid, 'SIGKILL')
  t.equal(describeWaitStatus(await process.exited), 'terminated with signal Killed')
})

t.test('a container sees no processes but its own, and mounts nothing outside', skip, async t => {
  const { run, text } = await place(t, 'namespaces/pid')
  await run(`echo $$; ls -d /proc/[0-9]* | wc -l; kill -0 ${process.pid} || echo 'no such process'
    mkdir m; mount -t tmpfs none m && touch m/inside; ls m`)
  const [pid, seen, ...rest] = text('stdout').trim().split('\n')
  t.equal(pid, '2')
  t.ok(Number(seen) <= 5, `${seen} processes`)
  t.strictSame(rest, ['no such process', 'inside'])
  t.notMatch(readFileSync('/proc/mounts', 'utf8'), /\/box\/m /)
  t.equal(text('m/inside'), '')
  // What others left is buried: a zombie would count here.
  await run(
    `for i in 1 2 3; do (setsid sleep 0.01 &); done; sleep 0.2; grep -l 'State:.Z' /proc/[0-9]*/status | wc -l >zombies`,
  )
  t.equal(text('zombies').trim(), '0')
})

t.test('IPC and shared memory can be its own', skip, async t => {
  const { run, text } = await place(t, 'namespaces/ipc', '--default_container_shm_size=1MB')
  const own = (name: string): string => `readlink /proc/self/ns/ipc >${name}`
  const linux_info = (info: object) => ({ container: { type: 'MESOS' as const, linux_info: info } })
  await run(own('default'))
  await run(own('shared'), linux_info({ ipc_mode: 'SHARE_PARENT' }))
  await run(
    `${own('private')}; df -k /dev/shm | tail -1 | { read -r _ size _; echo $size >size; }`,
    linux_info({ ipc_mode: 'PRIVATE' }),
  )
  await run(
    'df -k /dev/shm | tail -1 | { read -r _ size _; echo $size >two; }',
    linux_info({ ipc_mode: 'PRIVATE', shm_size: 2 }),
  )
  t.not(text('default'), text('shared'))
  t.not(text('private'), text('default'))
  t.equal(text('size'), '1024\n')
  t.equal(text('two'), '2048\n')
})
