// What is read and written about networks: configurations, plugins' answers, files, what a container asks for.

import t from 'tap'
import { mapsPorts, parseNetworkConfig, pluginInput } from '../../src/agent/cni/config.ts'
import { whyMalformedNetworks, whyNoNetworks } from '../../src/agent/cni/demands.ts'
import { cniErrors } from '../../src/agent/cni/flags.ts'
import { addNetworkUsage } from '../../src/agent/cni/net-dev.ts'
import { hostsText, resolvText } from '../../src/agent/cni/network-files.ts'
import { joinedInfo, parseError, parseResult } from '../../src/agent/cni/result.ts'
import type { Isolation } from '../../src/agent/containerizer/isolation.ts'
import { whyGroupRefused, whyRefused } from '../../src/agent/refusals.ts'
import type { ContainerInfo, NetworkInfo } from '../../src/messages/container.ts'
import type { ExecutorInfo, TaskInfo } from '../../src/messages/task.ts'

t.test('configurations: one plugin or a list, and what is wrong with them', async t => {
  const parse = (config: object) => parseNetworkConfig(JSON.stringify(config))
  t.match(parse({ name: 'a', type: 'bridge', ipam: { type: 'x' } }), {
    cniVersion: '0.1.0',
    name: 'a',
    plugins: [{ type: 'bridge', ipam: { type: 'x' } }],
  })
  t.equal(parse({ name: 'a', cniVersion: '0.4.0', plugins: [{ type: 'b' }] }).plugins.length, 1)
  t.throws(() => parseNetworkConfig('{'), { message: 'it is no JSON' })
  const wrong: [object, RegExp][] = [
    [[], /./],
    [{ type: 'bridge' }, /'name'/],
    [{ name: '../a', type: 'bridge' }, /'name': is no name/],
    [{ name: 'a', type: '../../bin/sh' }, /'type': is no name/],
    [{ name: 'a', type: 'b', cniVersion: 'new' }, /is no version/],
    [{ name: 'a', plugins: [] }, /has no plugin/],
    [{ name: 'a', plugins: [{ type: '/bin/sh' }] }, /'plugins.0.type'/],
    [{ name: 'a', type: 'b', args: { 'org.apache.mesos': {} } }, /not for configurations to set/],
  ]
  for (const [config, message] of wrong) t.throws(() => parse(config), { message })
})

t.test('what a plugin is told', async t => {
  const plugin = { type: 'portmap', capabilities: { portMappings: true }, args: { a: 1 } }
  const config = { cniVersion: '0.4.0', name: 'n', plugins: [plugin] }
  const info: NetworkInfo = {
    name: 'n',
    port_mappings: [{ host_port: 8080, container_port: 80, protocol: 'UDP' }],
  }
  t.ok(mapsPorts(config))
  t.same(pluginInput(plugin, config, info, { ips: [{ address: '10.0.0.2/24' }] }), {
    type: 'portmap',
    name: 'n',
    cniVersion: '0.4.0',
    args: { a: 1, 'org.apache.mesos': { network_info: info } },
    runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'udp' }] },
    prevResult: { ips: [{ address: '10.0.0.2/24' }] },
  })
  const { capabilities: _, ...deaf } = plugin
  t.notOk(mapsPorts({ ...config, plugins: [deaf] }))
  t.notOk('runtimeConfig' in pluginInput(deaf, config, info, undefined))
})

t.test('results of old and new plugins, errors, and what is neither', async t => {
  const old = parseResult('{"ip4":{"ip":"10.0.0.2/24"},"ip6":{"ip":"fd00::2/64"},"dns":{}}')!
  t.same(joinedInfo({ name: 'n' }, old), {
    name: 'n',
    ip_addresses: [
      { protocol: 'IPv4', ip_address: '10.0.0.2' },
      { protocol: 'IPv6', ip_address: 'fd00::2' },
    ],
  })
  t.match(parseResult('{"ips":[{"address":"10.0.0.2/24"}],"routes":[{"dst":"0.0.0.0/0"}]}'), {
    routes: [{ dst: '0.0.0.0/0' }],
  })
  for (const text of [
    '',
    '[',
    '7',
    '{"ips":[{"address":"localhost"}]}',
    '{"ips":[{"address":"10.0.0.2\\nevil"}]}',
    '{"dns":{"nameservers":["10.0.0.1\\noptions rotate"]}}',
    JSON.stringify({ ips: Array.from({ length: 1000 }, () => ({ address: '10.0.0.2/24' })) }),
  ]) {
    t.equal(parseResult(text), undefined, text.slice(0, 40))
  }
  t.equal(parseError('{"code":4,"msg":"no","details":"never"}'), 'no; never (code 4)')
  t.equal(parseError('{"msg":"no"}'), undefined)
})

