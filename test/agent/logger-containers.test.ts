// Real containers whose output a log writer rotates, with agents and writers that are killed.

import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import t, { type Test } from 'tap'
import { lives } from '../../src/agent/adopted-processes.ts'
import { newToken } from '../../src/agent/agent-guard.ts'
import { whyNoCgroups } from '../../src/agent/containerizer/cgroup-tree.ts'
import { LOGROTATE_LOGGER } from '../../src/agent/logger/flags.ts'
import { readStat } from '../../src/agent/process-table.ts'
import type { LaunchSpec } from '../../src/agent/processes.ts'
import { describeWaitStatus } from '../../src/agent/wait-status.ts'
import { ADOPTION_HOST } from './adoption-host.ts'
import { nextContainerizer, scriptSpec, until } from './containers.ts'

t.setTimeout(300_000)

const KEEP = 1000
const LOGGER_FLAGS = [
  `--container_logger=${LOGROTATE_LOGGER}`,
  '--container_logger_max_stdout_size=4KB',
  `--container_logger_logrotate_stdout_options=rotate ${KEEP}`,
]
const isRoot = userInfo().uid === 0
const noCgroups = whyNoCgroups('/sys/fs/cgroup')
const launchers: readonly { name: string; flags: readonly string[]; skip?: string }[] = [
  { name: 'posix', flags: [] },
  {
    name: 'linux',
    flags: ['--launcher=linux', '--isolation=cgroups/mem,namespaces/pid'],
    ...(noCgroups !== undefined && { skip: noCgroups }),
  },
]

let count = 0

function place(t: Test, launcher: readonly string[]) {
  // Not the test's own directory: that is gone before the teardown.
  const top = mkdtempSync(`${tmpdir()}/mesos-test-`)
  mkdirSync(`${top}/box`)
  const runtimeDir = `${top}/run`
  const token = newToken()
  const cgroups = launcher.length > 0 ? [`--cgroups_root=mesos_logs_${process.pid}_${++count}`] : []
  const flags = [...launcher, ...cgroups, ...LOGGER_FLAGS]
  t.teardown(async () => {
    const last = await nextContainerizer({ runtimeDir, token }, ...flags)
    await last.recover([])
    await last.close()
    await until(() => !existsSync(`${runtimeDir}/logs/${token}`), 'the last writer has ended')
    rmSync(top, { recursive: true })
  })
  const box = `${top}/box`
  return {
    box,
    runtimeDir,
    token,
    flags,
    next: () => nextContainerizer({ runtimeDir, token, recoveryTimeoutMs: 600_000 }, ...flags),
    /** What it printed, of all files, the oldest first. */
    printed: (name = 'stdout') => all(box, name),
    writer: () => Number.parseInt(readFileSync(`${runtimeDir}/logs/${token}/writer`, 'utf8'), 10),
    pipes: () => readdirSync(`${runtimeDir}/logs/${token}/containers`),
  }
}

function all(box: string, name: string): string {
  const numbers = readdirSync(box)
    .filter(file => file.startsWith(`${name}.`))
    .map(file => Number(file.slice(name.length + 1)))
    .toSorted((one, other) => other - one)
  const files = [...numbers.map(number => `${name}.${number}`), name]
  for (const file of files) {
    if (statSync(`${box}/${file}`).size > 4096) throw new Error(`${file} is too large`)
  }
  return files.map(file => readFileSync(`${box}/${file}`, 'utf8')).join('')
}

const numbers = (last: number): string =>
  Array.from({ length: last }, (_, i) => `${i + 1}\n`).join('')

