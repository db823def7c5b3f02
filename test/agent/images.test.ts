// Containers that have an image, run for real: what they see, what they are started as, what is left of them.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { BACKENDS } from '../../src/agent/images/flags.ts'
import type { CommandInfo } from '../../src/messages/command.ts'
import type { Image as ImageName } from '../../src/messages/volume.ts'
import { type Place, placeWith, skip, until } from './containers.ts'
import {
  busyboxLayer,
  directory,
  type Image,
  layoutImage,
  saveImage,
  tarOf,
  whyNoBusybox,
} from './image-files.ts'

const whyNone = skip.skip === false ? (whyNoBusybox() ?? false) : skip.skip

const ISOLATION = 'filesystem/linux,docker/runtime,namespaces/pid'

const image = (
  name: string,
): { readonly container: { type: 'MESOS'; mesos: { image: ImageName } } } => ({
  container: { type: 'MESOS', mesos: { image: { type: 'DOCKER', docker: { name } } } },
})

function imagePlace(t: Test, ...more: string[]): Promise<Place & { readonly images: string }> {
  const images = (top: string): string => `${top}/images`
  return placeWith(t, top => {
    mkdirSync(images(top))
    return [
      `--isolation=${ISOLATION}`,
      '--image_providers=docker',
      `--docker_registry=${images(top)}`,
      ...more,
    ]
  }).then(place => ({ ...place, images: images(place.top) }))
}

const shell = (value: string): { readonly command: CommandInfo } => ({ command: { value } })

/** Containers that something is left of. */
const left = (top: string): string[] => readdirSync(`${top}/provisioner/containers`)

const mounts = (top: string): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter(line => line.includes(top))

const HELLO: Image = {
  layers: [
    busyboxLayerOnce(),
    tarOf([
      directory('data'),
      { name: 'data/kept', data: 'kept\n' },
      { name: 'data/gone', data: 'gone\n' },
      directory('data/all'),
      { name: 'data/all/old', data: 'old\n' },
      { name: 'data/dir/file', data: 'was below a directory\n' },
      { name: 'data/link', type: '2', link: '/etc' },
      { name: 'data/other', type: '2', link: '/etc/passwd' },
    ]),
    tarOf([
      { name: 'data/.wh.gone', mode: 0 },
      { name: 'data/all/.wh..wh..opq', mode: 0 },
      { name: 'data/all/new', data: 'new\n' },
      { name: 'data/dir', data: 'a file\n' },
      directory('data/link'),
      { name: 'data/link/inside', data: 'inside\n' },
      { name: 'data/other', data: 'replaced\n' },
      { name: 'data/dev', type: '3' },
    ]),
  ],
  config: {
    Entrypoint: ['/bin/echo', 'hello'],
    Cmd: ['world'],
    Env: ['PATH=/bin', 'FROM=image', 'BOTH=image', 'MESOS_SANDBOX=/nowhere'],
    WorkingDir: '/work',
  },
}

function busyboxLayerOnce(): Buffer {
  return whyNone === false ? busyboxLayer() : Buffer.alloc(1024)
}

for (const backend of BACKENDS) {
  t.test(`an image, by ${backend}`, { skip: whyNone }, async t => {
    const place = await imagePlace(t, `--image_provisioner_backend=${backend}`)
    const { images, run, text, top } = place
    saveImage(images, 'org/hello:1', HELLO)
    const script = `cd /data; cat kept dir all/* link/* other; ls -a all link; ls gone dev; cat /etc/passwd; pwd
      ls -d ${top} /usr; echo $FROM $BOTH $MESOS_SANDBOX; echo x >/data/kept; cat /data/kept; touch /etc/x /new`
    const env = { PATH: '/usr/bin:/bin', BOTH: 'agent', MESOS_SANDBOX: '/outside' }
    const variables = [{ name: 'BOTH', type: 'VALUE' as const, value: 'command' }]
    const command = { value: script, environment: { variables } }
    const ended = await run(script, { ...image('org/hello:1'), env, command })
    t.equal(ended.whyNeverRan, undefined, text('stderr'))
    t.strictSame(text('stdout').split('\n'), [
      'kept',
      'a file',
      'new',
      'inside',
      'replaced',
      'all:',
      '.',
      '..',
      'new',
      '',
      'link:',
      '.',
      '..',
      'inside',
      'root:x:0:0::/:/bin/sh',
      '/data',
      'image command /mnt/mesos/sandbox',
      'x',
      '',
    ])
    t.match(text('stderr'), new RegExp(`gone: No.*\\n.*dev: No.*\\n.*${top}: No.*\\n.*/usr: No`))
    t.strictSame(left(top), [], 'nothing is left of the container')
    t.strictSame(mounts(top), [])
    t.notOk(existsSync('/etc/x'))
    // What one has written the next one does not see.
    const again = await run('', {
      ...image('org/hello:1'),
      ...shell('cat /data/kept; ls /etc; pwd'),
    })
    t.equal(again.how, 'exited with status 0', text('stderr'))
    t.match(
      text('stdout'),
      /x\nkept\n(hosts\n|hostname\n|resolv.conf\n)*passwd\n(resolv.conf\n)?\/work\n$/,
    )
    t.strictSame(readdirSync(`${top}/store/docker/staging`), [])
  })
}

