// Isolators of privileges and devices, the end of an agent with containers, and a hierarchy of v2. And what needs no root:
// what isolators write, and what flags are refused.

import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import t from 'tap'
import type { Cgroups } from '../../src/agent/containerizer/cgroup.ts'
import * as values from '../../src/agent/containerizer/cgroup-values.ts'
import { type ContainerConfig, emptyPlan } from '../../src/agent/containerizer/container.ts'
import { amountsOf } from '../../src/agent/containerizer/demands.ts'
import { isolationErrors } from '../../src/agent/containerizer/flags.ts'
import { ISOLATORS, parseIsolation } from '../../src/agent/containerizer/isolation.ts'
import { cpuIsolator } from '../../src/agent/containerizer/isolator-cpu.ts'
import { memoryIsolator } from '../../src/agent/containerizer/isolator-memory.ts'
import { ioStat, serviceBytes } from '../../src/agent/containerizer/isolators-cgroups.ts'
import { prlimitArguments } from '../../src/agent/containerizer/isolators-privileges.ts'
import { parseEnd } from '../../src/agent/containerizer/linux-script.ts'
import { agentFlags } from '../../src/agent/flags.ts'
import { describeWaitStatus } from '../../src/agent/wait-status.ts'
import { parseFlags } from '../../src/base/flags.ts'
import { CONTAINER_HOST } from './container-host.ts'
import { containerizer, place, skip, skipV2, until, V1, V2 } from './containers.ts'

t.test('privileges can be taken away, and limits set', skip, async t => {
  const { run, text } = await place(t, 'posix/rlimits,linux/capabilities,linux/nnp')
  const container = {
    type: 'MESOS' as const,
    linux_info: { effective_capabilities: { capabilities: ['NET_RAW', 'KILL'] } },
    rlimit_info: {
      rlimits: [
        { type: 'RLMT_NOFILE' as const, soft: 50, hard: 60 },
        { type: 'RLMT_CORE' as const, soft: 0, hard: 0 },
      ],
    },
  }
  const script = `ulimit -n; ulimit -Hn; grep -E '^(Cap(Eff|Bnd)|NoNewPrivs)' /proc/self/status
    chown 1 . || echo kept`
  t.equal((await run(script, { container })).how, 'exited with status 0')
  const [soft, hard, ...rest] = text('stdout').trim().split('\n')
  t.strictSame([soft, hard], ['50', '60'])
  // KILL is bit 5, NET_RAW bit 13.
  t.strictSame(rest, [
    'CapEff:\t0000000000002020',
    'CapBnd:\t0000000000002020',
    'NoNewPrivs:\t1',
    'kept',
  ])
  await t.rejects(
    run('true', {
      container: { ...container, linux_info: { effective_capabilities: { capabilities: ['X'] } } },
    }),
    /'X' is no capability/,
  )
})

t.test('nothing that a framework chose runs before privileges are gone', skip, async t => {
  const { run, text } = await place(t, 'namespaces/pid,linux/nnp')
  const env = { PATH: '/usr/bin:/bin', LD_PRELOAD: '/no/such.so', ENV: '/no/such', A: 'b c' }
  const script = `echo "$LD_PRELOAD $ENV $A"; tr '\\0' '\\n' </proc/1/environ | grep -cE '^(LD_|ENV)'`
  await run(script, { env })
  t.equal(text('stdout'), '/no/such.so /no/such b c\n0\n')
})

t.test('what operators allow at most, no container gets more than', skip, async t => {
  const { run, text } = await place(
    t,
    'linux/capabilities',
    '--bounding_capabilities={"capabilities":["CHOWN","KILL"]}',
  )
  await run(`grep CapBnd /proc/self/status`)
  t.equal(text('stdout'), 'CapBnd:\t0000000000000021\n')
  const linux_info = { effective_capabilities: { capabilities: ['SYS_ADMIN'] } }
  const asked = run('true', { container: { type: 'MESOS', linux_info } })
  await t.rejects(asked, /SYS_ADMIN is asked for, which the agent does not allow/)
})

