// Containers in real networks: Debian's CNI plugins, bridges of the test's own, and what of them is left.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { newToken } from '../../src/agent/agent-guard.ts'
import { systemProbes } from '../../src/agent/checks/system-probes.ts'
import type { LaunchSpec } from '../../src/agent/processes.ts'
import type { ContainerInfo, NetworkInfo } from '../../src/messages/container.ts'
import { freePorts } from '../../bench/ports.ts'
import { CNI_HOST } from './cni-host.ts'
import { busyboxLayer, saveImage, whyNoBusybox } from './image-files.ts'
import { removeChains, rulesOf, TestNetworks, whyNoNetworks } from './cni-networks.ts'
import {
  nextContainerizer,
  type Place,
  placeWith,
  skip as noContainers,
  until,
} from './containers.ts'

const skip = {
  skip: noContainers.skip === false ? (whyNoNetworks() ?? false) : noContainers.skip,
}

const ISOLATION = 'network/cni,namespaces/pid'
const NODE = process.execPath

interface NetworkPlace extends Place {
  readonly networks: TestNetworks
}

/** Looks in the end that no network is left of any container. */
async function place(
  t: Test,
  isolation = ISOLATION,
  more: (top: string) => string[] = () => [],
): Promise<NetworkPlace> {
  let networks: TestNetworks | undefined
  const made = await placeWith(t, top => {
    networks = new TestNetworks(top)
    return [`--isolation=${isolation}`, ...networks.flags, ...more(top)]
  })
  t.teardown(() => {
    const left = networks!.left()
    networks!.remove()
    if (left.length > 0) throw new Error(`networks are left: ${left.join('\n')}`)
  })
  return { ...made, networks: networks! }
}

const joining = (...names: string[]): { readonly container: ContainerInfo } => ({
  container: { type: 'MESOS', network_infos: names.map(name => ({ name })) },
})

/** A program that answers on a port of its container: by HTTP to what asks so, and to all others with two words. */
const serving = (port: number, address = '0.0.0.0'): string =>
  `exec ${NODE} -e "require('net').createServer(s => s.once('data', d => String(d).startsWith('GET /well') ? s.end('HTTP/1.1 204 No Content\\r\\n\\r\\n') : s.end('served here'))).listen(${port}, '${address}', () => console.log('listens'))"`

/** Says what a server said, or that there is none. */
const asking = (host: string, port: number): string =>
  `${NODE} -e "const s = require('net').connect(${port}, '${host}', () => s.write('?')); s.on('data', d => console.log(String(d))); s.on('error', e => console.log(e.code))"`

const addressOf = (networks: readonly NetworkInfo[] | undefined): string =>
  networks?.[0]?.ip_addresses?.[0]?.ip_address ?? ''

t.test('a container sees its own network and nothing of the machine’s', skip, async t => {
  const p = await place(t)
  const { gateway } = p.networks.bridge('mine')
  const server = createServer(socket => socket.end('of the machine'))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const script = `
    sed -n 's/:.*//p' /proc/net/dev; uname -n; cat /etc/hosts; cat /etc/hostname; echo $LIBPROCESS_IP
    ${asking('127.0.0.1', port)}`
  const container: ContainerInfo = { ...joining('mine').container, hostname: 'box.example' }
  const launched = await p.processes.launch(p.spec(script, { container }))
  const address = addressOf(launched.presence?.networks)
  t.same(launched.presence?.networks, [
    { name: 'mine', ip_addresses: [{ protocol: 'IPv4', ip_address: address }] },
  ])
  t.ok(address.startsWith(gateway.replace(/1$/, '')), address)
  t.equal(await launched.exited, 0)
  server.close()
  t.same(
    p
      .text('stdout')
      .trim()
      .split('\n')
      .map(line => line.trim()),
    [
      ...['lo', 'eth0', 'box.example'],
      ...['127.0.0.1 localhost', '::1 localhost ip6-localhost ip6-loopback'],
      ...[`${address} box.example`, 'box.example', '0.0.0.0', 'ECONNREFUSED'],
    ],
    'interfaces, name, files, and no service of the machine on its loopback',
  )
  t.notMatch(readFileSync('/etc/hosts', 'utf8'), 'box.example', 'the machine’s own is untouched')
  t.same(p.networks.left(), [], 'nothing is left of it')
  const other = await p.processes.launch(p.spec(`sed -n 's/:.*//p' /proc/net/dev | wc -l`))
  t.equal(other.presence?.networks, undefined)
  t.equal(await other.exited, 0)
})

