import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { UserError } from '../../src/base/errors.ts'
import { share } from '../../src/cli/cluster.ts'
import { dashboard } from '../../src/cli/dashboard.ts'
import { Progress } from '../../src/cli/progress.ts'
import { checkDirectory, makeDirectory, quote } from '../../src/cli/work-dir.ts'
import { parseAgentResources } from '../../src/resources/parse.ts'

function refusal(run: () => void): UserError {
  try {
    run()
  } catch (error) {
    if (error instanceof UserError) return error
    throw error
  }
  throw new Error('it was not refused')
}

t.test('a directory that cannot be used is refused with what mends it', async t => {
  const top = t.testdir({ file: 'x' })
  checkDirectory('work_dir', top)
  const missing = refusal(() => checkDirectory('work_dir', join(top, 'no', 'such dir')))
  t.equal(missing.code, 'path_missing')
  t.match(missing.message, /^Flag '--work_dir': .*such dir does not exist\.$/)
  t.equal(missing.hint, `Create it: mkdir -p '${join(top, 'no', 'such dir')}'`)
  t.equal(refusal(() => checkDirectory('work_dir', join(top, 'file'))).code, 'not_a_directory')
  t.equal(
    refusal(() => checkDirectory('work_dir', join(top, 'file', 'in'))).code,
    'not_a_directory',
  )
  t.equal(refusal(() => checkDirectory('work_dir', '/proc/self')).code, 'not_permitted')
  for (const path of ['/proc', '/proc/none/here', '/sys']) {
    t.equal(
      refusal(() => makeDirectory('runtime_dir', path)).code,
      path === '/proc/none/here' ? 'path_missing' : 'not_permitted',
      path,
    )
  }
  makeDirectory('work_dir', join(top, 'made', 'here'))
  checkDirectory('work_dir', join(top, 'made', 'here'))
  t.equal(refusal(() => makeDirectory('work_dir', join(top, 'file', 'in'))).code, 'not_a_directory')
})

t.test('paths in advice survive a shell', async t => {
  t.equal(quote('/var/lib/mesos'), '/var/lib/mesos')
  t.equal(quote("/a b/it's"), String.raw`'/a b/it'\''s'`)
})

t.test('the dashboard is every file of its folder, and its page stands for the folder', async t => {
  const top = t.testdir({ 'index.html': '<html>', 'page.js': 'x', 'page.css': 'y', notes: 'z' })
  mkdirSync(join(top, 'deep'))
  writeFileSync(join(top, 'deep', 'page.js'), '')
  const files = dashboard(top)
  t.same([...files.keys()].toSorted(), ['/', '/index.html', '/page.css', '/page.js'])
  t.match(files.get('/'), {
    status: 200,
    headers: { 'content-type': /^text\/html/ },
    body: Buffer.from('<html>'),
  })
  t.match(files.get('/page.js')?.headers, { 'content-type': /^text\/javascript/ })
  t.equal(dashboard(join(top, 'none')).size, 0)
})

t.test('agents on one machine get shares that parse, and ports of their own', async t => {
  const shares = [0, 1, 2].map(index => parseAgentResources(share(index, 3, '/')))
  for (const list of shares) {
    t.same(
      list.map(({ name }) => name),
      ['cpus', 'mem', 'disk', 'ports'],
    )
    t.ok((list[0]?.scalar?.value ?? 0) >= 1, 'a task of one CPU fits')
  }
  const begins = shares.map(list => list[3]?.ranges?.range?.[0]?.begin)
  t.equal(new Set(begins).size, 3)
})

t.test('progress counts tasks by what was last said of each', async t => {
  const progress = new Progress(4)
  t.equal(progress.text(), '4 waiting, 0 of 4 finished')
  t.ok(progress.take('Task 0 TASK_STAGING on host'))
  t.notOk(progress.take('Subscribed with ID 1-0000'))
  t.ok(progress.take('Task 1 TASK_RUNNING'))
  t.notOk(progress.take('Task 1 TASK_RUNNING'))
  t.equal(progress.text(), '2 waiting, 1 staging, 1 running, 0 of 4 finished')
  progress.take('Task 0 TASK_FINISHED')
  progress.take('Task 1 TASK_FAILED (REASON_COMMAND_EXECUTOR_FAILED: x)')
  t.equal(progress.text(), '2 waiting, 1 failed, 1 of 4 finished')
  t.notOk(progress.done)
  for (const task of [2, 3]) progress.take(`Task ${task} TASK_FINISHED`)
  t.ok(progress.done)
  t.match(progress.bar(), /^█{23}·{7} {2}1 failed, 3 of 4 finished/)
})
