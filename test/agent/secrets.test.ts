// volume/secret: secrets that containers see as files, and nobody else.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import t from 'tap'
import { parseIsolation } from '../../src/agent/containerizer/isolation.ts'
import { whyNoVolumes } from '../../src/agent/containerizer/volumes.ts'
import type { ContainerInfo } from '../../src/messages/container.ts'
import { withoutSecrets } from '../../src/messages/redacted.ts'
import { place, skip, until } from './containers.ts'

type Volume = NonNullable<ContainerInfo['volumes']>[number]

const VALUE = 'The password is: s3cr3t-of-the-test'
const secret = (container_path: string, value: string | Buffer = VALUE): Volume => ({
  mode: 'RW',
  container_path,
  source: {
    type: 'SECRET',
    secret: { type: 'VALUE', value: { data: Buffer.from(value).toString('base64') } },
  },
})
const withVolumes = (...volumes: Volume[]): { readonly container: ContainerInfo } => ({
  container: { type: 'MESOS', volumes },
})

t.test('what cannot be had is refused', async t => {
  const reference: Volume = {
    mode: 'RO',
    container_path: 'x',
    source: { type: 'SECRET', secret: { type: 'REFERENCE', reference: { name: 'vault/key' } } },
  }
  const why = (volume: Volume, has: boolean) =>
    whyNoVolumes(withVolumes(volume).container, () => has)
  t.match(why(reference, true), /secrets by reference, of which it resolves none/)
  t.equal(why(secret('x'), false), "volumes without the isolator 'volume/secret'")
  t.equal(why(secret('x'), true), undefined)
  t.match(parseIsolation('volume/secret'), /'volume\/secret' needs 'filesystem\/linux'/)
})

t.test('the value is not shown with the task', async t => {
  const { container } = withVolumes(secret('key'), {
    mode: 'RO',
    container_path: 'x',
    host_path: '/',
  })
  const shown = withoutSecrets(container)
  t.notMatch(JSON.stringify(shown), container.volumes![0]!.source!.secret!.value!.data)
  t.match(shown.volumes, [
    { container_path: 'key', source: { type: 'SECRET' } },
    { host_path: '/' },
  ])
})

t.test('a container has its secrets, whole, as its own account', skip, async t => {
  const { run, text, top } = await place(t, 'filesystem/linux,volume/secret,namespaces/pid')
  const large = Buffer.alloc(300_000, 'many bytes, and\0 no text \xff\n')
  chmodSync(top, 0o755)
  writeFileSync(`${top}/of-the-machine`, 'not secret\n')
  const script = `cat key; echo; wc -c <deep/in/it/large; cat ${top}/of-the-machine; echo
    stat -c '%a %U' key; stat -f -c %T key
    echo x >>key 2>/dev/null || echo read only; ls -A ${top}/run/secrets
    [ -e /proc/$$/fd/4 ] || [ -e /proc/$$/fd/6 ] || echo closed`
  const volumes = withVolumes(
    secret('key'),
    secret('deep/in/it/large', large),
    secret(`${top}/of-the-machine`, 'of this container'),
    secret('empty', ''),
  )
  for (const [given, user] of [
    [{}, 'root'],
    [{ user: 'nobody' }, 'nobody'],
  ] as const) {
    writeFileSync(`${top}/box/stdout`, '')
    const ended = await run(script, { ...volumes, ...given })
    t.equal(ended.how, 'exited with status 0', `${text('stderr')} ${ended.whyNeverRan}`)
    t.match(
      text('stdout'),
      `${VALUE}\n300000\nof this container\n400 ${user}\nramfs\nread only\nclosed\n`,
    )
  }
  // Nothing of it is on the machine.
  t.equal(text('key'), '')
  t.equal(readFileSync(`${top}/of-the-machine`, 'utf8'), 'not secret\n')
  t.strictSame(readdirSync(`${top}/run/secrets`), [])
  t.notMatch(readFileSync('/proc/self/mounts', 'utf8'), top)
})

t.test('nobody else sees it while the container runs', skip, async t => {
  const { processes, spec, top } = await place(t, 'filesystem/linux,volume/secret')
  const launched = await processes.launch(
    spec('cat key >/dev/null; : >ready; sleep 1000', withVolumes(secret('key'))),
  )
  await until(() => existsSync(`${top}/box/ready`), 'it runs')
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    if (pid === String(process.pid)) continue
    for (const file of ['cmdline', 'environ']) {
      try {
        const seen = readFileSync(`/proc/${pid}/${file}`, 'latin1')
        if (seen.includes(VALUE)) t.fail(`it is in the ${file} of ${pid}`)
      } catch {
        // It has ended.
      }
    }
  }
  const files = readdirSync(top, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => readFileSync(`${entry.parentPath}/${entry.name}`, 'latin1'))
  t.ok(files.length > 0)
  t.notOk(files.some(content => content.includes(VALUE)))
  processes.killTree(launched.pid, 'SIGKILL')
  await launched.exited
})

t.test('what it cannot be is refused, and links lead nowhere', skip, async t => {
  const { run, top } = await place(t, 'filesystem/linux,volume/secret')
  await t.rejects(run('true', withVolumes(secret('../x'))), /contains '\.\.'/)
  await t.rejects(run('true', withVolumes(secret(`${top}/none`))), /no file '.*none'/)
  await t.rejects(run('true', withVolumes(secret('x', Buffer.alloc(2 ** 20 + 1)))), /1MB/)
  mkdirSync(`${top}/outside`)
  symlinkSync(`${top}/outside`, `${top}/box/link`)
  const { whyNeverRan } = await run('true', withVolumes(secret('link/key')))
  t.match(whyNeverRan, /could not be mounted/)
  t.strictSame(readdirSync(`${top}/outside`), [])
})
