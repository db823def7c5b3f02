// Images of registries: how they are asked for, by whom, and what is not believed. The registries are on loopback.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { freePorts } from '../../bench/ports.ts'
import { parseReference } from '../../src/agent/images/reference.ts'
import { httpRegistry } from '../../src/agent/images/registry.ts'
import { credentialsFor, parseChallenges } from '../../src/agent/images/registry-auth.ts'
import { DOCKER_HUB, remoteOf } from '../../src/agent/images/registry-url.ts'
import type { ImageStore } from '../../src/agent/images/store.ts'
import { until } from './containers.ts'
import { configOf, sha256, tarOf } from './image-files.ts'
import { openStore } from './image-store-host.ts'
import { RegistryServer } from './registry-server.ts'

/** tar(1) is told to keep owners. */
const asRoot = {
  skip: process.getuid?.() === 0 ? false : 'only root can unpack images: their files have owners',
}
const reference = parseReference
const layer = (name: string): Buffer => tarOf([{ name, data: name }])
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const LIMITS = { stallMs: 60_000, leastBytes: 1 }

async function start(
  t: Test,
  more: { readonly config?: unknown; readonly stallMs?: number; readonly leastBytes?: number } = {},
): Promise<{ server: RegistryServer; store: ImageStore; top: string }> {
  const { config, ...limits } = more
  const server = new RegistryServer()
  await server.start()
  const top = mkdtempSync(`${tmpdir()}/mesos-test-`)
  const registry = httpRegistry({ url: server.url, config, limits: { ...LIMITS, ...limits } })
  const store = await openStore(top, 'tar', 'list', registry)
  t.teardown(async () => {
    await server.stop()
    await store.close()
    // Not a test's assertion: that has ended.
    const left = readdirSync(`${top}/store/staging`)
    if (left.length > 0) throw new Error(`left half done: ${left.join(' ')}`)
    rmSync(top, { recursive: true })
  })
  return { server, store, top }
}

t.test('which registry has an image', async t => {
  const of = (name: string, url = DOCKER_HUB) => {
    const { base, repository, version } = remoteOf(reference(name), url)
    return `${base}/v2/${repository}/manifests/${version}`
  }
  const hub = `${DOCKER_HUB}/v2`
  t.equal(of('busybox'), `${hub}/library/busybox/manifests/latest`)
  t.equal(of('docker.io/busybox:1'), `${hub}/library/busybox/manifests/1`)
  t.equal(of('team/app:1'), `${hub}/team/app/manifests/1`)
  t.equal(of('quay.io/team/app'), 'https://quay.io/v2/team/app/manifests/latest')
  t.equal(of('localhost/app'), 'http://localhost/v2/app/manifests/latest')
  t.equal(of('127.0.0.1:5000/a/b/c'), 'http://127.0.0.1:5000/v2/a/b/c/manifests/latest')
  t.equal(of('127.evil.example/a'), 'https://127.evil.example/v2/a/manifests/latest')
  t.equal(of('app', 'http://mine:5000/proxy/'), 'http://mine:5000/proxy/v2/app/manifests/latest')
  t.equal(of('mine:5000/app', 'http://mine:5000'), 'http://mine:5000/v2/app/manifests/latest')
  const digest = `sha256:${'a'.repeat(64)}`
  t.match(of(`app:1@${digest}`), new RegExp(`/library/app/manifests/${digest}$`))
  t.throws(() => of('host:99999/app'), /not the name of a registry/)
})

t.test('who asks, and how', async t => {
  const auth = base64('me:secret')
  t.equal(
    credentialsFor({ auths: { 'https://index.docker.io/v1/': { auth } } }, 'registry-1.docker.io'),
    auth,
  )
  t.equal(
    credentialsFor(
      { auths: { 'r.example:5000': { username: 'me', password: 'secret' } } },
      'r.example:5000',
    ),
    auth,
  )
  t.equal(credentialsFor({ 'r.example': { auth, email: 'x' } }, 'r.example'), auth, 'an old file')
  t.equal(credentialsFor({ auths: { 'r.example': { auth } } }, 'r.example:5000'), undefined)
  t.equal(credentialsFor({ credsStore: 'x', HttpHeaders: {} }, 'r.example'), undefined)
  t.throws(() => credentialsFor({ auths: { x: 1 } }, 'x'), /config\.json/)
  t.strictSame(
    parseChallenges('Basic realm="a, b", Bearer realm="https://x/t",service=s,Scope="q\\"q"'),
    [
      { scheme: 'basic', params: { realm: 'a, b' } },
      { scheme: 'bearer', params: { realm: 'https://x/t', service: 's', scope: 'q"q' } },
    ],
  )
  t.strictSame(parseChallenges('Negotiate'), [{ scheme: 'negotiate', params: {} }])
  t.strictSame(parseChallenges('="'), [])
})

