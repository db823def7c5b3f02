// Tasks of other accounts than the agent's.

import { chmodSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import t from 'tap'
import { SystemAccounts } from '../../src/agent/containerizer/accounts.ts'
import { otherUser } from '../../src/agent/run-as.ts'
import { splitEnvironment } from '../../src/agent/late-environment.ts'
import { containerizer, place, scriptSpec, skip } from './containers.ts'
import { AWARE, command, scene } from './world.ts'

const NOBODY = 65534
const SAYS = 'id -u; id -g; id -G; echo mine >file; kill -9 1 2>&- || echo refused'

t.test('under the linux launcher, a task is its user', skip, async t => {
  const { run, text, top } = await place(
    t,
    'filesystem/linux,namespaces/pid,linux/nnp,posix/rlimits',
  )
  chmodSync(top, 0o755)
  const rlimit_info = {
    rlimits: [{ type: 'RLMT_NOFILE' as const, soft: 50, hard: 60 }],
  }
  const source = {
    type: 'SANDBOX_PATH' as const,
    sandbox_path: { type: 'SELF' as const, path: 'made/deep' },
  }
  const volumes = [{ mode: 'RW' as const, container_path: 'seen', source }]
  const container = { type: 'MESOS' as const, rlimit_info, volumes }
  const ended = await run(`${SAYS}; ulimit -n; echo >seen/x; ls made/deep`, {
    user: 'nobody',
    container,
  })
  t.equal(ended.how, 'exited with status 0', text('stderr'))
  t.equal(text('stdout'), `${NOBODY}\n${NOBODY}\n${NOBODY}\nrefused\n50\nx\n`)
  for (const name of ['', 'file', 'stdout', 'stderr', 'made', 'made/deep', 'seen']) {
    t.equal(statSync(`${top}/box/${name}`).uid, NOBODY, name)
  }
  await t.rejects(run('true', { user: 'no-such-user' }), /there is no account 'no-such-user'/)
  await t.rejects(run('true', { user: '-u' }), /there is no account '-u'/)
})

t.test('under the posix launcher, too', skip, async t => {
  const top = t.testdir({ box: {} })
  const processes = await containerizer(`${top}/run`)
  t.teardown(() => processes.close())
  const spec = scriptSpec(`${top}/box`, 'c1', SAYS)
  // What it brings along for the loader and the shell is not for what runs as root before it.
  const env = { ...spec.env, LD_PRELOAD: `${top}/box/no-such.so`, status: 'its own' }
  const launched = await processes.launch({ ...spec, env, user: 'nobody', survives: true })
  await launched.exited
  t.equal(readFileSync(`${top}/box/stdout`, 'utf8'), `${NOBODY}\n${NOBODY}\n${NOBODY}\nrefused\n`)
  t.equal(statSync(`${top}/box/file`).uid, NOBODY)
  const errors = readFileSync(`${top}/box/stderr`, 'utf8')
  const loads = errors.split('\n').filter(line => line.includes('no-such.so')).length
  t.ok(loads > 0 && loads <= 6, `only what runs as nobody hears of it: ${errors}`)
  processes.forget('c1')
})

t.test('one that is nested gets a way to its sandbox', skip, async t => {
  const { run, text, top } = await place(t, 'filesystem/linux')
  chmodSync(top, 0o755)
  mkdirSync(`${top}/pod`, { mode: 0o750 })
  mkdirSync(`${top}/pod/containers/c`, { recursive: true, mode: 0o750 })
  const cwd = `${top}/pod/containers/c`
  const more = { cwd, parentSandbox: `${top}/pod`, user: 'nobody' }
  const ended = await run(`cd /; echo way >${cwd}/file; ls ${top}/pod 2>&- || echo no list`, more)
  t.equal(ended.how, 'exited with status 0', text('stderr'))
  t.equal(text('stdout'), 'no list\n')
})

t.test('an account is looked up once in a while', async t => {
  let nowMs = 0
  const accounts = new SystemAccounts(() => nowMs)
  const root = accounts.find('root')
  t.match(await root, { uid: 0, gid: 0 })
  t.equal(accounts.find('root'), root)
  nowMs += 61_000
  t.not(accounts.find('root'), root)
  await t.rejects(accounts.find('no such'), /there is no account 'no such' on this machine$/)
})

t.test('whose a command is', async t => {
  const framework = { ...AWARE, user: 'ops' }
  const root = { user: 'root', switchUser: true }
  t.equal(otherUser(undefined, framework, root), 'ops')
  t.equal(otherUser({ user: 'web' }, framework, root), 'web')
  t.equal(otherUser({ user: 'root' }, framework, root), undefined)
  t.equal(otherUser({ user: 'web' }, framework, { user: 'root', switchUser: false }), undefined)
  const split = splitEnvironment({ A: 'b', LD_PRELOAD: 'x', status: 'y' })
  t.strictSame(split.initially, { A: 'b' })
  t.strictSame(split.front, ['/usr/bin/env', 'LD_PRELOAD=x', 'status=y'])
  // A function that bash would run instead of its own `echo`, and a file of formats for printf(3).
  const meddling = { 'BASH_FUNC_echo%%': '() { id; }', LANGUAGE: '../../tmp/x', LC_ALL: 'C.UTF-8' }
  t.strictSame(splitEnvironment(meddling).initially, {})
  const s = await scene()
  s.master.run(
    AWARE,
    command('web', 'true', { command: { value: 'true', user: 'web' } }),
    command('own', 'true'),
  )
  await s.reaches('web', 'TASK_FINISHED')
  await s.reaches('own', 'TASK_FINISHED')
  t.strictSame(
    s.processes.launched.map(({ spec }) => spec.user),
    ['web', undefined],
  )
  const other = await scene({ options: { user: 'operator' } })
  other.master.run(AWARE, command('no', 'true', { command: { value: 'true', user: 'web' } }))
  await other.reaches('no', 'TASK_FAILED')
  t.match(other.master.last('no'), {
    reason: 'REASON_CONTAINER_LAUNCH_FAILED',
    message: /as user 'web', but this agent runs tasks only as 'operator'/,
  })
})

t.test(
  'secrets that come with their value are told to the task, and to nobody who looks',
  async t => {
    const s = await scene()
    const secret = {
      type: 'VALUE' as const,
      value: { data: Buffer.from('pa ss').toString('base64') },
    }
    const variables = [{ name: 'S', type: 'SECRET' as const, secret }]
    s.master.run(
      AWARE,
      command('t', 'sleep 60', { command: { value: 'sleep 60', environment: { variables } } }),
    )
    await s.reaches('t', 'TASK_RUNNING')
    t.equal(s.processes.launched[0]?.spec.env['S'], 'pa ss')
    const state = (await s.get('/state')).body
    t.notMatch(state, /pa ss/)
    t.notMatch(state, new RegExp(secret.value.data))
  },
)