t.test('devices that are not allowed cannot be opened', skip, async t => {
  const { run, text } = await place(t, 'cgroups/devices,cgroups/blkio,cgroups/cpuset')
  // 1:11 is the kernel's log; who may make the node may still not read it.
  await run('head -c1 /dev/zero | wc -c; mknod log c 1 11; head -c1 <log || echo refused')
  t.equal(text('stdout'), '1\nrefused\n')
  const more = await place(
    t,
    'cgroups/devices',
    '--allowed_devices={"allowed_devices":[{"device":{"path":"/dev/kmsg"},"access":{"read":true}}]}',
  )
  await more.run(': </dev/kmsg && echo read; true >/dev/kmsg || echo refused')
  t.equal(more.text('stdout'), 'read\nrefused\n')
})

t.test('nothing outlives an agent that is killed, and no group is left', skip, async t => {
  const top = t.testdir({ box: {}, run: {} })
  const root = `mesos_test_${process.pid}_killed`
  const isolation = 'cgroups/cpu,cgroups/mem,cgroups/pids,cgroups/cpuset,namespaces/pid'
  const flags = `--launcher=linux --isolation=${isolation} --cgroups_root=${root}`
  const escaping = `(setsid env -i sh -c 'while :; do sleep 1000; done' &); sleep 1000`
  const args = [CONTAINER_HOST, `${top}/run`, `${top}/box`, flags, escaping, escaping]
  const agent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise(resolve => agent.stdout.once('data', resolve))
  const tasks = (): string[] =>
    readFileSync(`${V1}/freezer/${root}/host-1/tasks`, 'utf8').trim().split('\n')
  await until(() => tasks().length >= 4, 'the containers run')
  agent.kill('SIGKILL')
  await until(() => readdirSync(`${top}/run/leases`).length === 0, 'the guard has seen it')
  await until(() => !existsSync(`${V1}/freezer/${root}`), 'all groups are gone')
  for (const controller of ['cpu', 'cpuacct', 'memory', 'pids', 'cpuset']) {
    await until(() => !existsSync(`${V1}/${controller}/${root}`), `the groups of ${controller}`)
  }
  await until(() => readdirSync(`${top}/run/containers`).length === 0, 'no records are left')
})

t.test(
  'an agent can be killed at any instant, and nothing is left of what it did',
  skip,
  async t => {
    for (const [round, signal] of (
      ['SIGKILL', 'SIGTERM', 'SIGKILL', 'SIGKILL'] as const
    ).entries()) {
      const top = t.testdir({ box: {}, run: {} })
      const root = `mesos_test_${process.pid}_storm_${round}`
      const flags = `--launcher=linux --isolation=cgroups/cpu,cgroups/pids,namespaces/pid --cgroups_root=${root}`
      const args = [CONTAINER_HOST, `${top}/run`, `${top}/box`, flags]
      const agent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      await new Promise(resolve => agent.stdout.once('data', resolve))
      await new Promise(resolve => setTimeout(resolve, 50 + Math.random() * 300))
      agent.kill(signal)
      for (const controller of ['freezer', 'cpu', 'cpuacct', 'pids']) {
        await until(() => !existsSync(`${V1}/${controller}/${root}`), `the groups of ${controller}`)
      }
      await until(() => processesOf(top).length === 0, 'all processes have ended')
      // Directories of records that were being made or removed are the next agent's to remove.
      const next = await containerizer(`${top}/run`)
      t.strictSame(readdirSync(`${top}/run/containers`), [], `round ${round}`)
      await next.close()
    }
  },
)

/** Processes that have a directory among their arguments or in their environment. */
function processesOf(directory: string): string[] {
  return readdirSync('/proc').filter(pid => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return ['cmdline', 'environ'].some(file =>
        readFileSync(`/proc/${pid}/${file}`, 'utf8').includes(directory),
      )
    } catch {
      return false
    }
  })
}

t.test('v2: containers are entered, killed and removed', skipV2, async t => {
  t.comment('controllers of v2 are mounted under v1 here: their limits are not exercised')
  const place2 = await place(t, 'namespaces/pid', `--cgroups_hierarchy=${V2}`)
  const { processes, spec, root, run, text } = place2
  const process = await processes.launch(
    spec(`cat /proc/self/cgroup; (setsid env -i sleep 1000 &); exec sleep 1000`),
  )
  await until(() => text('stdout').includes(`0::/${root}/c1/leaf\n`), 'it is in its group')
  const procs = (): string => readFileSync(`${V2}/${root}/c1/leaf/cgroup.procs`, 'utf8')
  await until(() => procs().trim().split('\n').length >= 3, 'all run')
  processes.killTree(process.pid, 'SIGTERM')
  t.equal(describeWaitStatus(await process.exited), 'terminated with signal Terminated')
  t.notOk(existsSync(`${V2}/${root}/c1`))
  t.equal(
    (await run('mkdir /sys/fs/cgroup/unified/*/c2/leaf/own; exit 4')).how,
    'exited with status 4',
  )
  await t.rejects(
    containerizer(
      `${place2.top}/other`,
      '--launcher=linux',
      '--isolation=cgroups/cpu',
      `--cgroups_hierarchy=${V2}`,
    ),
    /'cgroups\/cpu' needs the controller 'cpu', which the control groups at .* do not have/,
  )
  if (existsSync(`${V2}/${root}`)) rmdirSync(`${V2}/${root}`)
})

