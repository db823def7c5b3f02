// mesos task exec and attach on a real cluster: into a task, its terminal, and out again.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import t from 'tap'
import { whyNoCgroups } from '../../src/agent/containerizer/cgroup-tree.ts'
import { RealCluster, until } from './real-cluster.ts'

const why = whyNoCgroups('/sys/fs/cgroup')
const contained =
  why === undefined
    ? [
        '--launcher=linux',
        `--cgroups_root=mesos_test_${process.pid}_exec`,
        '--isolation=cgroups/cpu,namespaces/pid',
      ]
    : []

const PORT = 10_000 + (process.pid % 20_000)
const MESOS = resolve('dist/mesos.js')

/** A program that has a terminal, as script(1) of util-linux gives it. */
function inTerminal(words: readonly string[]) {
  const line = [process.execPath, MESOS, ...words].map(word => `'${word}'`)
  const child = spawn(
    'script',
    ['-qefc', `stty rows 17 cols 71; exec ${line.join(' ')}`, '/dev/null'],
    { env: { ...process.env, SHELL: '/bin/sh' }, stdio: ['pipe', 'pipe', 'inherit'] },
  )
  let said = ''
  child.stdout.on('data', (data: Buffer) => {
    said += data.toString()
  })
  const exited = once(child, 'exit').then(([code]) => code as number)
  const type = (text: string) => child.stdin.write(text)
  const hears = (part: string) => until(() => said.includes(part), `to hear ${part}`)
  return { exited, type, hears, said: () => said }
}

t.test('a way into tasks', async t => {
  const cluster = new RealCluster()
  try {
    await cluster.startMaster()
    let agent = await cluster.restartAgent('agent', PORT, ...contained)
    await agent.says(/registered with the master/)
    const master = `--master=${cluster.address}`
    const mesos = async (...words: string[]) => {
      const command = cluster.command('mesos', words)
      await command.exited
      return { code: command.exit?.code, stdout: command.stdout, output: command.output }
    }
    const none = await mesos('task', 'list', master)
    t.equal(none.stdout, 'There are no tasks running in the cluster.\n')

    const sleeper = cluster.command('mesos-execute', [
      master,
      '--name=sleeper',
      '--env={"OF_TASK":"yes"}',
      '--resources=cpus:0.1;mem:32',
      '--command=touch here; sleep 1000',
    ])
    await until(() => sleeper.output.includes('TASK_RUNNING'), 'the task runs')
    const list = await mesos('task', 'list', master)
    t.match(
      list.stdout,
      /^ID +State +Framework ID +Executor ID\nsleeper {2}TASK_RUNNING {2}\S+ {2}sleeper\n$/,
    )
    const inspected = await mesos('task', 'inspect', master, 'sleeper')
    t.equal(JSON.parse(inspected.stdout).id, 'sleeper')

    const script = 'ls; echo $OF_TASK; echo loud >&2; exit 7'
    const ran = await mesos('task', 'exec', master, 'sleeper', 'sh', '-c', script)
    t.equal(ran.code, 7, ran.output)
    t.equal(ran.stdout, 'here\nstderr\nstdout\nyes\n')
    t.match(ran.output, 'loud')
    const killed = await mesos('task', 'exec', master, 'sleeper', '--', 'sh', '-c', 'kill -9 $$')
    t.equal(killed.code, 137, killed.output)
    if (contained.length > 0) {
      const seen = await mesos('task', 'exec', master, 'sleeper', 'sh', '-c', 'echo /proc/[0-9]*')
      t.ok(seen.stdout.split(' ').length < 8, `it sees its container: ${seen.stdout}`)
    }
    const unknown = await mesos('task', 'exec', master, 'nobody', 'true')
    t.equal(unknown.code, 1)
    t.match(unknown.output, "There is no task 'nobody' in the cluster.")
    const attached = await mesos('task', 'attach', master, 'sleeper')
    t.equal(attached.code, 1)
    t.match(attached.output, /has no terminal: nothing can be sent to it[\s\S]*--no-stdin/)

    // Some megabytes there and back, and nothing is lost.
    const big = spawn(process.execPath, [
      MESOS,
      ...['task', 'exec', '-i', master, 'sleeper', 'cat'],
    ])
    const bytes = Buffer.alloc(3_000_000, 'a line of it\n')
    big.stdin.end(bytes)
    const back: Buffer[] = []
    big.stdout.on('data', (data: Buffer) => back.push(data))
    const [code] = await once(big, 'close')
    t.equal(code, 0)
    t.ok(Buffer.concat(back).equals(bytes), 'what it was sent comes back')

    const shell = inTerminal(['task', 'exec', '-it', master, 'sleeper', 'sh', '-i'])
    await shell.hears('# ')
    shell.type('stty size\r')
    await shell.hears('17 71')
    // What is typed before a Ctrl-C is thrown away, unless it has been read.
    shell.type('echo on; sleep 1000\r')
    await shell.hears('\non\r')
    shell.type('\u0003')
    await shell.hears('^C')
    shell.type('echo st=$?; exit 4\r')
    await shell.hears('st=130')
    t.equal(await shell.exited, 4, shell.said())

    const typed = cluster.command('mesos-execute', [
      master,
      '--checkpoint',
      '--tty',
      '--name=typed',
      '--resources=cpus:0.1;mem:32',
      '--command=while read line; do echo "got $line"; done',
    ])
    await until(() => typed.output.includes('TASK_RUNNING'), 'the other one runs')
    const first = inTerminal(['task', 'attach', master, 'typed'])
    first.type('one\r')
    await first.hears('got one')
    first.type('\u0010\u0011')
    t.equal(await first.exited, 0, first.said())

    // A terminal outlives the agent, as its task does.
    agent.kill('SIGKILL')
    await agent.exited
    agent = await cluster.restartAgent('agent', PORT, ...contained)
    const listed = async () => (await mesos('task', 'exec', master, 'typed', 'true')).code === 0
    for (let tries = 0; tries < 20 && !(await listed()); tries++);
    const second = inTerminal(['task', 'attach', master, 'typed'])
    second.type('two\r')
    await second.hears('got two')
    second.type('\u0004')
    t.equal(await second.exited, 0, second.said())
    await typed.exited
    t.equal(typed.exit?.code, 0, typed.output)
    sleeper.kill('SIGTERM')
    await sleeper.exited
  } finally {
    t.same(await cluster.stop(), [], 'no process is left behind')
  }
})