t.test('an image is fetched once for all who wait, and each layer once', asRoot, async t => {
  const { server, store } = await start(t)
  const [a, b, c] = ['a', 'b', 'c'].map(layer) as [Buffer, Buffer, Buffer]
  server.image('team/one', { layers: [a, b], config: { Cmd: ['/a'] } }, '1')
  const two = server.image('team/two', { layers: [a, c] }, '1')
  const all = await Promise.all([1, 2, 3, 4].map(() => store.get(reference('team/one:1'))))
  t.equal(new Set(all).size, 1)
  t.strictSame(all[0]!.config.cmd, ['/a'])
  t.equal(server.count(/one\/manifests/), 1)
  t.equal(server.count(/one\/blobs/), 3)
  t.equal(readFileSync(`${store.layerPath(sha256(b))}/b`, 'utf8'), 'b')
  await store.get(reference(`team/two@${two}`))
  t.equal(server.count(/two\/blobs/), 2, 'what is there is not fetched again')
  await store.get(reference(`${server.host}/team/two:1`))
  t.equal(server.count(/two\/manifests\/1$/), 1, 'a name may begin with its registry')
  await store.get(reference('team/one:1'))
  t.equal(server.count(/one\/manifests/), 1, 'it is known')
  await store.get(reference('team/one:1'), { mayBeKnown: false })
  t.equal(server.count(/one\/manifests/), 2)
  await t.rejects(store.get(reference('team/none:1')), /there is no 'team\/none\/manifests\/1'/)
})

t.test('an index leads to the manifest of this architecture', asRoot, async t => {
  const { server, store } = await start(t)
  const manifests = ['arm64', 'amd64'].map(architecture => ({
    digest: server.image('app', { layers: [layer(architecture)] }),
    platform: { os: 'linux', architecture },
  }))
  server.manifest('app', { schemaVersion: 2, manifests }, '1')
  const { layers } = await store.get(reference('app:1'))
  t.strictSame(layers, [sha256(layer('amd64'))])
  server.manifest('app', { schemaVersion: 2, manifests: manifests.slice(0, 1) }, '2')
  await t.rejects(store.get(reference('app:2')), /no manifest for linux\/amd64/)
  server.manifest('app', { schemaVersion: 1, fsLayers: [] }, '3')
  await t.rejects(store.get(reference('app:3')), /schema 1/)
})

t.test('a registry that gives tokens, and one that asks for a password', asRoot, async t => {
  const { server: tokens, store } = await start(t)
  let given = 0
  tokens.image('app', { layers: [layer('a'), layer('b')] }, '1')
  tokens.served.set('/token', (request, response) => {
    t.match(request.url, /service=here&scope=repository%3Aapp%3Apull$/)
    t.equal(request.headers.authorization, undefined)
    response.end(JSON.stringify({ token: `t${++given}` }))
  })
  // Each is good for two requests.
  let uses = 0
  tokens.guard = ({ url, headers }, response) => {
    if (url!.startsWith('/token')) return false
    if (headers.authorization === `Bearer t${given}` && uses++ < 2) return false
    uses = 0
    const challenge = `Bearer realm="${tokens.url}/token",service="here"`
    response.writeHead(401, { 'www-authenticate': challenge }).end()
    return true
  }
  await store.get(reference('app:1'))
  t.ok(given >= 2, 'another one is asked for when one is no longer good')

  const basic = await start(t)
  basic.server.image('app', { layers: [layer('a')] }, '1')
  basic.server.guard = ({ headers }, response) => {
    if (headers.authorization === `Basic ${base64('me:secret')}`) return false
    response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
    return true
  }
  await t.rejects(basic.store.get(reference('app:1')), /wants credentials, and there are none/)
  const own = (password: string) => ({
    auths: { [basic.server.host]: { auth: base64(`me:${password}`) } },
  })
  await t.rejects(basic.store.get(reference('app:1'), { config: own('wrong') }), /may not be had/)
  await basic.store.get(reference('app:1'), { config: own('secret') })
})

