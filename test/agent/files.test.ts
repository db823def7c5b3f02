import t from 'tap'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { SystemFiles } from '../../src/agent/file-system.ts'
import { modeText } from '../../src/agent/file-mode.ts'
import { FilesActor } from '../../src/agent/files.ts'
import type { SandboxFiles } from '../../src/agent/sandbox-files.ts'
import { collectingLogger } from '../../src/base/log.ts'
import { MAX_READ_BYTES } from '../../src/messages/files.ts'
import { MemoryFiles } from '../../src/sim/memory-files.ts'
import { World } from '../../src/sim/world.ts'
import { AWARE, command, scene } from './world.ts'

/** The actor on some files, asked by HTTP. */
async function shown(files: SandboxFiles, attached: Record<string, string>) {
  const world = new World({ log: collectingLogger() })
  const runtime = world.start('10.0.0.2:5051')
  const actor = new FilesActor(files)
  runtime.spawn(actor, 'files')
  for (const [name, path] of Object.entries(attached)) actor.attach(path, name)
  await world.settle()
  const get = async (path: string, query: Record<string, string>) => {
    const answer = runtime.http({
      method: 'GET',
      path: `/files/${path}`,
      query: new URLSearchParams(query),
      headers: {},
      body: new Uint8Array(),
    })
    let isDone = false
    void answer.finally(() => (isDone = true))
    while (!isDone) {
      await world.advance(1)
      // A real disk answers in its own time, which the world's does not know.
      await new Promise(resolve => setImmediate(resolve))
    }
    const { status, body = '', headers } = await answer
    return { status, body: typeof body === 'string' ? body : Buffer.from(body).toString(), headers }
  }
  return { actor, get }
}

for (const kind of ['memory', 'disk'] as const) {
  t.test(`browse, read and download, ${kind}`, async t => {
    let root = '/work/box'
    let files: SandboxFiles
    const long = `${'x'.repeat(MAX_READ_BYTES)}tail`
    if (kind === 'memory') {
      const memory = new MemoryFiles({ now: () => 1_000 })
      await memory.makeDirectory(`${root}/sub`, 0o755)
      memory.append(`${root}/stdout`, 'hello\n')
      memory.append(`${root}/long`, long)
      memory.append('/work/secret', 'no')
      await memory.linkLatest(`${root}/out`, '../secret')
      await memory.linkLatest(`${root}/in`, 'stdout')
      files = memory
    } else {
      const top = t.testdir({ box: { stdout: 'hello\n', long, sub: {} }, secret: 'no' })
      root = `${top}/box`
      await symlink('../secret', `${root}/out`)
      await symlink('stdout', `${root}/in`)
      files = new SystemFiles()
    }
    const { actor, get } = await shown(files, { '/run': root })

    const listing = await get('browse', { path: '/run' })
    t.strictSame(
      JSON.parse(listing.body).map((f: { path: string }) => f.path),
      ['/run/in', '/run/long', '/run/stdout', '/run/sub'],
      'not what leads out of it',
    )
    const [stdout] = JSON.parse(listing.body).filter(
      (f: { path: string }) => f.path === '/run/stdout',
    )
    t.match(stdout, { size: 6, mode: /^-rw-r/, uid: /./, gid: /./, nlink: 1 })
    t.ok(stdout.mtime > 0)

    const read = async (query: Record<string, string>) => {
      const { status, body } = await get('read', query)
      return status === 200 ? JSON.parse(body) : [status, body]
    }
    t.strictSame(await read({ path: '/run/stdout', offset: '1', length: '3' }), {
      offset: 1,
      data: 'ell',
    })
    t.strictSame(await read({ path: '/run//stdout/', offset: '0' }), { offset: 0, data: 'hello\n' })
    t.strictSame(await read({ path: '/run/stdout' }), { offset: 6, data: '' })
    t.strictSame(await read({ path: '/run/stdout', offset: '-1' }), { offset: 6, data: '' })
    t.strictSame(await read({ path: '/run/stdout', offset: '99' }), { offset: 99, data: '' })
    t.strictSame(await read({ path: '/run/in', offset: '0' }), { offset: 0, data: 'hello\n' })
    t.equal((await read({ path: '/run/long', offset: '0' })).data.length, MAX_READ_BYTES)
    t.equal(
      (await read({ path: '/run/long', offset: '2', length: '9999999' })).data.length,
      MAX_READ_BYTES,
    )
    t.strictSame(await read({ path: '/run/stdout', offset: '-2' }), [
      400,
      'Negative offset provided: -2.\n',
    ])
    t.match(await read({ path: '/run/stdout', offset: 'x' }), [400, /^Failed to parse offset/])
    for (const verb of ['browse', 'read', 'download']) {
      t.match(await get(verb, { path: '/run/std\0out' }), {
        status: 400,
        body: 'A path cannot contain a NUL byte.\n',
      })
    }
    const tooLong = await read({ path: `/run/${'x'.repeat(300)}`, offset: '0' })
    t.notOk(String(tooLong[1]).includes(root), 'where it is on the machine is not said')
    t.strictSame(await read({}), [400, "Expecting 'path=value' in query.\n"])
    t.strictSame(await read({ path: '/run', offset: '0' }), [400, 'Cannot read a directory.\n'])

    for (const path of [
      '/run/out',
      '/run/../secret',
      '/run/none',
      '/other',
      '/runner',
      '/',
      root,
    ]) {
      t.strictSame(await read({ path, offset: '0' }), [404, ''], path)
    }
    t.match(await get('browse', { path: '/run/sub' }), { status: 200, body: '[]' })
    t.equal((await get('browse', { path: '/run/stdout' })).status, 400)
    t.match(await get('download', { path: '/none' }), { status: 404, body: '404 Not Found.' })
    t.match(await get('download', { path: '/run/stdout' }), {
      status: 200,
      body: 'hello\n',
      headers: { 'content-disposition': 'attachment; filename=stdout' },
    })
    actor.detach('/run')
    t.strictSame(await read({ path: '/run/stdout', offset: '0' }), [404, ''])
  })
}

