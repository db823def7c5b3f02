// The fetcher: what URIs mean, what is fetched and unpacked, what is kept for others, and ways out of a sandbox that are tried.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { CacheSpace } from '../../src/agent/fetcher/cache-space.ts'
import { Fetcher, type FetcherOptions } from '../../src/agent/fetcher/fetcher.ts'
import { FetchingProcesses } from '../../src/agent/fetcher/fetching-processes.ts'
import { SandboxEntries } from '../../src/agent/fetcher/sandbox-entries.ts'
import { wantedOf } from '../../src/agent/fetcher/uri.ts'
import { headerBlocks, END_OF_ARCHIVE, type TarHeader } from '../../src/agent/images/tar.ts'
import { silentLogger } from '../../src/base/log.ts'
import type { CommandURI } from '../../src/messages/command.ts'
import { containerizer, scriptSpec, skip, until } from './containers.ts'
import { SystemAccounts } from '../../src/agent/containerizer/accounts.ts'

const NOBODY = { uid: 65534, gid: 65534, groups: [65534] }
const isRoot = process.getuid?.() === 0
const asRoot = { skip: isRoot ? false : ('only root can run programs as others' as const) }
const hasUnzip = existsSync('/usr/bin/unzip') && existsSync('/usr/bin/zip')

/** Directories that others can go through, a fetcher, and a server. */
async function place(t: Test, more: Partial<FetcherOptions> = {}) {
  const top = mkdtempSync(`${tmpdir()}/mesos-test-`)
  chmodSync(top, 0o755)
  mkdirSync(`${top}/box`)
  mkdirSync(`${top}/files`)
  const asked: string[] = []
  const held: ServerResponse[] = []
  const served = new Map<string, Buffer>()
  const server = createServer((request, answer) => {
    const path = request.url ?? ''
    asked.push(path)
    const body = served.get(path.split('?')[0]!)
    if (path === '/hold') held.push(answer)
    else if (path === '/moved') answer.writeHead(302, { location: '/file' }).end()
    else if (body) answer.writeHead(200).end(body)
    else answer.writeHead(404).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const fetcher = new Fetcher({
    directory: `${top}/cache/own`,
    cacheBytes: 10_000,
    limitBytes: 1_000_000,
    stallMs: 5_000,
    home: undefined,
    log: silentLogger,
    ...more,
  })
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
    rmSync(top, { recursive: true })
  })
  const box = (name = 'box') => {
    mkdirSync(`${top}/${name}`, { recursive: true })
    return `${top}/${name}`
  }
  return {
    top,
    url,
    asked,
    held,
    served,
    fetcher,
    box,
    cached: () => readdirSync(`${top}/cache/own`),
    fetch: (
      uris: readonly CommandURI[],
      {
        sandbox = `${top}/box`,
        stop = new AbortController().signal,
        account = undefined as typeof NOBODY | undefined,
      } = {},
    ) => fetcher.fetch({ containerId: 'c', uris, sandbox, account }, stop),
    text: (name: string) => readFileSync(`${top}/box/${name}`, 'utf8'),
  }
}

interface Entry extends Partial<TarHeader> {
  readonly name: string
  readonly data?: string
}

function tar(...entries: Entry[]): Buffer {
  const parts: Buffer[] = []
  for (const { data = '', ...entry } of entries) {
    const bytes = Buffer.from(data)
    parts.push(
      headerBlocks({
        type: 'file',
        linkName: '',
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: bytes.length,
        mtime: 0,
        xattrs: new Map(),
        ...entry,
      }),
      bytes,
      Buffer.alloc((512 - (bytes.length % 512)) % 512),
    )
  }
  return Buffer.concat([...parts, END_OF_ARCHIVE])
}