t.test(
  'containers reach each other; what is nested, asked or counted is in there, too',
  skip,
  async t => {
    const p = await place(t)
    p.networks.bridge('mine')
    const server = await p.processes.launch(
      p.spec(serving(8080), { ...joining('mine'), stdoutPath: `${p.top}/box/server` }),
    )
    await until(() => p.text('server').includes('listens'), 'it listens')
    await p.run(asking(addressOf(server.presence?.networks), 8080), joining('mine'))
    t.equal(p.text('stdout'), 'served here\n')
    const statistics = p.processes.usage('c1')
    t.ok(statistics!.net_rx_bytes! > 0 && statistics!.net_tx_packets! > 0, 'it is counted')

    const stop = new AbortController().signal
    const probes = systemProbes(p.processes)
    const probe = (port: number, containerId = 'c1', path = '/well') => {
      const probed = { containerId, framework: '', env: {} }
      const to = { host: '127.0.0.1', port }
      return Promise.all([
        probes.ask({ type: 'TCP', ...to }, probed, stop, () => {}),
        probes.ask({ type: 'HTTP', scheme: 'http', path, ...to }, probed, stop, () => {}),
      ])
    }
    t.same(await probe(8080), [
      { type: 'TCP', succeeded: true },
      { type: 'HTTP', statusCode: 204 },
    ])
    t.same((await probe(8081))[0], { type: 'TCP', succeeded: false })
    t.equal((await probe(8081))[1], undefined)
    t.same((await probe(8080, 'another'))[0], { type: 'TCP', succeeded: false }, 'it is not here')
    const env = { PATH: '/usr/bin:/bin' }
    const argv: LaunchSpec['argv'] = [
      '/bin/sh',
      '-c',
      'test $(uname -n) = c1 && grep -q eth0 /proc/net/dev',
    ]
    t.equal(await p.processes.exec({ containerId: 'c1', argv, env }, stop), 0, 'so is a command')
    p.processes.killTree(server.pid, 'SIGKILL')
    await server.exited
  },
)

t.test('containers nested in one share its network, until the last has gone', skip, async t => {
  const p = await place(t)
  p.networks.bridge('mine')
  const parent = { id: 'group', info: joining('mine').container }
  const nested = (id: string, script: string, more: Partial<LaunchSpec> = {}) =>
    p.processes.launch(p.spec(script, { containerId: `group.${id}`, parent, ...more }))
  const release = p.processes.hold('group')
  const [server, other] = await Promise.all([
    nested('a', serving(8080, '127.0.0.1'), { stdoutPath: `${p.top}/box/server` }),
    nested('b', 'sleep 1000'),
  ])
  t.same(server.presence?.networks, other.presence?.networks)
  await until(() => p.text('server').includes('listens'), 'it listens')
  const asks = await nested('c', asking('127.0.0.1', 8080))
  await asks.exited
  t.equal(p.text('stdout'), 'served here\n', 'they have one loopback')
  for (const { pid } of [server, other]) p.processes.killTree(pid, 'SIGKILL')
  await Promise.all([server.exited, other.exited])
  t.not(p.networks.left().length, 0, 'somebody holds it')
  t.same(
    (await nested('d', 'true')).presence?.networks,
    server.presence?.networks,
    'who comes later has the same',
  )
  await until(() => !existsSync(`${p.top}/run/containers/group.d`), 'that has ended')
  release()
  await until(() => p.networks.left().length === 0, 'then it is gone')
})