for (const { name, flags, ...more } of launchers) {
  t.test(`${name}: all that is printed is in files that are small`, more, async t => {
    const { box, next, printed, pipes } = place(t, flags)
    const processes = await next()
    const run = async (script: string, given: Partial<LaunchSpec> = {}): Promise<string> => {
      const spec = { ...scriptSpec(box, `c${++count}`, script), ...given }
      const launched = await processes.launch(spec)
      return describeWaitStatus(await launched.exited)
    }
    t.equal(
      await run('seq 5000; echo once more >/dev/stdout; echo wrong >&2'),
      'exited with status 0',
    )
    t.equal(printed(), `${numbers(5000)}once more\n`)
    t.equal(printed('stderr'), 'wrong\n')
    t.strictSame(pipes(), [])

    mkdirSync(`${box}/own`)
    const own = {
      cwd: `${box}/own`,
      stdoutPath: `${box}/own/stdout`,
      stderrPath: `${box}/own/stderr`,
      command: {
        environment: {
          variables: [
            { name: 'CONTAINER_LOGGER_MAX_STDOUT_SIZE', value: '4KB' },
            { name: 'CONTAINER_LOGGER_LOGROTATE_STDOUT_OPTIONS', value: 'rotate 2' },
          ],
        },
      },
      ...(isRoot && { user: 'nobody' }),
    }
    const script = `i=0; while [ $i -lt 40 ]; do seq 100; i=$((i+1)); done; echo end >/dev/stdout`
    t.equal(await run(script, own), 'exited with status 0')
    t.strictSame(readdirSync(own.cwd).toSorted(), ['stderr', 'stdout', 'stdout.1', 'stdout.2'])
    t.match(readFileSync(own.stdoutPath, 'utf8'), /100\nend\n$/)
    for (const file of ['stdout', 'stdout.1', 'stdout.2']) {
      const stat = statSync(`${own.cwd}/${file}`)
      t.ok(stat.size <= 4096)
      t.equal(stat.uid, statSync(own.cwd).uid)
    }

    await t.rejects(
      run('true', {
        command: {
          environment: { variables: [{ name: 'CONTAINER_LOGGER_MAX_STDERR_SIZE', value: 'much' }] },
        },
      }),
      /CONTAINER_LOGGER_MAX_STDERR_SIZE' is wrong/,
    )
    await t.rejects(run('true', { stdoutPath: `${box}/none/stdout`, stderrPath: `${box}/none/x` }))
    t.strictSame(pipes(), [])
    await processes.close()
  })

  t.test(`${name}: agents and writers are killed, and nothing is lost`, more, async t => {
    const { box, runtimeDir, token, flags: given, next, printed, writer } = place(t, flags)
    const host = spawn(
      process.execPath,
      [
        ADOPTION_HOST,
        runtimeDir,
        box,
        token,
        '600000',
        // Words are parted by blanks there.
        given.map(flag => flag.replace(`rotate ${KEEP}`, `rotate\t${KEEP}`)).join(' '),
        `s=i=0; while [ ! -e ${box}/enough ]; do i=$((i+1)); echo $i; [ $((i%50)) != 0 ] || sleep 0.01; done; echo the end`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    await new Promise(resolve => host.stdout.once('data', resolve))
    const first = writer()
    const firstStart = readStat(first)!.start
    const gone = new Promise(resolve => host.once('exit', resolve))
    host.kill('SIGKILL')
    await gone
    /** The last number in the file; 0 while it is just being rotated. */
    const last = (): number => {
      try {
        const lines = readFileSync(`${box}/stdout`, 'utf8').split('\n')
        return Number(lines.at(-2) ?? 0)
      } catch {
        return 0
      }
    }
    let printedTo = 0
    const grows = async (what: string): Promise<void> => {
      const before = printedTo
      await until(() => last() > before + 500, `${what}: more is printed`)
      printedTo = last()
    }
    await grows('without an agent')
    t.equal(writer(), first)

    const processes = await next()
    t.not(writer(), first, 'the next agent has a writer of its own')
    t.notOk(lives(first, firstStart))
    const known = (await processes.recover([{ containerId: 's', cwd: box }])).get('s')!
    await grows('with another agent')

    const whole = printedTo
    const second = writer()
    process.kill(second, 'SIGKILL')
    await until(() => writer() !== second, 'there is another writer')
    await grows('with a third writer')

    await processes.exec(
      { containerId: 's', argv: ['/bin/sh', '-c', ': >enough'], env: {} },
      new AbortController().signal,
    )
    t.equal(describeWaitStatus(await known.exited), 'exited with status 0')
    // What a writer has just read when it is killed is lost with it, and nothing else.
    const all = printed().split('\n').slice(0, -1)
    t.equal(all.pop(), 'the end')
    let [held, missed] = [0, 0]
    for (const [index, line] of all.entries()) {
      const gap = Number(line) - Number(all[index - 1] ?? 0) - 1
      if (gap < 0) t.fail(`${line} is in another order`)
      if (gap > 0 && Number(line) <= whole) t.fail(`${gap} lines before ${line} are lost`)
      if (gap > 0) [held, missed] = [held + 1, missed + gap]
    }
    t.ok(held <= 1 && missed < 65_536 / 5, `${missed} lines are missed`)
    processes.forget('s')
    await processes.close()
  })
}
