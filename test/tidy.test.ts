// House rules as tests. Each rule is run over the repository, and over an example that it must refuse: a rule that
// bites nothing is worth nothing.

import t from 'tap'
import { WORLD } from './tidy/house.ts'
import { readProject, sketch } from './tidy/project.ts'
import * as rules from './tidy/rules.ts'
import { codeOf, importsOf } from './tidy/source.ts'

// Tests run at the repository's top folder.
const project = readProject(process.cwd())

t.test('imports go down the floors', async t => {
  t.strictSame(rules.floors(project), [])
  const complaints = rules.floors(
    sketch({
      'src/base/a.ts': "import { b } from '../actors/b.ts'",
      'src/actors/b.ts': "import type { c } from '../base/c.ts'\nimport { a } from './d.ts'",
      'src/actors/d.ts': '',
      'src/base/c.ts': '',
      'src/master/m.ts': "import { a } from '../agent/a.ts'\nimport { w } from '../sim/world.ts'",
      'src/agent/a.ts': "import type { m } from '../master/m.ts'",
      'src/sim/world.ts': "import { m } from '../master/m.ts'",
      'src/cli/serve.ts': "export { page } from '../web/page.ts'",
      'src/web/page.ts': "const serve = await import('../cli/serve.ts')",
      'test/master/m.test.ts': "import { w } from '../../src/sim/world.ts'",
      'src/log/log.ts': "import { help } from '../../test/help.ts'",
      'test/help.ts': '',
    }),
  )
  t.strictSame(complaints, [
    'src/base/a.ts:1: floor 0 may not import src/actors/b.ts of floor 1',
    'src/master/m.ts:1: floor 5 may not import src/agent/a.ts of the same floor',
    'src/master/m.ts:2: the simulator (src/sim/world.ts) is for tests only',
    'src/agent/a.ts:1: floor 5 may not import src/master/m.ts of the same floor',
    'src/web/page.ts:1: floor 6 may not import src/cli/serve.ts of the same floor',
    'src/log/log.ts:1: product code imports test/help.ts, which is on no floor',
  ])
})

t.test('no import cycles', async t => {
  t.strictSame(rules.cycles(project), [])
  const complaints = rules.cycles(
    sketch({
      'src/base/a.ts': "import { b } from './b.ts'",
      'src/base/b.ts': "import { c } from './c.ts'",
      'src/base/c.ts': "import { b } from './b.ts'\nimport type { a } from './a.ts'",
    }),
  )
  t.strictSame(complaints, ['src/base/b.ts → src/base/c.ts → src/base/b.ts: an import cycle'])
})

t.test('the world comes in by argument', async t => {
  t.strictSame(rules.world(project), [])
  const named = Object.keys(WORLD).find(path => !path.endsWith('/'))!
  const code = [
    'const at = Date.now() + performance.now() + process.hrtime()[0]',
    'const day = new Date() // and new Date(at) is fine',
    'const other = new Date',
    'const n = Math.random()',
    "import { randomUUID } from 'node:crypto'",
    'setTimeout(() => {}, 1); setInterval(f, 1); globalThis.x; setImmediate(f)',
    "import { readFile } from 'node:fs/promises'",
    "import { spawn } from 'child_process'",
    "import type { Socket } from 'node:net'",
    "const text = 'Date.now() in a text, and setTimeout'",
    '/* Math.random() in a comment */ const ok = clock.setTimeout(f) + new Date(at)',
    `const nested = \`Date.now() \${Math.random()}\``,
  ].join('\n')
  const complaints = rules.world(
    sketch({ 'src/base/a.ts': code, [named]: code, 'test/a.ts': code }),
  )
  t.strictSame(
    complaints.map(complaint => complaint.replace(/ is forbidden here: .+/, '')),
    [
      'src/base/a.ts:1: Date.now',
      'src/base/a.ts:1: performance',
      'src/base/a.ts:1: process.hrtime',
      'src/base/a.ts:2: new Date()',
      'src/base/a.ts:3: new Date()',
      'src/base/a.ts:4: Math.random',
      'src/base/a.ts:5: crypto.randomUUID',
      'src/base/a.ts:6: setTimeout',
      'src/base/a.ts:6: setInterval',
      'src/base/a.ts:6: setImmediate',
      'src/base/a.ts:12: Math.random',
      'src/base/a.ts:7: importing node:fs/promises',
      'src/base/a.ts:8: importing child_process',
    ],
  )
  t.match(complaints[0], /take a Clock/, 'says what to use instead')
})