t.test('what a URI means', t => {
  const of = (value: string, more: object = {}, home?: string) =>
    wantedOf({ value, ...more }, { home })
  t.match(of('http://h/a/b.tar.gz?x=1#y'), {
    name: 'b.tar.gz',
    packing: 'tar',
    cached: false,
    isExecutable: false,
  })
  t.match(of('file:///a/b.zip'), { source: { path: '/a/b.zip' }, packing: 'zip' })
  t.match(of('/a/b.gz'), { source: { path: '/a/b.gz' }, packing: 'gz' })
  t.equal(of('/a/b.tgz', { extract: false }).packing, undefined)
  t.equal(of('/a/b.tgz', { executable: true }).packing, undefined, 'a program is no archive')
  t.match(of('/a/b', { output_file: 'c/d', cache: true, executable: true }), {
    name: 'c/d',
    cached: true,
    isExecutable: true,
  })
  t.match(of('apps/x', {}, '/home/'), { source: { path: '/home/apps/x' } })
  t.equal(of('http://h/a%20b').name, 'a b')
  const sha = 'AB'.repeat(32)
  t.strictSame(of('/a', { checksum: `sha256:${sha}` }).checksum, {
    algorithm: 'sha256',
    hex: sha.toLowerCase(),
  })
  for (const [value, more, why] of [
    ['', {}, /is empty/],
    ['ftp://h/a', {}, /has the scheme 'ftp'/],
    ['hdfs://h/a', {}, /has the scheme 'hdfs'/],
    ['a/b', {}, /has no --frameworks_home/],
    ['http://', {}, /is malformed/],
    ['http://h/%zz', {}, /is malformed/],
    ['http://h/', {}, /names no file/],
    ['file://h/a', {}, /no absolute path/],
    ['/a/..', {}, /names no file/],
    ['/a', { output_file: '../b' }, /to be called '\.\.\/b'/],
    ['/a', { output_file: '/b' }, /to be called '\/b'/],
    ['/a', { checksum: 'sha256:12' }, /has the checksum 'sha256:12'/],
    ['/a', { checksum: 'md5:12' }, /has the checksum/],
  ] as const) {
    t.throws(() => of(value, more), why, value)
  }
  t.end()
})

t.test('room in the cache', t => {
  const space = new CacheSpace(100)
  const none = () => false
  t.strictSame(space.admit('a', 40, none), [])
  t.strictSame(space.admit('b', 40, none), [])
  space.touch('a')
  t.strictSame(space.admit('c', 40, none), ['b'], 'what was not used for the longest time goes')
  t.equal(space.usedBytes, 80)
  t.equal(space.admit('d', 101, none), undefined)
  t.equal(
    space.admit('d', 70, key => key === 'a'),
    undefined,
    'what is in use stays',
  )
  t.equal(space.usedBytes, 80)
  t.strictSame(
    space.admit('d', 60, key => key === 'a'),
    ['c'],
  )
  t.equal(space.usedBytes, 100)
  t.end()
})

t.test('files come into the sandbox', async t => {
  const { url, served, fetch, text, top, box, fetcher, cached } = await place(t)
  served.set('/file', Buffer.from('by http'))
  served.set('/data.gz', gzipSync('unpacked'))
  writeFileSync(`${top}/files/local`, '#!/bin/sh\necho ran\n')
  const sum = createHash('sha512').update('by http').digest('hex')
  await fetch([
    { value: `${url}/file`, checksum: `sha512:${sum}` },
    { value: `${url}/moved`, output_file: 'deep/er/name' },
    { value: `${url}/data.gz` },
    { value: `${url}/data.gz`, extract: false },
    { value: `file://${top}/files/local`, executable: true },
  ])
  t.equal(text('file'), 'by http')
  t.equal(text('deep/er/name'), 'by http')
  t.equal(text('data'), 'unpacked')
  t.equal(text('data.gz').length > 0 && statSync(`${box()}/local`).mode & 0o777, 0o755)
  t.strictSame(cached(), [], 'nothing is kept')
  t.equal(fetcher.succeeded, 1)
  for (const [uri, why] of [
    [
      { value: `${url}/none` },
      /Failed to fetch all URIs for container 'c': '.*none' could not be fetched: the server answered 404/,
    ],
    [{ value: `${top}/files/none` }, /could not be fetched: .*No such file/],
    [{ value: 'http://127.0.0.1:1/x' }, /could not be fetched: .*ECONNREFUSED|bad port/],
    [
      { value: `${url}/file`, checksum: `sha256:${'0'.repeat(64)}` },
      /has the checksum sha256:.*, which is not the one/,
    ],
    [{ value: `${url}/bad.gz` }, /'.*bad.gz' could not be unpacked/],
    [{ value: `${url}/bad.tar` }, /archive is damaged/],
  ] as const) {
    served.set('/bad.gz', gzipSync('x'.repeat(1000)).subarray(0, 20))
    served.set('/bad.tar', Buffer.from('x'.repeat(600)))
    await t.rejects(fetch([uri]), why)
  }
  t.equal(fetcher.failed, 6)
  served.set('/half.gz', gzipSync(Buffer.alloc(600_000)))
  const half = { value: `${url}/half.gz` }
  await t.rejects(
    fetch([half, { ...half, output_file: 'other.gz' }]),
    /takes more than 1000000 bytes/,
    'all that is unpacked counts',
  )
  t.strictSame(cached(), [])
})

