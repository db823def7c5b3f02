// The store of images: what it takes out of archives, what of it an agent finds again, what goes when. No containers: those are in
// images.test.ts.

import { execFileSync, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { Readable } from 'node:stream'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { findImage } from '../../src/agent/images/archive.ts'
import { copyLayers } from '../../src/agent/images/copy-layers.ts'
import { readGcConfig, watchImages } from '../../src/agent/images/garbage.ts'
import { LayerEntries } from '../../src/agent/images/layer-entries.ts'
import { readManifest } from '../../src/agent/images/manifest.ts'
import { ImageProvisioner } from '../../src/agent/images/provisioner.ts'
import { parseReference } from '../../src/agent/images/reference.ts'
import { unpackLayer } from '../../src/agent/images/unpack.ts'
import { silentLogger } from '../../src/base/log.ts'
import { VirtualClock } from '../../src/sim/virtual-clock.ts'
import { until } from './containers.ts'
import { directory, layoutImage, saveImage, sha256, tarOf } from './image-files.ts'
import { IMAGE_STORE_HOST, openStore } from './image-store-host.ts'

/** tar(1) is told to keep owners. */
const asRoot = {
  skip: process.getuid?.() === 0 ? false : 'only root can unpack images: their files have owners',
}

const LIMITS = { entries: 1000, bytes: 2 ** 24 }

function place(t: Test): string {
  const top = mkdtempSync(`${tmpdir()}/mesos-test-`)
  t.teardown(() => rmSync(top, { recursive: true }))
  mkdirSync(`${top}/images`)
  return top
}

const layer = (name: string): Buffer => tarOf([{ name, data: name }])
const reference = parseReference

t.test('what GNU tar writes is unpacked as it was', asRoot, async t => {
  const top = place(t)
  const deep = `${'a'.repeat(120)}/${'b'.repeat(120)}`
  mkdirSync(`${top}/from/${deep}`, { recursive: true })
  writeFileSync(`${top}/from/${deep}/${'c'.repeat(60)}`, 'deep')
  writeFileSync(Buffer.from(`${top}/from/\xff\xfe`, 'latin1'), 'not UTF-8')
  writeFileSync(`${top}/from/ümläut`, 'x'.repeat(100_000))
  symlinkSync(`/${'l'.repeat(200)}`, `${top}/from/link`)
  execFileSync('ln', [`${top}/from/ümläut`, `${top}/from/hard`])
  for (const format of ['gnu', 'pax', 'ustar', 'v7']) {
    const names = format === 'gnu' || format === 'pax' ? ['.'] : ['ümläut', 'hard']
    const args = ['-C', `${top}/from`, `--format=${format}`, '-cf', '-', ...names]
    const archive = execFileSync('tar', args)
    const to = `${top}/to-${format}`
    mkdirSync(to)
    const options = { tar: 'tar', directory: to, style: 'list' as const, limits: LIMITS }
    const { digest } = await unpackLayer(Readable.from([archive], { objectMode: false }), options)
    t.equal(digest, sha256(archive))
    if (names.length === 1) execFileSync('diff', ['-r', '--no-dereference', `${top}/from`, to])
    t.equal(statSync(`${to}/hard`).ino, statSync(`${to}/ümläut`).ino)
  }
})

t.test('limits of a layer', asRoot, async t => {
  const top = place(t)
  const unpack = (archive: Buffer) => {
    const options = { tar: 'tar', directory: top, style: 'list' as const }
    const limits = { entries: 3, bytes: 1000 }
    return unpackLayer(Readable.from([archive], { objectMode: false }), { ...options, limits })
  }
  const many = ['a', 'b', 'c', 'd'].map(name => ({ name, data: 'x' }))
  await t.rejects(unpack(tarOf(many)), /more than 3 files/)
  await t.rejects(unpack(tarOf([{ name: 'a', data: 'x'.repeat(1001) }])), /more than 1000 bytes/)
  const tail = Buffer.concat([tarOf([]), Buffer.alloc(100_000)])
  await t.rejects(unpack(tail), /it does not end/)
  await t.resolves(unpack(tarOf(many.slice(1))))
})

t.test('what a layer takes away, and what it must not', t => {
  const header = (name: string, type: 'file' | 'directory' | 'symlink' | 'device' = 'file') => ({
    name,
    type,
    linkName: type === 'symlink' ? '/x' : '',
    mode: 0o700,
    uid: 1,
    gid: 2,
    size: 0,
    mtime: 3,
    xattrs: new Map([
      ['trusted.overlay.redirect', Buffer.from('/etc')],
      ['security.capability', Buffer.from('c')],
    ]),
  })
  const overlay = new LayerEntries('overlay', LIMITS)
  t.match(overlay.take(header('./d/', 'directory')), { name: 'd/', mode: 0o700 })
  t.strictSame([...overlay.take(header('f'))!.xattrs.keys()], ['security.capability'])
  const opaque = overlay.take(header('d/.wh..wh..opq'))!
  t.match(opaque, { name: 'd/', type: 'directory', mode: 0o700, uid: 1 })
  t.ok(opaque.xattrs.has('trusted.overlay.opaque'))
  t.ok(overlay.take(header('d', 'directory'))!.xattrs.has('trusted.overlay.opaque'))
  t.match(overlay.take(header('d/.wh.x')), { name: 'd/x', type: 'device', mode: 0 })
  t.equal(overlay.take(header('.wh..wh.plnk/1.2')), undefined)
  t.equal(overlay.take(header('.wh..wh.aufs')), undefined)
  t.equal(overlay.take(header('null', 'device')), undefined)
  t.equal(overlay.devices, 1)
  for (const name of ['.wh.', '.wh..', '.wh...', 'a/../b', '..', '/..']) {
    t.throws(() => overlay.take(header(name)), /is not safe/, name)
  }
  t.match(overlay.take(header('l', 'symlink')), { name: 'l' })
  t.throws(() => overlay.take(header('/l/./x')), /goes through the link 'l'/)
  t.throws(() => overlay.take(header('l/.wh.x')), /goes through the link 'l'/)
  // It is a directory from now on, for tar as well.
  t.match(overlay.take(header('l', 'directory')), { name: 'l/' })
  t.match(overlay.take(header('l/x')), { name: 'l/x' })
  const list = new LayerEntries('list', LIMITS)
  for (const name of ['a/.wh.b', 'c/.wh..wh..opq', '.wh..wh..opq']) list.take(header(name))
  t.strictSame(list.marks, { whiteouts: ['a/b'], opaques: ['c', ''] })
  t.end()
})

t.test('layers that are copied leave their directory by no link', async t => {
  const top = place(t)
  mkdirSync(`${top}/outside/sub`, { recursive: true })
  writeFileSync(`${top}/outside/file`, 'outside')
  for (const name of ['one', 'two/d', 'two/e', 'root']) {
    mkdirSync(`${top}/${name}`, { recursive: true })
  }
  mkdirSync(`${top}/one/full/of`, { recursive: true })
  symlinkSync(`${top}/outside`, `${top}/one/d`)
  symlinkSync(`${top}/outside/file`, `${top}/one/f`)
  symlinkSync(`${top}/outside`, `${top}/one/w`)
  symlinkSync(`${top}/outside`, `${top}/one/o`)
  writeFileSync(`${top}/two/d/new`, 'new')
  writeFileSync(`${top}/two/f`, 'new')
  writeFileSync(`${top}/two/full`, 'a file')
  const layers = [
    { path: `${top}/one`, whiteouts: [], opaques: [] },
    { path: `${top}/two`, whiteouts: ['w/file', 'w/sub'], opaques: ['o', 'none', ''] },
  ]
  const programs = { cp: 'cp', rm: 'rm' }
  await copyLayers(
    layers.toSpliced(1, 1, { ...layers[1]!, opaques: ['o'] }),
    `${top}/root`,
    `${top}/aside`,
    programs,
  )
  t.strictSame(readdirSync(`${top}/root`), ['d', 'e', 'f', 'full', 'o', 'w'])
  t.strictSame(readdirSync(`${top}/root/d`), ['new'])
  t.equal(readFileSync(`${top}/root/full`, 'utf8'), 'a file')
  t.strictSame(readdirSync(`${top}/outside`), ['file', 'sub'])
  t.equal(readFileSync(`${top}/outside/file`, 'utf8'), 'outside')
  t.notOk(existsSync(`${top}/aside`))
  mkdirSync(`${top}/other`)
  await copyLayers(layers, `${top}/other`, `${top}/aside`, programs)
  t.strictSame(readdirSync(`${top}/other`), ['d', 'e', 'f', 'full'], 'all that was below is gone')
})

t.test('an image layout is read by its digests, and no name leads out of it', async t => {
  const top = place(t)
  const digest = layoutImage(`${top}/images`, 'a:1', { layers: [layer('a')] })
  const read = async (name: string, as: string) => {
    const source = await findImage(`${top}/images`, reference(name))
    t.ok(source)
    t.equal(await source!.read('../../../etc/passwd', 1000), undefined)
    t.equal(await source!.read('blobs/../index.json', 1000), undefined)
    try {
      return await readManifest(source!, reference(as), 'amd64')
    } finally {
      await source!.close()
    }
  }
  t.match(await read('a:1', 'a:1'), { layers: [{ diffId: sha256(layer('a')) }] })
  t.match(await read('a:1', `a@${digest}`), { layers: [{ diffId: sha256(layer('a')) }] })
  await t.rejects(read('a:1', `a@sha256:${'0'.repeat(64)}`), /no manifest of this digest/)
  symlinkSync('/etc/passwd', `${top}/images/a:1/out`)
  const source = await findImage(`${top}/images`, reference('a:1'))
  t.equal(await source!.read('out', 10_000), undefined)
  writeFileSync(`${top}/images/a:1/blobs/${digest.replace(':', '/')}`, '{}')
  await t.rejects(read('a:1', 'a:1'), /does not have the digest that it is named by/)
  saveImage(`${top}/images`, `s@${digest}`, { layers: [layer('a')] })
  const saved = await findImage(`${top}/images`, reference(`s@${digest}`))
  await t.rejects(
    readManifest(saved!, reference(`s@${digest}`), 'amd64'),
    /has no digests of manifests/,
  )
  await saved!.close()
})

t.test('a store is found again, and gives what nobody needs back', asRoot, async t => {
  const top = place(t)
  const [a, b, c] = ['a', 'b', 'c'].map(layer) as [Buffer, Buffer, Buffer]
  saveImage(`${top}/images`, 'one:1', { layers: [a, b], config: { Cmd: ['/a'] } })
  saveImage(`${top}/images`, 'two:1', { layers: [a, c] })
  const layers = (): string[] => readdirSync(`${top}/store/layers/list`)
  let store = await openStore(top)
  await t.rejects(openStore(top), /in use|another process|is used/i, 'by one agent only')
  const all = await Promise.all([1, 2, 3].map(() => store.get(reference('one:1'))))
  t.equal(new Set(all).size, 1, 'one pull for all')
  await store.get(reference('two:1'))
  t.equal(layers().length, 3)
  await store.close()

  rmSync(`${top}/images`, { recursive: true })
  writeFileSync(`${top}/store/images/other.json`, '{"name":')
  mkdirSync(`${top}/store/staging/half/rootfs`, { recursive: true })
  store = await openStore(top)
  t.strictSame(store.images.map(({ name }) => name).toSorted(), ['one:1', 'two:1'])
  t.strictSame(readdirSync(`${top}/store/staging`), [])
  t.equal(readdirSync(`${top}/store/images`).length, 2)
  const one = await store.get(reference('one:1'))
  t.strictSame(one.config.cmd, ['/a'])
  await t.rejects(
    store.get(reference('one:1'), { mayBeKnown: false }),
    /there is no image/,
    'not from the store',
  )

  t.equal(await store.prune(new Set(['two:1'])), 0, 'one is excluded, the layers of the other held')
  store.release(one.layers)
  t.equal(await store.prune(new Set(['two:1'])), 1)
  t.strictSame(layers().toSorted(), [a, c].map(bytes => sha256(bytes).slice(7)).toSorted())
  t.equal(await store.prune(new Set()), 2)
  t.strictSame(layers(), [])
  t.strictSame(readdirSync(`${top}/store/images`), [])

  // Pruned and wanted at once, again and again: whoever gets an image has all of it.
  mkdirSync(`${top}/images`)
  saveImage(`${top}/images`, 'one:1', { layers: [a, b] })
  for (let i = 0; i < 20; i++) {
    const pruning = store.prune(new Set())
    const image = await store.get(reference('one:1'), { mayBeKnown: i % 2 === 0 })
    await Promise.all([pruning, store.prune(new Set())])
    for (const digest of image.layers) t.ok(existsSync(store.layerPath(digest)))
    store.release(image.layers)
  }
  await store.close()
  t.strictSame(readdirSync(`${top}/store/trash`), [])
})

t.test('an unpacking that is killed counts for nothing', asRoot, async t => {
  const top = place(t)
  const noise = Buffer.alloc(2 ** 20, 'noise')
  const entries = Array.from({ length: 40 }, (_, i) => ({ name: `d/f${i}`, data: noise }))
  const big = tarOf([directory('d'), ...entries])
  saveImage(`${top}/images`, 'big:1', { layers: [big] })
  // It stops who started it when a part is there, and ends with him.
  const slow = 'head -c 8000000 | tar "$@"; kill -STOP $PPID; cat >/dev/null; exit 1'
  writeFileSync(`${top}/tar`, `#!/bin/sh\n${slow}\n`, { mode: 0o755 })
  for (let round = 0; round < 2; round++) {
    const args = [IMAGE_STORE_HOST, top, 'big:1', `${top}/tar`]
    const host = spawn(process.execPath, args, { stdio: 'ignore' })
    const state = (): string => readFileSync(`/proc/${host.pid}/stat`, 'utf8').split(' ')[2]!
    await until(() => state() === 'T', 'a part is unpacked')
    t.ok(readdirSync(`${top}/store/staging`, { recursive: true }).length > round * 2)
    host.kill('SIGKILL')
    await once(host, 'exit')
    t.strictSame(readdirSync(`${top}/store/layers/list`), [])
  }
  const store = await openStore(top)
  t.equal(store.images.length, 0)
  t.strictSame(readdirSync(`${top}/store/staging`), [])
  const { layers } = await store.get(reference('big:1'))
  t.equal(readdirSync(`${store.layerPath(layers[0]!)}/d`).length, 40)
  await store.close()
  t.strictSame(readdirSync(`${top}/store/trash`), [])
})

t.test(
  'layers of containers that go on are kept, root file systems of others go',
  asRoot,
  async t => {
    const top = place(t)
    saveImage(`${top}/images`, 'one:1', {
      layers: [layer('a'), layer('b')],
      config: { Cmd: ['/a'] },
    })
    saveImage(`${top}/images`, 'two:1', { layers: [layer('a'), layer('c')] })
    const start = async () => {
      const store = await openStore(top, 'tar', 'overlay')
      const programs = { cp: 'cp', rm: 'rm' }
      const directory = `${top}/provisioner`
      const options = { directory, backend: 'overlay' as const, store, programs, log: silentLogger }
      return { store, provisioner: new ImageProvisioner(options) }
    }
    const image = (name: string) => ({ type: 'DOCKER' as const, docker: { name } })
    const containers = (): string[] => readdirSync(`${top}/provisioner/containers`)
    let { store, provisioner } = await start()
    const made = await provisioner.provision('goes-on', image('one:1'))
    await provisioner.provision('is-gone', image('two:1'))
    await t.rejects(provisioner.provision('x', { type: 'APPC', appc: { name: 'x' } }), /type APPC/)
    await t.rejects(provisioner.provision('../x', image('one:1')))
    t.equal(await store.prune(new Set()), 0)
    await provisioner.close()

    ;({ store, provisioner } = await start())
    const found = await provisioner.recover(new Set(['goes-on', 'never-had-one']))
    t.strictSame([...found], [['goes-on', { rootfs: made.rootfs, image: made.image }]])
    t.strictSame(containers(), ['goes-on'])
    t.equal(await store.prune(new Set()), 1, 'the layer that only the other had')
    for (const link of ['0', '1']) t.ok(existsSync(`${made.overlay!.directory}/${link}/.`))
    await provisioner.destroy('goes-on')
    await provisioner.destroy('goes-on')
    t.strictSame(containers(), [])
    t.equal(await store.prune(new Set()), 2)
    t.equal(statSync(`${top}/provisioner`).mode & 0o777, 0o700, 'of nobody else')
    t.equal(statSync(`${top}/store/layers`).mode & 0o777, 0o700)
    await provisioner.close()
    t.strictSame(readdirSync(`${top}/provisioner/trash`), [])
  },
)

t.test('the disk is looked at, and images go when it is full', async t => {
  const clock = new VirtualClock()
  const config = readGcConfig({
    image_disk_headroom: 0.2,
    image_disk_watch_interval: { nanoseconds: 60e9 },
    excluded_images: [{ type: 'DOCKER', docker: { name: 'kept' } }],
  })
  const pruned: string[][] = []
  let used = 0.7
  const stop = watchImages({
    config,
    clock,
    usage: () => Promise.resolve(used),
    prune: kept => {
      pruned.push([...kept])
      return Promise.resolve(1)
    },
    log: silentLogger,
  })
  await clock.advance(60_000)
  t.strictSame(pruned, [])
  used = 0.81
  await clock.advance(60_000)
  t.strictSame(pruned, [['kept:latest']])
  stop()
  await clock.advance(600_000)
  t.equal(pruned.length, 1)
  t.strictSame(readGcConfig({}), { headroom: 0.1, intervalMs: 3_600_000, excluded: [] })
})