/** Groups that only remember what is written to them. */
function notes(version: 1 | 2, given: Record<string, string> = {}) {
  const files: Record<string, string> = { ...given }
  const cgroups: Cgroups = {
    version,
    has: () => true,
    of: () => ({
      write: (file, value) => {
        files[file] = value
      },
      read: file => files[file] ?? '',
      measure: file => files[file] ?? '',
    }),
  }
  return { files, cgroups }
}

const config: ContainerConfig = {
  containerId: 'c',
  resources: { cpus: 0.5, memMb: 100 },
  limits: {},
  info: undefined,
  sandbox: '/box',
}

t.test('amounts in the terms of the kernel', async t => {
  t.strictSame([0, 0.001, 0.5, 4].map(values.cpuShares), [2, 2, 512, 4096])
  t.strictSame([0, 0.5, 4, 1000].map(values.cpuWeight), [1, 50, 400, 10_000])
  t.strictSame([0, 0.5, 2, Infinity].map(values.cfsQuotaUs), [1000, 50_000, 200_000, undefined])
  t.strictSame([1, 64, Infinity].map(values.memoryBytes), [2 ** 25, 2 ** 26, Infinity])
  t.strictSame(
    [values.oomScoreAdj(2 ** 30, 2 ** 32), values.oomScoreAdj(2 ** 33, 2 ** 32)],
    [750, 3],
  )
  const v2 = notes(2)
  void cpuIsolator(v2.cgroups, true).prepare(config, emptyPlan())
  t.strictSame(v2.files, { 'cpu.weight': '50', 'cpu.max': '50000 100000' })
  void cpuIsolator(v2.cgroups, true).prepare({ ...config, limits: { cpus: Infinity } }, emptyPlan())
  t.equal(v2.files['cpu.max'], 'max 100000')
  const v1 = notes(1, { 'cpu.cfs_quota_us': '-1' })
  void cpuIsolator(v1.cgroups, false).prepare(config, emptyPlan())
  t.strictSame(v1.files, { 'cpu.shares': '512', 'cpu.cfs_quota_us': '-1' })
})

t.test('limits of memory are raised while a container runs, never lowered', async t => {
  for (const [version, hard, soft] of [
    [1, 'memory.limit_in_bytes', 'memory.soft_limit_in_bytes'],
    [2, 'memory.max', 'memory.low'],
  ] as const) {
    const { files, cgroups } = notes(version)
    const isolator = memoryIsolator({ cgroups, limitsSwap: false, machineBytes: 2 ** 33 })
    const plan = emptyPlan()
    void isolator.prepare(config, plan)
    t.strictSame(files, { [hard]: `${100 * 2 ** 20}`, [soft]: `${100 * 2 ** 20}` })
    t.equal(plan.oomScoreAdj, undefined)
    isolator.update!('c', { cpus: 1, memMb: 50 }, {})
    t.strictSame(files, { [hard]: `${100 * 2 ** 20}`, [soft]: `${50 * 2 ** 20}` })
    isolator.update!('c', { cpus: 1, memMb: 200 }, { memMb: Infinity })
    t.strictSame(files, { [hard]: version === 1 ? '-1' : 'max', [soft]: `${200 * 2 ** 20}` })
    void isolator.prepare({ ...config, limits: { memMb: 200 } }, plan)
    t.equal(plan.oomScoreAdj, 988, 'who may take more than it asked for is ended first')
  }
})