t.test('files named as touching the world exist', async t => {
  t.strictSame(rules.worldExists(project), [])
  t.equal(rules.worldExists(sketch({})).length, Object.keys(WORLD).length)
})

t.test('relative imports lead to files', async t => {
  t.strictSame(rules.resolved(project), [])
  t.strictSame(rules.resolved(sketch({ 'src/base/a.ts': "\nimport './gone.ts'" })), [
    'src/base/a.ts:2: ./gone.ts is no file of the project',
  ])
})

t.test('every import is declared, every dependency used', async t => {
  t.strictSame(rules.declared(project), [])
  t.strictSame(rules.used(project), [])
  const example = sketch(
    {
      'src/base/a.ts': "import ws from 'ws'\nimport { h } from 'preact/hooks'\nimport '@scope/x/y'",
      'src/web/page/main.tsx': "import { render } from 'preact'",
    },
    { manifest: { dependencies: { ws: '1', pino: '1' }, devDependencies: { preact: '1' } } },
  )
  t.strictSame(rules.declared(example), [
    'src/base/a.ts:2: preact must be in dependencies, not devDependencies',
    'src/base/a.ts:3: @scope/x is not declared in package.json',
  ])
  t.strictSame(rules.used(example), ['package.json: pino is imported nowhere: remove it'])
})

t.test('files of src are short', async t => {
  t.strictSame(rules.length(project), [])
  const example = sketch({
    'src/base/a.ts': 'x\n'.repeat(401),
    'src/base/b.ts': 'x\n'.repeat(400),
    'src/web/page/page.css': 'x\n'.repeat(999),
  })
  t.strictSame(rules.length(example), ['src/base/a.ts: 401 lines; split it below 400'])
})

t.test('every file is imported by something', async t => {
  t.strictSame(rules.reached(project), [])
  const example = sketch({
    'src/cli/bin/mesos-log.ts': "import { a } from '../../base/a.ts'",
    'src/base/a.ts': '',
    'src/base/b.ts': '',
    'src/sim/world.ts': '',
    'test/base/b.test.ts': "import '../../src/base/b.ts'\nimport '../../src/sim/world.ts'",
    'test/support/old.ts': '',
  })
  t.strictSame(rules.reached(example), [
    'src/base/b.ts: nothing imports it but tests',
    'test/support/old.ts: nothing imports it',
  ])
})

t.test('commands exist', async t => {
  t.strictSame(rules.commands(project), [])
  const example = sketch(
    { 'src/cli/bin/mesos-log.ts': '' },
    {
      manifest: { bin: { 'mesos-log': 'dist/mesos-log.js', frame: 'dist/examples/f/main.js' } },
      readme: 'npx mesos-log replay; npx mesos-logs',
    },
  )
  t.strictSame(rules.commands(example), [
    'package.json: frame is dist/examples/f/main.js, but examples/f/main.ts does not exist',
    'README.md: npx mesos-logs is no command of package.json',
  ])
})

t.test('the lock file names the packages of every platform', async t => {
  t.strictSame(rules.locked(project), [])
  const example = sketch(
    {},
    {
      lock: {
        packages: {
          'node_modules/esbuild': {
            optionalDependencies: { '@esbuild/a': '1', '@esbuild/b': '1' },
          },
          'node_modules/@esbuild/a': {},
        },
      },
    },
  )
  t.strictSame(rules.locked(example), [
    'package-lock.json: @esbuild/b of node_modules/esbuild is missing: node scripts/dev.js lock',
  ])
})

t.test('the reader of sources tells code from text', async t => {
  const source = 'a // b\n"c\\"d" `e${f("g")}h${{ i: `j` }}` + /k"\\/[/]/.test(l) / m /* n\n*/ o'
  t.equal(
    codeOf(source),
    'a     \n"    " ` ${f(" ")} ${{ i: ` ` }}` + /       /.test(l) / m     \n   o',
  )
  t.strictSame(
    importsOf(
      "import 'a'\nimport type { b,\n c } from 'b'\nexport * from \"c\"; import('d')\n'import e'",
    ),
    [
      { specifier: 'a', line: 1, typeOnly: false },
      { specifier: 'b', line: 3, typeOnly: true },
      { specifier: 'c', line: 4, typeOnly: false },
      { specifier: 'd', line: 4, typeOnly: false },
    ],
  )
})