t.test('archives are unpacked, and no further than the sandbox', async t => {
  const { url, served, fetch, text, top, box } = await place(t)
  const good = tar(
    { name: './', type: 'directory', mode: 0o555 },
    { name: 'dir/', type: 'directory' },
    { name: 'dir/run', data: 'x', mode: 0o4755, uid: 12, gid: 34 },
    { name: '/absolute', data: 'y' },
    { name: 'link', type: 'symlink', linkName: '/etc' },
    { name: 'hard', type: 'link', linkName: 'dir/run' },
    { name: 'device', type: 'device' },
    { name: 'pipe', type: 'fifo' },
  )
  writeFileSync(`${top}/files/good.tar`, good)
  for (const [program, ending] of [
    ['bzip2', 'bz2'],
    ['xz', 'xz'],
  ] as const) {
    const packed = execFileSync(program, ['-c'], { input: tar({ name: ending, data: ending }) })
    served.set(`/a.tar.${ending}`, packed)
    served.set(`/cut.tar.${ending}`, packed.subarray(0, packed.length - 8))
  }
  served.set('/a.tgz', gzipSync(tar({ name: 'gz', data: 'gz' })))
  await fetch([
    { value: `${top}/files/good.tar` },
    { value: `${url}/a.tar.bz2` },
    { value: `${url}/a.tar.xz` },
    { value: `${url}/a.tgz` },
  ])
  t.strictSame(readdirSync(box()).sort(), ['absolute', 'bz2', 'dir', 'gz', 'hard', 'link', 'xz'])
  t.equal(text('absolute') + text('bz2') + text('xz') + text('gz'), 'ybz2xzgz')
  const { mode, uid } = statSync(`${box()}/dir/run`)
  t.equal(mode & 0o7777, 0o755, 'nobody becomes somebody else by it')
  t.equal(uid, process.getuid!())
  const bomb = gzipSync(tar({ name: 'big', data: 'x'.repeat(2_000_000) }))
  const hostile: [string, Buffer, RegExp][] = [
    ['up.tar', tar({ name: '../up', data: 'x' }), /has the name '\.\.\/up'/],
    [
      'through.tar',
      tar({ name: 'l', type: 'symlink', linkName: top }, { name: 'l/through', data: 'x' }),
      /goes through a link/,
    ],
    [
      'hard.tar',
      tar(
        { name: 'l', type: 'symlink', linkName: '/etc/passwd' },
        { name: 'h', type: 'link', linkName: 'l' },
      ),
      /a hard link to the link 'l'/,
    ],
    ['out.tar', tar({ name: 'h', type: 'link', linkName: '../../etc/passwd' }), /has the name/],
    [
      'stdout.tar',
      tar({ name: 'stdout', type: 'symlink', linkName: '/etc/x' }),
      /where the task's output goes/,
    ],
    ['bomb.tgz', bomb, /takes more than 1000000 bytes/],
    ['cut.tar.bz2', served.get('/cut.tar.bz2')!, /could not be unpacked|cut off|bzip2 exited/],
    ['cut.tar.xz', served.get('/cut.tar.xz')!, /could not be unpacked|cut off|xz exited/],
  ]
  for (const [name, archive, why] of hostile) {
    served.set(`/${name}`, archive)
    await t.rejects(
      fetch([{ value: `${url}/${name}` }], { sandbox: box(`box-${name}`) }),
      why,
      name,
    )
  }
  // A link that one archive brings is not gone through by the next, nor by a file.
  served.set('/link.tar', tar({ name: 'l', type: 'symlink', linkName: top }))
  served.set('/over.tar', tar({ name: 'l/x', data: 'x' }))
  served.set('/file', Buffer.from('x'))
  const first = { value: `${url}/link.tar` }
  await t.rejects(
    fetch([first, { value: `${url}/over.tar` }], { sandbox: box('two') }),
    /goes through a link/,
  )
  await t.rejects(
    fetch([first, { value: `${url}/file`, output_file: 'l/x' }], { sandbox: box('three') }),
    /goes through a link/,
  )
  await fetch([first, { value: `${url}/file`, output_file: 'l' }], { sandbox: box('four') })
  t.ok(lstatSync(`${top}/four/l`).isFile(), 'what is in the way is replaced, not written to')
  t.notOk(existsSync(`${top}/x`))
  t.notOk(existsSync(`${top}/through`))
  t.notOk(existsSync(`${top}/up`))
})