t.test('a link that comes into the way of a file is not followed', async t => {
  const top = t.testdir({ box: { file: 'own' }, secrets: { file: 'secret' } })
  const files = new SystemFiles()
  t.equal(Buffer.from(await files.read(`${top}/box/file`, 0, 9)).toString(), 'own')
  await symlink(`${top}/secrets/file`, `${top}/box/link`)
  await symlink(`${top}/secrets`, `${top}/box/way`)
  for (const path of ['link', 'way/file']) {
    await t.rejects(files.read(`${top}/box/${path}`, 0, 9), { code: 'ENOENT' }, path)
  }
  t.equal((await files.read('/dev/zero', 0, 9)).length, 0, 'nor is a device read')
})

t.test('a file that is no file, and one that is not ours', async t => {
  const top = t.testdir({ file: 'x' })
  const files = new SystemFiles()
  await mkdir(`${top}/d`)
  await writeFile(`${top}/d/closed`, 'x', { mode: 0o000 })
  t.match(await files.status(`${top}/d`), { kind: 'directory' })
  t.equal(await files.status(`${top}/file/below`), undefined)
  await t.rejects(files.list(`${top}/none`), { code: 'ENOENT' })
  t.equal((await files.status(`${top}/d/closed`))!.mode & 0o777, 0)
  await files.makeDirectory(`${top}/a/b/c`, 0o750)
  t.equal((await files.status(`${top}/a/b/c`))!.mode & 0o777, 0o750)
  await files.linkLatest(`${top}/latest`, 'a')
  await files.linkLatest(`${top}/latest`, 'd')
  t.equal(await files.resolve(`${top}/latest`), await files.resolve(`${top}/d`))
})

t.test('the sandbox of a task is shown under its names, to the master too', async t => {
  const s = await scene()
  s.master.run(AWARE, command('t1', 'echo hi; sleep 3'))
  await s.reaches('t1', 'TASK_RUNNING')
  const { containerId, cwd } = s.processes.launched[0]!.spec
  for (const path of [
    `/frameworks/F1/executors/t1/runs/latest/stdout`,
    `/frameworks/F1/executors/t1/runs/${containerId}/stdout`,
    `${cwd}/stdout`,
  ]) {
    const reading = s.master.read(path)
    await s.world.advance(10)
    t.match(await reading, { ok: true, data: 'hi\n', total: 3 }, path)
  }
  const browsing = s.master.browse('/frameworks/F1/executors/t1/runs/latest')
  await s.world.advance(10)
  t.match(await browsing, { ok: true, files: [{ mode: '-rw-r--r--' }, {}] })
  await s.reaches('t1', 'TASK_FINISHED')
  const { status, body } = await s.get(`/files/read?path=${cwd}/stdout&offset=0`)
  t.match({ status, body }, { status: 200, body: '{"offset":0,"data":"hi\\n"}' })
})

t.test('modes as ls prints them', async t => {
  t.equal(modeText(0o100644), '-rw-r--r--')
  t.equal(modeText(0o040750), 'drwxr-x---')
  t.equal(modeText(0o041777), 'drwxrwxrwt')
  t.equal(modeText(0o104755), '-rwsr-xr-x')
  t.equal(modeText(0o106600), '-rwS--S---')
  t.equal(modeText(0o010600), 'prw-------')
})