t.test('a container of several tasks has what they have together', async t => {
  const scalar = (name: string, value: number) => ({
    name,
    type: 'SCALAR' as const,
    scalar: { value },
  })
  const resources = [scalar('cpus', 1), scalar('mem', 100)]
  t.strictSame(amountsOf([{ resources, limits: {} }], resources), {
    resources: { cpus: 2, memMb: 200, diskMb: 0, ports: [] },
    limits: {},
  })
  t.strictSame(
    amountsOf([
      { resources, limits: { cpus: { value: 3 } } },
      { resources, limits: {} },
    ]),
    {
      resources: { cpus: 2, memMb: 200, diskMb: 0, ports: [] },
      limits: { cpus: 4 },
    },
  )
})

t.test('texts of the kernel and of the init', async t => {
  t.strictSame(serviceBytes('8:0 Read 4096\n8:0 Write 10\n8:16 Read 4\nTotal 4110\n'), {
    read_bytes: 4100,
    write_bytes: 10,
  })
  t.strictSame(
    ioStat('8:0 rbytes=4096 wbytes=10 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=4 wbytes=0\n'),
    {
      read_bytes: 4100,
      write_bytes: 10,
    },
  )
  const end = (text: string): string | undefined => {
    const parsed = parseEnd(text)
    return (
      parsed &&
      ('waitStatus' in parsed ? describeWaitStatus(parsed.waitStatus) : parsed.whyNeverRan)
    )
  }
  t.equal(end(''), undefined)
  t.equal(end('13'), undefined, 'cut in half')
  t.equal(end('Killed\n'), undefined)
  t.equal(end('Killed\n137\n'), 'terminated with signal Killed')
  t.equal(end('137\n'), 'exited with status 137')
  t.equal(end('130\n'), 'terminated with signal Interrupt')
  t.equal(end('125\n'), 'exited with status 125')
  t.equal(end('sh: cannot create /x\nnot started: it could not enter\n125\n'), 'it could not enter')
})

t.test('isolators are known by name, and come in one order', async t => {
  t.strictSame(
    [...(parseIsolation('cgroups/mem, cgroups/cpu') as Set<string>)],
    ['cgroups/cpu', 'cgroups/mem'],
  )
  t.strictSame(
    [...(parseIsolation('cgroups,process') as Set<string>)],
    ['posix/cpu', 'posix/mem', 'cgroups/cpu', 'cgroups/mem'],
  )
  t.equal((parseIsolation('cgroups/all') as Set<string>).size, 6)
  t.match(
    parseIsolation('cgroups/cpus'),
    /'cgroups\/cpus' is no isolator of this agent; it has process, /,
  )
  for (const name of ISOLATORS) t.match(parseIsolation('x'), name)
  const errors = (...argv: string[]): string => {
    const parsed = parseFlags(agentFlags, {
      argv: ['--master=a:1', ...argv],
      env: {},
      readFile: () => '',
    })
    return parsed.ok ? isolationErrors(parsed.values).join('\n') : parsed.errors.join('\n')
  }
  t.equal(errors(), '')
  t.equal(errors('--launcher=linux', '--isolation=cgroups/cpu', '--cgroups_enable_cfs'), '')
  t.match(errors('--isolation=cgroups/cpu'), /'cgroups\/cpu' needs '--launcher=linux'/)
  t.match(errors('--isolation=nothing'), /'nothing' is no isolator/)
  t.match(
    errors('--cgroups_enable_cfs'),
    /--cgroups_enable_cfs' is for the isolator 'cgroups\/cpu'/,
  )
  t.match(errors('--cgroups_root=../x'), /not the name of a group/)
  t.match(errors('--bounding_capabilities={"capabilities":["FLY"]}'), /'FLY' is no capability/)
  t.match(
    errors('--allowed_devices={"allowed_devices":[{"device":{"path":"/dev/x"}}]}'),
    /allowed no access/,
  )
})

t.test('rlimits are checked before anything runs', async t => {
  t.strictSame(
    prlimitArguments([{ type: 'RLMT_NOFILE', soft: 1, hard: 2 }, { type: 'RLMT_CORE' }]),
    ['--nofile=1:2', '--core=unlimited:unlimited'],
  )
  t.throws(() => prlimitArguments([{ type: 'RLMT_CPU', soft: 3, hard: 2 }]), /above the hard one/)
  t.throws(() => prlimitArguments([{ type: 'RLMT_CPU', soft: 3 }]), /only one of/)
  t.throws(() => prlimitArguments([{ type: 'RLMT_CPU' }, { type: 'RLMT_CPU' }]), /more than once/)
})