t.test('zip archives', { skip: hasUnzip ? false : 'there is no zip and unzip here' }, async t => {
  const { fetch, text, top, box } = await place(t)
  mkdirSync(`${top}/files/in/deep`, { recursive: true })
  writeFileSync(`${top}/files/in/deep/file`, 'zipped')
  symlinkSync('/etc', `${top}/files/in/link`)
  execFileSync('zip', ['-q', '-r', '-y', `${top}/files/a.zip`, '.'], { cwd: `${top}/files/in` })
  await fetch([{ value: `${top}/files/a.zip` }])
  t.equal(text('deep/file'), 'zipped')
  t.ok(lstatSync(`${box()}/link`).isSymbolicLink())
})

t.test('a task reads and writes as its user', asRoot, async t => {
  const { url, served, fetch, top, box, cached } = await place(t)
  served.set('/file', Buffer.from('x'))
  served.set('/a.tar', tar({ name: 'dir/inside', data: 'x' }))
  writeFileSync(`${top}/files/secret`, 'secret', { mode: 0o600 })
  const sandbox = box('nobody')
  const options = { sandbox, account: NOBODY }
  await t.rejects(
    fetch([{ value: `${url}/file` }], options),
    /could not be put into the sandbox: .*Permission denied/,
  )
  execFileSync('chown', ['nobody', sandbox])
  await fetch(
    [{ value: `${url}/file`, output_file: 'deep/file' }, { value: `${url}/a.tar` }],
    options,
  )
  for (const name of ['deep', 'deep/file', 'dir', 'dir/inside'])
    t.equal(statSync(`${sandbox}/${name}`).uid, NOBODY.uid, name)
  await t.rejects(fetch([{ value: `${top}/files/secret` }], options), /Permission denied/)
  await fetch([{ value: `${url}/file`, cache: true }], options)
  const [kept] = cached()
  const { mode, uid } = statSync(`${top}/cache/own/${kept}`)
  t.strictSame(
    [mode & 0o777, uid],
    [0o600, NOBODY.uid],
    'what is kept for one account others cannot read',
  )
})

t.test('what is cached is fetched once', async t => {
  const { url, served, asked, fetch, box, cached, fetcher } = await place(t)
  served.set('/a', Buffer.alloc(4_000))
  served.set('/b', Buffer.alloc(4_000))
  served.set('/c', Buffer.alloc(4_000))
  served.set('/huge', Buffer.alloc(20_000))
  const of = (...names: string[]) => names.map(name => ({ value: `${url}/${name}`, cache: true }))
  await Promise.all(Array.from({ length: 8 }, (_, i) => fetch(of('a'), { sandbox: box(`s${i}`) })))
  t.strictSame(asked, ['/a'])
  await fetch(of('a', 'b'))
  t.strictSame(asked, ['/a', '/b'])
  t.equal(fetcher.cache.usedBytes, 8_000)
  await fetch(of('a'))
  await fetch(of('c'))
  await fetch(of('a'))
  t.strictSame(asked, ['/a', '/b', '/c'])
  await fetch(of('b'))
  t.equal(asked.length, 4, 'what was not used for the longest time had gone')
  await fetch(of('huge'))
  t.equal(statSync(`${box()}/huge`).size, 20_000)
  await until(() => cached().length === 2, 'what is too large is not kept')
  await fetch(of('huge'))
  t.equal(asked.filter(path => path === '/huge').length, 2)
  await t.rejects(fetch(of('none')), /404/)
  served.set('/none', Buffer.from('now'))
  await fetch(of('none'))
})

