// What is run of an image: each row of the table of docker/runtime. And the names that images have.

import t from 'tap'
import {
  ImageConfig,
  mergeRuntime,
  type RuntimeConfig,
  runtimeConfig,
} from '../../src/agent/images/image-config.ts'
import { parseReference, referenceText } from '../../src/agent/images/reference.ts'
import { imageErrors } from '../../src/agent/images/flags.ts'
import { agentFlags } from '../../src/agent/flags.ts'
import { parseFlags } from '../../src/base/flags.ts'
import * as v from 'valibot'
import type { CommandInfo } from '../../src/messages/command.ts'

const made = (entrypoint: string[], cmd: string[]): RuntimeConfig => ({
  entrypoint,
  cmd,
  env: [],
  workingDir: '',
  user: '',
})

const IMAGES = {
  nothing: made([], []),
  cmd: made([], ['/c', 'c1']),
  entrypoint: made(['/e', 'e1'], []),
  both: made(['/e', 'e1'], ['/c', 'c1']),
}

type Row = [CommandInfo, { readonly [image in keyof typeof IMAGES]: string | RegExp }]

const NONE = /neither the command nor the image says what to run/
const all = (line: string): Row[1] => ({ nothing: line, cmd: line, entrypoint: line, both: line })

const TABLE: readonly Row[] = [
  [{ value: 'v w' }, all('/bin/sh -c [v w]')],
  [{ shell: true, value: 'v', arguments: ['a'] }, all('/bin/sh -c v')],
  [{ shell: false, value: 'v' }, all('v')],
  [{ shell: false, value: 'v', arguments: ['a', 'b'] }, all('a=v b')],
  [{ shell: false }, { nothing: NONE, cmd: '/c c1', entrypoint: '/e e1', both: '/e e1 /c c1' }],
  [
    { shell: false, arguments: ['a', 'b'] },
    { nothing: NONE, cmd: '/c a b', entrypoint: '/e e1 a b', both: '/e e1 a b' },
  ],
]

const line = (image: RuntimeConfig, command: CommandInfo): string => {
  const { argv, argv0 } = mergeRuntime(image, command)
  const words = argv.map(word => (word.includes(' ') ? `[${word}]` : word)).join(' ')
  return argv0 === undefined ? words : `${argv0}=${words}`
}

t.test("a command and an image's entrypoint and cmd", t => {
  for (const [command, row] of TABLE) {
    for (const [name, expected] of Object.entries(row) as [
      keyof typeof IMAGES,
      string | RegExp,
    ][]) {
      const what = `${JSON.stringify(command)}, ${name}`
      if (typeof expected === 'string') t.equal(line(IMAGES[name], command), expected, what)
      else t.throws(() => mergeRuntime(IMAGES[name], command), expected, what)
    }
  }
  t.throws(() => mergeRuntime(IMAGES.both, {}), /a command for a shell has no value/)
  t.end()
})

t.test('environment and working directory', t => {
  const image = { ...IMAGES.cmd, env: ['A=1', 'B=x=y', 'C=', 'MESOS_SANDBOX=/x'] }
  const merged = mergeRuntime({ ...image, workingDir: '/srv' }, { shell: false })
  t.strictSame(merged.env, { A: '1', B: 'x=y', C: '' })
  t.equal(merged.workingDirectory, '/srv')
  t.notOk('workingDirectory' in mergeRuntime(image, { shell: false }))
  for (const env of ['A', '=x', '']) {
    t.throws(() => mergeRuntime({ ...image, env: [env] }, { value: 'x' }), /is no NAME=VALUE/)
  }
  t.throws(
    () => mergeRuntime({ ...image, workingDir: 'srv' }, { value: 'x' }),
    /'srv' is not absolute/,
  )
  t.end()
})

t.test('what docker(1) leaves out of a configuration, or writes null for', t => {
  const rootfs = { type: 'layers', diff_ids: [] }
  const of = (config: unknown) => runtimeConfig(v.parse(ImageConfig, { config, rootfs }))
  t.strictSame(of({ Cmd: ['x'], Entrypoint: null, User: 'me' }), { ...made([], ['x']), user: 'me' })
  t.strictSame(of(null), made([], []))
  t.throws(() => of({ Cmd: ['a\0b'] }))
  t.throws(() => of({ Cmd: 'sh' }))
  t.end()
})

t.test('names of images', t => {
  const digest = `sha256:${'ab'.repeat(32)}`
  const good: [string, string][] = [
    ['busybox', 'busybox:latest'],
    ['busybox:1.36', 'busybox:1.36'],
    ['org/team_x/app-y:v1.2_3', 'org/team_x/app-y:v1.2_3'],
    ['host.example:5000/app', 'host.example:5000/app:latest'],
    ['host:5000/app:2', 'host:5000/app:2'],
    [`app@${digest}`, `app@${digest}`],
    [`app:1@${digest}`, `app@${digest}`],
  ]
  for (const [name, text] of good) t.equal(referenceText(parseReference(name)), text)
  const bad = [
    '',
    ':1',
    '/app',
    'app/',
    'a//b',
    '../app',
    'a/../b',
    'a/./b',
    '.app',
    'app:..',
    'app:',
    'app:a/b',
    'app: ',
    'a\0b',
    'a\nb',
    'app@sha256:12',
    `app@${digest}@${digest}`,
    `app@md5:${'ab'.repeat(16)}`,
    'x'.repeat(256),
  ]
  for (const name of bad) {
    t.throws(() => parseReference(name), { code: 'invalid_value' }, name)
  }
  t.end()
})

t.test('flags of images, and with which others they go', t => {
  const errors = (...argv: string[]): string[] => {
    const input = { argv: ['--master=127.0.0.1:1', ...argv], env: {}, readFile: () => '' }
    const parsed = parseFlags(agentFlags, input)
    return parsed.ok ? imageErrors(parsed.values) : [...parsed.errors]
  }
  const isolation = '--isolation=filesystem/linux,docker/runtime'
  const good = ['--launcher=linux', isolation, '--image_providers=docker', '--docker_registry=/x']
  t.strictSame(errors(...good), [])
  t.strictSame(errors(), [])
  t.match(errors('--image_providers=docker,appc'), [/'docker,appc' is not 'docker'/])
  t.match(errors('--image_providers=docker'), [/filesystem\/linux/, /docker\/runtime/])
  t.match(errors('--docker_registry=/x'), [/there is no --image_providers/])
  const registry = (text: string) => errors(...good.slice(0, 3), `--docker_registry=${text}`)
  t.strictSame(registry('https://registry.example:5000/mirror'), [])
  t.match(registry('ftp://registry.example'), [/no URL of http or https/])
  t.match(registry('https://me:secret@registry.example'), [/--docker_config/])
  t.match(registry('images'), [/neither a URL nor an absolute path/])
  t.match(errors('--launcher=linux', isolation), [/docker\/runtime' needs '--image_providers'/])
  t.match(errors(...good, '--image_gc_config={"image_disk_headroom":2}'), [/image_disk_headroom/])
  t.match(errors(...good, '--image_gc_config={"what":2}'), [/image_gc_config/])
  t.strictSame(
    errors(
      ...good,
      '--image_gc_config={"excluded_images":[{"type":"DOCKER","docker":{"name":"a"}}]}',
    ),
    [],
  )
  t.end()
})