t.test('hosts and resolv.conf', async t => {
  const results = [
    parseResult('{"ips":[{"address":"10.0.0.2/24"},{"address":"fd00::2/64"}]}')!,
    parseResult('{"ips":[{"address":"10.1.0.2/24"}],"dns":{"domain":"","search":["x"]}}')!,
  ]
  t.equal(
    hostsText('box', results),
    '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n10.0.0.2 box\nfd00::2 box\n',
  )
  t.equal(resolvText(results), undefined, 'nobody names a server')
  const named = ['10.0.0.53', '10.1.0.53'].map(
    (server, index) =>
      parseResult(
        `{"dns":{"nameservers":["${server}"],"domain":"d${index}","search":["s${index}"]}}`,
      )!,
  )
  t.equal(
    resolvText([...results, ...named]),
    'domain d1\nsearch s0 s1\nnameserver 10.0.0.53\nnameserver 10.1.0.53\n',
  )
})

t.test('what went through interfaces', async t => {
  const statistics = {}
  addNetworkUsage(
    `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    9999       9    9    9    0     0          0         0     9999       9    9    9    0     0       0          0
  eth0: 1000      10    1    2    0     0          0         0      500       5    3    4    0     0       0          0
  eth1:1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0
`,
    new Set(['eth0', 'eth1']),
    statistics,
  )
  t.same(statistics, {
    ...{ net_rx_bytes: 1001, net_rx_packets: 11, net_rx_errors: 1, net_rx_dropped: 2 },
    ...{ net_tx_bytes: 501, net_tx_packets: 6, net_tx_errors: 3, net_tx_dropped: 4 },
  })
})

const ports = (begin: number, end: number): NonNullable<TaskInfo['resources']> => [
  { name: 'ports', type: 'RANGES', ranges: { range: [{ begin, end }] } },
]
const joining = (...network_infos: NetworkInfo[]): ContainerInfo => ({
  type: 'MESOS',
  network_infos,
})
const mapping = (host_port: number, container_port = 80, protocol = 'tcp'): NetworkInfo => ({
  name: 'n',
  port_mappings: [{ host_port, container_port, protocol }],
})

t.test('what a container may ask for', async t => {
  const cni: Isolation = new Set(['network/cni'])
  const unsupported = (container: ContainerInfo, isolation = cni) =>
    whyNoNetworks(container, isolation)
  t.equal(unsupported(joining({ name: 'n' })), undefined)
  t.match(unsupported(joining({ name: 'n' }), new Set()), "without the isolator 'network/cni'")
  t.match(unsupported(joining({ port_mappings: mapping(80).port_mappings })), /port mappings/)
  t.match(unsupported({ ...joining({}), hostname: 'box' }), /hostname/)
  const malformed = (container: ContainerInfo) => whyMalformedNetworks(container, ports(8000, 8010))
  t.equal(malformed(joining({}, { name: 'n' })), undefined)
  t.equal(malformed(joining(mapping(8000))), undefined)
  t.equal(malformed(joining(mapping(22))), 'Port [22] not included in resources')
  t.match(malformed(joining(mapping(8000, 0))), /no port of a container/)
  t.match(malformed(joining(mapping(8000, 80, 'icmp'))), /Protocol 'icmp' is not supported/)
  t.match(malformed(joining({ name: 'n' }, { name: 'n' })), /CNI network 'n' multiple times/)
  t.match(malformed({ ...joining({ name: 'n' }), hostname: 'a\nb' }), /no hostname/)
  const address: NetworkInfo = { name: 'n', ip_addresses: [{ ip_address: '10.0.0.2' }] }
  t.match(malformed(joining(address)), /cannot choose/)
})

t.test('an agent refuses what it cannot do for tasks and for groups', async t => {
  const context = {
    framework: { user: '', name: 'f' },
    switching: { user: 'root', switchUser: false },
    isolation: new Set(['network/cni'] as const),
  }
  const task = (more: Partial<TaskInfo>): TaskInfo => ({
    name: 't',
    task_id: { value: 't' },
    agent_id: { value: 'a' },
    command: { value: 'true' },
    ...more,
  })
  t.equal(whyRefused(task({ container: joining({ name: 'n' }) }), context), undefined)
  t.match(whyRefused(task({ container: joining(mapping(22)) }), context), {
    reason: 'REASON_CONTAINER_LAUNCH_FAILED',
    message: 'Failed to launch container: Port [22] not included in resources',
  })
  const group = (container: ContainerInfo, others: TaskInfo[] = []) => {
    const executor: ExecutorInfo = { executor_id: { value: 'e' }, type: 'DEFAULT', container }
    const tasks = [task({ resources: ports(8000, 8000) })]
    return whyGroupRefused(executor, tasks, { ...context, others })
  }
  t.equal(group(joining(mapping(8000))), undefined, 'a port of one of its tasks')
  t.match(group(joining(mapping(8001))), { message: /Port \[8001\]/ })
  const before = [task({ resources: ports(8001, 8001) })]
  t.equal(group(joining(mapping(8001)), before), undefined, 'or of one that it has already')
})

t.test('flags that belong together', async t => {
  const flags = {
    isolation: 'network/cni',
    network_cni_plugins_dir: '/p',
    network_cni_config_dir: '/c',
    network_cni_root_dir_persist: false,
    network_cni_metrics: true,
  }
  t.same(cniErrors(flags), [])
  t.match(cniErrors({ ...flags, network_cni_config_dir: undefined }), [/needs '--network_cni_con/])
  t.match(cniErrors({ ...flags, isolation: 'posix/cpu' }), [/plugins_dir/, /config_dir/])
})