t.test('blobs may be elsewhere, where nobody is told who asks', asRoot, async t => {
  const elsewhere = new RegistryServer()
  await elsewhere.start()
  t.teardown(() => elsewhere.stop())
  const { server, store } = await start(t)
  const bytes = gzipSync(layer('a'))
  server.image('app', { layers: [layer('a')] }, '1')
  const path = `/v2/app/blobs/${sha256(bytes)}`
  const seen: (string | undefined)[] = []
  server.served.set('/token', Buffer.from('{"access_token":"t"}'))
  server.guard = ({ url, headers }, response) => {
    if (url!.startsWith('/token') || headers.authorization === 'Bearer t') return false
    response.writeHead(401, { 'www-authenticate': `Bearer realm="${server.url}/token"` }).end()
    return true
  }
  server.served.set(path, (_, response) =>
    response.writeHead(307, { location: `${elsewhere.url}/it` }).end(),
  )
  elsewhere.served.set('/it', (request, response) => {
    seen.push(request.headers.authorization)
    response.end(bytes)
  })
  await store.get(reference('app:1'))
  t.strictSame(seen, [undefined])
  server.image('loop', { layers: [layer('b')] }, '1')
  server.served.set('/v2/loop/manifests/1', (_, response) =>
    response.writeHead(302, { location: '/v2/loop/manifests/1' }).end(),
  )
  await t.rejects(store.get(reference('loop:1')), /redirects to nowhere/)
})

