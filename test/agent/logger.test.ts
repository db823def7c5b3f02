// Files of output that are rotated: what may be said about it, hostile directories, and real containers with a log writer.

import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import t, { type Test } from 'tap'
import { loggerErrors, loggerFlags, LOGROTATE_LOGGER } from '../../src/agent/logger/flags.ts'
import { RotatingFile } from '../../src/agent/logger/rotating-file.ts'
import { parseOptions, rotationsOf } from '../../src/agent/logger/rotation.ts'
import { parseFlags } from '../../src/base/flags.ts'

const LINE = 'a line of sixteen\n'

t.test('options say how many files are kept', async t => {
  t.equal(parseOptions('rotate 9'), 9)
  t.equal(parseOptions(' rotate 3 \n\n rotate 0;'), 0)
  t.match(parseOptions('compress'), /'compress' is not understood/)
  t.match(parseOptions('rotate 9\npostrotate rm -rf /'), /is not understood/)
  t.match(parseOptions('rotate 1001'), /is not a number of files/)
  t.match(parseOptions(''), /says nothing/)
})

t.test("a task's environment goes before the flags", async t => {
  const defaults = { stdout: { maxBytes: 10_000, keep: 1 }, stderr: { maxBytes: 20_000, keep: 2 } }
  const of = (variables: Record<string, string>) =>
    rotationsOf(defaults, 'LOGS_', {
      value: 'true',
      environment: {
        variables: Object.entries(variables).map(([name, value]) => ({ name, value })),
      },
    })
  t.equal(rotationsOf(defaults, 'LOGS_', undefined), defaults)
  t.strictSame(of({ LOGS_MAX_STDOUT_SIZE: '8KB', LOGS_LOGROTATE_STDERR_OPTIONS: 'rotate 7' }), {
    stdout: { maxBytes: 8192, keep: 1 },
    stderr: { maxBytes: 20_000, keep: 7 },
  })
  t.throws(() => of({ LOGS_MAX_STDOUT_SIZE: '1KB' }), /LOGS_MAX_STDOUT_SIZE' is wrong: .* less/)
  t.throws(() => of({ LOGS_MAX_STDERR_SIZE: 'x' }), /LOGS_MAX_STDERR_SIZE' is wrong/)
  t.throws(() => of({ LOGS_LOGROTATE_STDOUT_OPTIONS: 'su root' }), /'su root' is not understood/)
})

t.test('flags of the other logger are refused', async t => {
  const errors = (...argv: string[]): string[] => {
    const parsed = parseFlags(loggerFlags, { argv, env: {}, readFile: () => '' })
    return parsed.ok ? loggerErrors(parsed.values) : [...parsed.errors]
  }
  t.strictSame(errors(), [])
  t.match(errors('--container_logger_max_stdout_size=1MB'), [/is for '--container_logger=org_/])
  const logrotate = `--container_logger=${LOGROTATE_LOGGER}`
  t.strictSame(errors(logrotate, '--container_logger_max_stdout_size=1MB'), [])
  t.match(errors(logrotate, '--container_logger_max_stdout_size=1KB'), [/1KB/])
  t.match(errors(logrotate, '--container_logger_logrotate_stderr_options=mail x'), [/mail x/])
})

function rotating(t: Test, rotation: { maxBytes: number; keep: number }) {
  const box = t.testdir({})
  const directory = openSync(box, constants.O_RDONLY | constants.O_DIRECTORY)
  const warnings: string[] = []
  const open = (): RotatingFile =>
    new RotatingFile({
      directory,
      name: 'stdout',
      owner: undefined,
      rotation,
      warn: why => warnings.push(why),
    })
  t.teardown(() => closeSync(directory))
  return { box, open, warnings, read: (name: string) => readFileSync(`${box}/${name}`, 'utf8') }
}

t.test('no file is larger than it may be, and lines stay whole', async t => {
  const { box, open, read } = rotating(t, { maxBytes: 40, keep: 3 })
  const file = open()
  for (let i = 0; i < 8; i++) file.write(Buffer.from(LINE))
  file.close()
  t.strictSame(readdirSync(box).toSorted(), ['stdout', 'stdout.1', 'stdout.2', 'stdout.3'])
  for (const name of readdirSync(box)) t.equal(read(name), LINE + LINE)
  // Another writer goes on with what is there.
  const next = open()
  next.write(Buffer.from(`${LINE}${'x'.repeat(100)}\n`))
  next.close()
  t.equal(read('stdout.3'), LINE)
  t.strictSame(
    ['stdout.2', 'stdout.1', 'stdout'].map(name => read(name).length),
    [40, 40, 21],
    'a line that is longer than a file is cut',
  )
})

t.test('without old files the file is cut', async t => {
  const { box, open, read } = rotating(t, { maxBytes: 40, keep: 0 })
  const file = open()
  for (let i = 0; i < 5; i++) file.write(Buffer.from(LINE))
  t.equal(read('stdout'), LINE)
  t.strictSame(readdirSync(box), ['stdout'])
  file.close()
})

t.test('what a task puts in the way leads nowhere', async t => {
  const { box, open, read, warnings } = rotating(t, { maxBytes: 40, keep: 1 })
  writeFileSync(`${box}/victim`, 'whole\n')
  const whole = (): boolean => t.equal(read('victim'), 'whole\n')
  // A link, a second name and a FIFO in its place, when a writer comes.
  for (const put of [
    () => symlinkSync('victim', `${box}/stdout`),
    () => linkSync(`${box}/victim`, `${box}/stdout`),
    () => execFileSync('mkfifo', [`${box}/stdout`]),
  ]) {
    put()
    const file = open()
    file.write(Buffer.from(LINE))
    file.close()
    t.equal(read('stdout'), LINE)
    whole()
    unlinkSync(`${box}/stdout`)
  }
  // A link where the old file goes, one where the new one comes to be, and none at all.
  const file = open()
  file.write(Buffer.from(LINE + LINE))
  symlinkSync('victim', `${box}/stdout.1`)
  file.write(Buffer.from(LINE))
  t.equal(read('stdout.1'), LINE + LINE)
  unlinkSync(`${box}/stdout`)
  symlinkSync('victim', `${box}/stdout`)
  file.write(Buffer.from(LINE + LINE))
  t.equal(read('stdout'), LINE)
  whole()
  // Nothing can be renamed: the file is cut.
  unlinkSync(`${box}/stdout.1`)
  mkdirSync(`${box}/stdout.1/full`, { recursive: true })
  for (let i = 0; i < 9; i++) file.write(Buffer.from(LINE))
  t.ok(statSync(`${box}/stdout`).size <= 40)
  t.match(warnings, [/could not be rotated/])
  // Nor made.
  unlinkSync(`${box}/stdout`)
  mkdirSync(`${box}/stdout/full`, { recursive: true })
  file.close()
  const blocked = open()
  blocked.write(Buffer.from(LINE))
  t.match(warnings.slice(1), [/could not be opened/])
  t.ok(existsSync(`${box}/stdout/full`))
})