t.test('a fetch is given up, and a server that says nothing is, too', async t => {
  const { url, held, asked, fetch, cached, served, box } = await place(t, { stallMs: 300 })
  const hold = { value: `${url}/hold` }
  await t.rejects(fetch([hold]), /nothing came for 0.3s/)
  const { url: other, held: heldThere, fetch: slow, cached: left, served: there } = await place(t)
  const stop = new AbortController()
  const given = slow([{ value: `${other}/hold` }], { stop: stop.signal })
  await until(() => heldThere.length === 1, 'it is asked')
  stop.abort()
  await t.rejects(given, /It was given up/)
  // Of several who wait for one, one may leave.
  const leaves = new AbortController()
  const cachedHold = [{ value: `${other}/hold`, cache: true }]
  const leaver = slow(cachedHold, { stop: leaves.signal, sandbox: box('x') })
  const stays = slow(cachedHold, { sandbox: box('y') })
  await until(() => heldThere.length === 2, 'it is asked once')
  leaves.abort()
  await t.rejects(leaver, /It was given up/)
  heldThere[1]!.end('at last')
  await stays
  t.equal(readFileSync(`${box('y')}/hold`, 'utf8'), 'at last')
  t.equal(left().length, 1)
  const last = new AbortController()
  const both = slow([{ value: `${other}/hold?2`, cache: true }], { stop: last.signal })
  both.catch(() => {})
  last.abort()
  await t.rejects(both)
  await until(() => left().length === 1, 'nothing is left of it')
  t.ok(asked.length > 0 && held.length > 0 && served && there && cached().length === 0)
})

t.test('names of entries', t => {
  const entries = new SandboxEntries({ entries: 3, bytes: 100 })
  t.equal(entries.place('a//./b'), 'a/b')
  const file = {
    name: 'f',
    type: 'file' as const,
    linkName: '',
    mode: 0o6777,
    uid: 1,
    gid: 1,
    size: 10,
    mtime: 0,
    xattrs: new Map([['security.capability', Buffer.alloc(1)]]),
  }
  t.match(entries.take(file), { mode: 0o777, uid: 0, gid: 0, xattrs: new Map() })
  t.throws(() => new SandboxEntries({ entries: 3, bytes: 9 }).take(file), /more than 9 bytes/)
  entries.take(file)
  entries.take(file)
  t.throws(() => entries.take(file), /more than 3 files/)
  t.end()
})

t.test(
  'a container has its files before it runs, and its output goes where it should',
  skip,
  async t => {
    const { top, url, served, fetcher, held } = await place(t)
    served.set('/run.sh', Buffer.from('#!/bin/sh\nid -u; cat data'))
    served.set('/data', Buffer.from('fetched\n'))
    const inner = await containerizer(`${top}/run`)
    t.teardown(() => inner.close())
    const processes = new FetchingProcesses(inner, fetcher, new SystemAccounts(() => 0))
    const uris = [{ value: `${url}/run.sh`, executable: true }, { value: `${url}/data` }]
    const spec = { ...scriptSpec(`${top}/box`, 'c1', './run.sh'), user: 'nobody' }
    const { exited } = await processes.launch({ ...spec, command: { value: './run.sh', uris } })
    t.equal(await exited, 0)
    t.equal(readFileSync(`${top}/box/stdout`, 'utf8'), '65534\nfetched\n')
    mkdirSync(`${top}/other`)
    const waiting = processes.launch({
      ...scriptSpec(`${top}/other`, 'c2', 'true'),
      command: { value: 'true', uris: [{ value: `${url}/hold` }] },
    })
    await until(() => held.length === 1, 'it is asked')
    processes.abandon('c2')
    await t.rejects(waiting, /given up/)
    mkdirSync(`${top}/led`)
    symlinkSync(`${top}/files/victim`, `${top}/led/stdout`)
    await t.rejects(processes.launch(scriptSpec(`${top}/led`, 'c3', 'echo x')), /ELOOP/)
    t.notOk(existsSync(`${top}/files/victim`))
  },
)