t.test('several networks, ports of the machine, and resolv.conf', skip, async t => {
  const p = await place(t)
  t.teardown(removeChains)
  const portmap = { type: 'portmap', capabilities: { portMappings: true } }
  const { gateway } = p.networks.bridge('first', portmap)
  p.networks.bridge('second', {
    type: 'named',
  })
  p.networks.plugin(
    'named',
    `input=$(cat); [ $CNI_COMMAND = DEL ] || echo "$input" | ${NODE} -e "
      const {prevResult} = JSON.parse(require('fs').readFileSync(0)); prevResult.dns = {nameservers: ['10.0.0.1'], search: ['a.example', 'b.example'], options: ['ndots:2']};
      console.log(JSON.stringify(prevResult))"`,
  )
  const [hostPort = 0] = await freePorts(1)
  const mapping = { host_port: hostPort, container_port: 8080, protocol: 'tcp' }
  const launched = await p.processes.launch(
    p.spec(`sed -n 's/:.*//p' /proc/net/dev; cat /etc/resolv.conf; ${serving(8080)}`, {
      container: {
        type: 'MESOS',
        network_infos: [{ name: 'first', port_mappings: [mapping] }, { name: 'second' }],
      },
    }),
  )
  t.equal(launched.presence?.networks?.length, 2)
  await until(() => p.text('stdout').includes('listens'), 'it listens')
  t.same(
    p
      .text('stdout')
      .trim()
      .split('\n')
      .map(line => line.trim()),
    [
      ...['lo', 'eth0', 'eth1'],
      ...['search a.example b.example', 'options ndots:2', 'nameserver 10.0.0.1', 'listens'],
    ],
  )
  const said = await new Promise<string>((resolve, reject) => {
    const socket = connect(hostPort, gateway, () => socket.write('?'))
    socket.once('data', data => resolve(String(data)))
    socket.once('error', reject)
  })
  t.equal(said, 'served here', 'by a port of the machine')
  t.not(rulesOf(hostPort).length, 0)
  p.processes.killTree(launched.pid, 'SIGKILL')
  await launched.exited
  t.same(rulesOf(hostPort), [], 'no rule is left')
})

t.test('a launch fails, and says why, when a network cannot be had', skip, async t => {
  const p = await place(t)
  const launch = (name: string, more: Partial<NetworkInfo> = {}) =>
    p.processes.launch(
      p.spec('true', { container: { type: 'MESOS', network_infos: [{ name, ...more }] } }),
    )
  await t.rejects(launch('mine'), { message: "Unknown CNI network 'mine'" })
  writeFileSync(`${p.top}/networks/broken.conf`, '{')
  p.networks.bridge('mine')
  const late = await launch('mine')
  t.equal(await late.exited, 0, 'a network that came later is found')
  const port_mappings = [{ host_port: 1, container_port: 2 }]
  await t.rejects(launch('mine', { port_mappings }), { message: /has no plugin that maps ports/ })

  p.networks.bridge('refusing', { type: 'refuse' })
  p.networks.plugin(
    'refuse',
    `[ $CNI_COMMAND = DEL ] || { echo '{"code":7,"msg":"not you"}'; exit 1; }`,
  )
  await t.rejects(launch('refusing'), {
    message: "The CNI plugin 'refuse' of network 'refusing' failed to ADD: not you (code 7)",
  })
  p.networks.bridge('silent', { type: 'silent' })
  p.networks.plugin('silent', '[ $CNI_COMMAND = DEL ] || echo nothing')
  await t.rejects(launch('silent'), { message: /'silent' answered no result/ })
  p.networks.bridge('endless', { type: 'endless' })
  p.networks.plugin('endless', '[ $CNI_COMMAND = DEL ] || exec yes')
  await t.rejects(launch('endless'), { message: /it said too much/ })
  p.networks.bridge('nowhere', { type: 'nowhere' })
  await t.rejects(launch('nowhere'), { message: /there is no CNI plugin 'nowhere'/ })
  rmSync(`${p.top}/networks/nowhere.conflist`)
  await t.rejects(launch('nowhere'), { message: "Unknown CNI network 'nowhere'" })

  p.networks.bridge('slow', { type: 'slow' })
  p.networks.plugin('slow', `[ $CNI_COMMAND = DEL ] || { >${p.top}/begun; exec sleep 1000; }`)
  const slow = p.processes.launch(p.spec('true', { ...joining('slow'), containerId: 'slow' }))
  void until(() => existsSync(`${p.top}/begun`), 'it is asked').then(() =>
    p.processes.abandon('slow'),
  )
  await t.rejects(slow, { message: /not wanted any more/ })
  // Of one whose plugin is not there any more something stays: it could not be asked.
  const left = p.networks.left().filter(line => !line.includes('nowhere'))
  t.same(left, ['c7/record'], 'all else is undone')
  p.networks.plugin('nowhere', 'true')
  await p.processes.recover([])
})

const noImages = skip.skip === false ? (whyNoBusybox() ?? false) : skip.skip