t.test('what an image says is run', { skip: whyNone }, async t => {
  const { images, run, text, top } = await imagePlace(t)
  saveImage(images, 'hello:latest', HELLO)
  saveImage(images, 'empty:latest', { layers: HELLO.layers })
  const runOf = (name: string, command: CommandInfo) =>
    run('', { ...image(name), command, env: { PATH: '/bin' }, argv: ['none'], argv0: 'other' })
  await runOf('hello', { shell: false })
  await runOf('hello', { shell: false, arguments: ['you'] })
  await runOf('hello', { shell: false, value: 'pwd' })
  await runOf('hello', { shell: false, value: '/bin/busybox', arguments: ['echo', 'by name'] })
  t.equal(text('stdout'), 'hello world\nhello you\n/work\nby name\n', text('stderr'))
  await t.rejects(runOf('empty', { shell: false }), /neither the command nor the image says/)
  await t.rejects(runOf('none', { shell: false }), /there is no image 'none:latest' in/)
  await t.rejects(runOf('../hello', { shell: false }), /'..\/hello' is no name of an image/)
  t.strictSame(left(top), [])
})

t.test('many at once, one unpacking; an OCI layout by its digest', { skip: whyNone }, async t => {
  const { images, run, text, top } = await imagePlace(t)
  const digest = layoutImage(images, 'a/b/oci:2', HELLO)
  layoutImage(images, `oci@${digest}`, HELLO)
  const script = shell('echo -n "$0 "; [ "$(cat /data/kept)" = kept ] && echo $$ >/data/kept')
  const names = ['a/b/oci:2', 'a/b/oci:2', `oci@${digest}`, 'a/b/oci:2']
  const all = await Promise.all(names.map(name => run('', { ...image(name), ...script })))
  t.strictSame(
    all.map(({ how, whyNeverRan }) => whyNeverRan ?? how),
    names.map(() => 'exited with status 0'),
    text('stderr'),
  )
  t.equal(readdirSync(`${top}/store/docker/layers/overlay`).length, 3)
  await t.rejects(
    run('', { ...image(`oci@sha256:${'0'.repeat(64)}`), ...script }),
    /there is no image/,
  )
})

t.test('a container that runs is seen by nobody else', { skip: whyNone }, async t => {
  const { images, processes, spec, text, top } = await imagePlace(t)
  saveImage(images, 'hello:latest', HELLO)
  const launched = await processes.launch(
    spec('', { ...image('hello'), ...shell('echo up; sleep 1000') }),
  )
  await until(() => text('stdout') === 'up\n', 'it runs')
  const [id] = left(top)
  t.strictSame(mounts(top), [], 'no mount of it is one of the machine')
  const rootfs = `${top}/provisioner/containers/${id}/backends/overlay/rootfses/0`
  t.strictSame(readdirSync(rootfs), [])
  t.match(readFileSync(`/proc/${launched.pid}/mountinfo`, 'utf8'), /overlay|\//)
  processes.killTree(launched.pid, 'SIGKILL')
  await launched.exited
  t.strictSame(left(top), [])
})

t.test('images that are not what they say are not run', { skip: whyNone }, async t => {
  const { images, run, top } = await imagePlace(t)
  const layers = HELLO.layers.slice(0, 1)
  const refused: [string, Image, RegExp][] = [
    ['up', { layers: [tarOf([{ name: '../../../../evil', data: 'x' }])] }, /contains '\.\.'/],
    ['deep', { layers: [tarOf([{ name: 'a/../../evil', data: 'x' }])] }, /contains '\.\.'/],
    [
      'through',
      {
        layers: [
          tarOf([
            { name: 'a', type: '2', link: top },
            { name: 'a/evil', data: 'x' },
          ]),
        ],
      },
      /goes through the link 'a'/,
    ],
    [
      'hard',
      { layers: [tarOf([{ name: 'a', type: '1', link: `..${top}/secret` }])] },
      /contains '\.\.'/,
    ],
    [
      'hard-absolute',
      { layers: [tarOf([{ name: 'a', type: '1', link: `${top}/secret` }])] },
      /could not be unpacked/,
    ],
    [
      'hard-through',
      {
        layers: [
          tarOf([
            { name: 'l', type: '2', link: top },
            { name: 'a', type: '1', link: 'l/secret' },
          ]),
        ],
      },
      /goes through the link 'l'/,
    ],
    ['digest', { layers, diffIds: [`sha256:${'1'.repeat(64)}`] }, /is sha256:.*, and not sha256:1/],
    ['fewer', { layers, diffIds: [] }, /it has 1 layers, and digests of 0/],
    ['cut', { layers: [layers[0]!.subarray(0, 3000)] }, /is damaged: it is cut off/],
    ['none', { layers: [Buffer.from('this is no archive'.repeat(100))] }, /is damaged/],
  ]
  writeFileSync(`${top}/secret`, 'secret')
  for (const [name, made, why] of refused) {
    saveImage(images, `${name}:latest`, made)
    await t.rejects(run('', { ...image(name), ...shell('true') }), why, name)
  }
  t.notOk(existsSync(`${top}/evil`))
  t.strictSame(readdirSync(`${top}/store/docker/layers/overlay`), [])
  t.strictSame(readdirSync(`${top}/store/docker/staging`), [])
  // An absolute name is one below the layer's own root.
  saveImage(images, 'absolute:latest', {
    layers: [...layers, tarOf([{ name: `${top}/evil`, data: 'x' }])],
  })
  const { how } = await run('', { ...image('absolute'), ...shell(`/bin/cat ${top}/evil`) })
  t.equal(how, 'exited with status 0')
  t.notOk(existsSync(`${top}/evil`))
})