t.test('what is not what it should be is not taken', asRoot, async t => {
  const { server, store } = await start(t, { stallMs: 300, leastBytes: 1_000 })
  const put = (name: string, bytes: Buffer | ((digest: string) => Buffer)) => {
    server.image(name, { layers: [layer(name)] }, '1')
    const digest = sha256(gzipSync(layer(name)))
    const path = `/v2/${name}/blobs/${digest}`
    server.served.set(path, typeof bytes === 'function' ? bytes(digest) : bytes)
    return path
  }
  const pull = (name: string) => store.get(reference(name))
  put('other', gzipSync(layer('x')))
  await t.rejects(pull('other:1'), /layer of the image is|does not have the digest/)
  // The same once it is unpacked, but not as it was sent.
  const again = gzipSync(layer('again'))
  // When it was compressed.
  again[4] = 1
  put('again', again)
  await t.rejects(pull('again:1'), /does not have the digest/)
  put('longer', Buffer.concat([gzipSync(layer('longer')), Buffer.alloc(9)]))
  await t.rejects(pull('longer:1'), /larger than/)
  const cut = put('cut', Buffer.alloc(0))
  server.served.set(cut, (_, response) => {
    response.writeHead(200, { 'content-length': '500' }).write('x'.repeat(90))
    setTimeout(() => response.destroy(), 50)
  })
  await t.rejects(pull('cut:1'))
  const config = configOf({ layers: [layer('lie')] })
  server.image('lie', { layers: [layer('lie')] }, '1')
  server.served.set(
    `/v2/lie/blobs/${sha256(config)}`,
    Buffer.from(config.replace('linux', 'linuz')),
  )
  await t.rejects(pull('lie:1'), /is not 'sha256:/)
  const digest = server.image('named', { layers: [layer('named')] }, '1')
  server.served.set(`/v2/named/manifests/${digest}`, Buffer.from('{}'))
  await t.rejects(pull(`named@${digest}`), /is not 'sha256:/)
  server.served.set('/v2/big/manifests/1', Buffer.alloc(5 * 2 ** 20))
  await t.rejects(pull('big:1'), /larger than 4194304 bytes/)

  server.served.set('/v2/silent/manifests/1', () => {})
  await t.rejects(pull('silent:1'), /too little came in 0\.3 s/)
  const slow = put('slow', Buffer.alloc(0))
  server.served.set(slow, (_, response) => {
    const timer = setInterval(() => response.write('\x1f'), 20)
    response.on('close', () => clearInterval(timer))
  })
  await t.rejects(pull('slow:1'), /too little came/)
  server.served.set('/v2/busy/manifests/1', (_, response) => void response.writeHead(429).end())
  await t.rejects(pull('busy:1'), /answered 429/)
  server.guard = (_, response) => {
    const challenge = 'Bearer realm="file:///etc/passwd"'
    response.writeHead(401, { 'www-authenticate': challenge }).end()
    return true
  }
  await t.rejects(pull('x:1'), /without TLS/)
})

t.test('an image that nobody waits for any more is not fetched any further', asRoot, async t => {
  const { server, store } = await start(t)
  server.image('app', { layers: [layer('a'), layer('b')] }, '1')
  let closed = 0
  const path = `/v2/app/blobs/${sha256(gzipSync(layer('a')))}`
  const bytes = server.served.get(path)!
  server.served.set(path, (_, response) => {
    response.writeHead(200).write('\x1f')
    response.on('close', () => closed++)
  })
  const [one, two] = [new AbortController(), new AbortController()]
  const waiting = [one, two].map(({ signal }) => store.get(reference('app:1'), { signal }))
  const ends = Promise.allSettled(waiting)
  await until(() => server.count(/blobs/) >= 2, 'it is being fetched')
  one.abort()
  await t.rejects(waiting[0]!, /not wanted any more/)
  t.equal(closed, 0, 'the other one waits')
  two.abort()
  await t.rejects(waiting[1]!, /not wanted any more/)
  await ends
  await until(() => closed === 1, 'the connection is closed')
  server.served.set(path, bytes)
  t.equal((await store.get(reference('app:1'))).layers.length, 2, 'who comes later gets it')
  t.equal(server.count(/manifests/), 2)
})

const REGISTRY = '/usr/bin/docker-registry'

/** Why there is none; undefined if there is. Whoever is root gets it installed. */
function whyNoRealRegistry(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can unpack images'
  const wait = ['-o', 'DPkg::Lock::Timeout=300']
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [
    ['update'],
    ['install', '-y', '--no-install-recommends', 'docker-registry'],
  ]) {
    if (existsSync(REGISTRY)) return undefined
    spawnSync('apt-get', [...args, ...wait], { env, timeout: 300_000 })
  }
  return existsSync(REGISTRY)
    ? undefined
    : 'the registry could not be installed; install it: apt-get install docker-registry'
}

const whyNone = whyNoRealRegistry()

t.test("Debian's docker-registry", { skip: whyNone ?? false }, async t => {
  const top = mkdtempSync(`${tmpdir()}/mesos-test-`)
  const [port = 0] = await freePorts(1)
  const url = `http://127.0.0.1:${port}`
  writeFileSync(
    `${top}/config.yml`,
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${top}/data}}\nhttp: {addr: "127.0.0.1:${port}"}\n`,
  )
  const program = spawn(REGISTRY, ['serve', `${top}/config.yml`], { stdio: 'ignore' })
  const ended = once(program, 'close')
  const store = await openStore(top, 'tar', 'list', httpRegistry({ url }))
  try {
    const answers = () =>
      fetch(`${url}/v2/`).then(
        ({ ok }) => ok,
        () => false,
      )
    for (let i = 0; !(await answers()); i++) {
      if (i === 500) throw new Error('the registry does not answer')
      await new Promise(done => setTimeout(done, 20))
    }
    const push = async (bytes: Buffer) => {
      const begun = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
      const place = new URL(begun.headers.get('location')!)
      const digest = sha256(bytes)
      place.searchParams.set('digest', digest)
      t.equal((await fetch(place, { method: 'PUT', body: bytes })).status, 201)
      return { digest, size: bytes.length, mediaType: 'application/octet-stream' }
    }
    const image = { layers: [layer('a'), layer('b')], config: { Cmd: ['/a'] } }
    const mediaType = 'application/vnd.docker.distribution.manifest.v2+json'
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: await push(Buffer.from(configOf(image))),
      layers: [await push(gzipSync(layer('a'))), await push(gzipSync(layer('b')))],
    })
    const put = { method: 'PUT', body: manifest, headers: { 'content-type': mediaType } }
    t.equal((await fetch(`${url}/v2/team/app/manifests/1`, put)).status, 201)
    const byTag = await store.get(reference('team/app:1'))
    const byDigest = await store.get(reference(`team/app@${sha256(manifest)}`))
    t.strictSame(byTag.layers, byDigest.layers)
    t.equal(readFileSync(`${store.layerPath(sha256(layer('b')))}/b`, 'utf8'), 'b')
    await t.rejects(store.get(reference('team/none:1')), /there is no 'team\/none/)
  } finally {
    await store.close()
    program.kill('SIGTERM')
    await ended
    rmSync(top, { recursive: true })
  }
})