t.test(
  'a container of an image finds itself in its own files, and no interface of the machine',
  { skip: noImages },
  async t => {
    const p = await place(t, 'filesystem/linux,docker/runtime,network/cni', top => [
      '--image_providers=docker',
      `--docker_registry=${top}`,
    ])
    p.networks.bridge('mine')
    saveImage(p.top, 'box:1', { layers: [busyboxLayer()], config: { Env: ['PATH=/bin'] } })
    const script = 'cat /etc/hostname; tail -n 1 /etc/hosts; ls /sys/class/net; echo x >>/etc/hosts'
    const container: ContainerInfo = {
      ...joining('mine').container,
      mesos: { image: { type: 'DOCKER', docker: { name: 'box:1' } } },
    }
    const launched = await p.processes.launch(
      p.spec(script, { container, command: { value: script } }),
    )
    t.not(await launched.exited, 0, 'it cannot write to them')
    const address = addressOf(launched.presence?.networks)
    t.same(
      p.text('stdout').trim().split('\n'),
      ['c1', `${address} c1`, 'eth0', 'lo'],
      p.text('stderr'),
    )
  },
)

/** Agents' processes one after the other, on one machine. */
function hosts(t: Test) {
  const top = mkdtempSync(`${tmpdir()}/mesos-test-`)
  mkdirSync(`${top}/box`)
  const networks = new TestNetworks(top)
  const token = newToken()
  const root = `mesos_test_${process.pid}_hosts`
  const flags = ['--launcher=linux', `--cgroups_root=${root}`, `--isolation=${ISOLATION}`]
  const all = [...flags, ...networks.flags]
  const running: ChildProcess[] = []
  t.teardown(() => {
    for (const host of running) host.kill('SIGKILL')
    networks.remove()
    rmSync(top, { recursive: true })
  })
  return {
    top,
    networks,
    host: (...containers: string[]): { host: ChildProcess; ready: Promise<void> } => {
      const host = spawn(NODE, [CNI_HOST, top, token, all.join(' '), ...containers], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      running.push(host)
      const ready = new Promise<void>(resolve => host.stdout.once('data', () => resolve()))
      return { host, ready }
    },
    next: () =>
      nextContainerizer(
        { runtimeDir: `${top}/run`, workDir: top, token, recoveryTimeoutMs: 60_000 },
        ...all,
      ),
  }
}

const ended = async (host: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  const exited = new Promise(resolve => host.once('exit', resolve))
  host.kill(signal)
  await exited
}

t.test(
  'kill -9 of the agent: who survives keeps the network, and nothing is left of others',
  skip,
  async t => {
    const p = hosts(t)
    p.networks.bridge('mine')
    p.networks.bridge('slow', { type: 'slow' })
    p.networks.plugin('slow', `[ $CNI_COMMAND = DEL ] || { >${p.top}/begun; sleep 1000; }`)
    const { host } = p.host('s1=mine=sleep 1000', 'c1=mine=sleep 1000', 's2=slow=true')
    await until(() => existsSync(`${p.top}/begun`), 'a plugin is at work')
    await ended(host, 'SIGKILL')
    const next = await p.next()
    const found = await next.recover([{ containerId: 's1', cwd: `${p.top}/box` }])
    const s1 = found.get('s1')!
    t.match(addressOf(s1.presence?.networks), /^10\.213\./)
    t.equal(next.networkEntrance('s1')?.length, 4)
    const others = p.networks.left().filter(line => /\b(c1|s2)\//.test(line))
    t.same(others, [], 'the others are off their networks')
    t.not(p.networks.left().length, 0)
    const spec = { containerId: 's1', argv: ['/bin/grep', '-q', 'eth0', '/proc/net/dev'] as const }
    t.equal(await next.exec({ ...spec, env: {} }, new AbortController().signal), 0)
    next.killTree(s1.pid, 'SIGKILL')
    await s1.exited
    next.forget('s1')
    t.same(p.networks.left(), [])
    await next.close()
  },
)

t.test(
  'an agent that ends takes down the networks of those that do not survive it',
  skip,
  async t => {
    const p = hosts(t)
    p.networks.bridge('mine')
    const { host, ready } = p.host('c1=mine=sleep 1000', 's1=mine=sleep 1000')
    await ready
    await ended(host, 'SIGTERM')
    const left = p.networks.left()
    t.same(
      left.filter(line => /\bc1\b/.test(line)),
      [],
    )
    t.equal(left.filter(line => line.includes('veth')).length, 1, 'of the one that survives')
    const next = await p.next()
    t.equal((await next.recover([])).size, 0)
    t.same(p.networks.left(), [], 'nor those of whom nobody asks for any more')
    await next.close()
  },
)
