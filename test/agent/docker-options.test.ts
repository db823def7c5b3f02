// What the docker command is told, what it says, and what is refused: all of it without Docker.

import t from 'tap'
import { parseCgroups } from '../../src/agent/docker/docker-cgroups.ts'
import { whyNotInDocker } from '../../src/agent/docker/demands.ts'
import {
  messageIn,
  parseInspect,
  parseNames,
  saysNothingThere,
} from '../../src/agent/docker/docker-state.ts'
import { dockerErrors, dockerFlags, parseContainerizers } from '../../src/agent/docker/flags.ts'
import { DockerCommand } from '../../src/agent/docker/docker-command.ts'
import { Removals } from '../../src/agent/docker/removals.ts'
import { silentLogger } from '../../src/base/log.ts'
import { VirtualClock } from '../../src/sim/virtual-clock.ts'
import { presenceOf } from '../../src/agent/docker/presence.ts'
import { runOptions } from '../../src/agent/docker/run-options.ts'
import { textToBase64 } from '../../src/base/base64.ts'
import type { LaunchSpec } from '../../src/agent/processes.ts'
import { parseFlags } from '../../src/base/flags.ts'
import type { CommandInfo } from '../../src/messages/command.ts'
import type { ContainerInfo } from '../../src/messages/container.ts'
import { parseResources } from '../../src/resources/parse.ts'

const SETTINGS = {
  token: 'abc',
  sandboxDirectory: '/mnt/mesos/sandbox',
  isCpuBounded: false,
  machineBytes: 2 ** 33,
  envPath: '/run/env',
}

function options(
  docker: Partial<NonNullable<ContainerInfo['docker']>> = {},
  more: Partial<ContainerInfo> = {},
  spec: Partial<LaunchSpec> = {},
  settings: Partial<typeof SETTINGS> = {},
) {
  const container: ContainerInfo = { type: 'DOCKER', docker: { image: 'i:1', ...docker }, ...more }
  return runOptions(
    {
      containerId: 'c1',
      argv: ['/bin/sh'],
      env: {},
      cwd: '/work/box',
      stdoutPath: '/work/box/stdout',
      stderrPath: '/work/box/stderr',
      resources: { cpus: 0.5, memMb: 64 },
      command: { value: 'echo $HOME' },
      container,
      ...spec,
    },
    { ...SETTINGS, ...settings },
  )
}

const words = (...given: Parameters<typeof options>): readonly string[] => options(...given).words

t.test('a command in a shell, on the network of the machine', async t => {
  t.strictSame(words({}, {}, { taskId: 't 1' }), [
    '--name=mesos-c1',
    '--label=mesos.agent=abc',
    '--label=MESOS_TASK_ID=t 1',
    '--cpu-shares=512',
    `--memory=${64 * 2 ** 20}`,
    '--env-file=/run/env',
    '--mount=type=bind,source=/work/box,target=/mnt/mesos/sandbox',
    '--network=host',
    '--entrypoint=/bin/sh',
    '--',
    'i:1',
    '-c',
    'echo $HOME',
  ])
})

t.test('arguments are given to what the image begins with', async t => {
  const end = (command: CommandInfo) => words({}, {}, { command }).slice(-4)
  t.strictSame(end({ shell: false, value: 'a', arguments: ['--b', 'c d'] }), [
    'i:1',
    'a',
    '--b',
    'c d',
  ])
  t.strictSame(end({ shell: false }).slice(-2), ['--', 'i:1'])
  t.notMatch(words({}, {}, { command: { shell: false } }), ['--entrypoint=/bin/sh'])
})

t.test('paths in the sandbox', async t => {
  const volumes = [{ mode: 'RO' as const, container_path: 'in', host_path: 'data' }]
  t.ok(words({}, { volumes }).includes('--volume=/work/box/data:/mnt/mesos/sandbox/in:ro'))
})

t.test('limits', async t => {
  t.ok(words({}, {}, {}, { isCpuBounded: true }).includes('--cpu-quota=50000'))
  const burst = words({}, {}, { limits: { cpus: 2, memMb: 128 } })
  t.ok(burst.includes('--cpu-quota=200000'))
  t.ok(burst.includes(`--memory=${128 * 2 ** 20}`))
  t.ok(burst.includes(`--memory-reservation=${64 * 2 ** 20}`))
  t.ok(burst.includes('--oom-score-adj=993'))
  const none = words({}, {}, { limits: { memMb: Number.POSITIVE_INFINITY } })
  t.notOk(none.some(word => word.startsWith('--memory=')))
})

t.test('networks, ports, parameters', async t => {
  const bridged = words(
    {
      network: 'BRIDGE',
      privileged: true,
      port_mappings: [
        { host_port: 31000, container_port: 80 },
        { host_port: 31001, container_port: 53, protocol: 'UDP' },
      ],
      parameters: [
        { key: 'cap-add', value: 'NET_RAW; rm -rf /' },
        { key: 'u', value: 'nobody' },
      ],
    },
    { hostname: 'box' },
  )
  for (const word of [
    '--privileged',
    '--network=bridge',
    '--hostname=box',
    '--publish=31000:80',
    '--publish=31001:53/udp',
    '--cap-add=NET_RAW; rm -rf /',
    '-unobody',
  ])
    t.ok(bridged.includes(word), word)
  t.ok(words({ network: 'USER' }, { network_infos: [{ name: 'n1' }] }).includes('--network=n1'))
  t.match(options({ network: 'NONE' }).environment, /^LIBPROCESS_IP=0\.0\.0\.0$/m)
})

t.test('volumes, and a sandbox whose path has ids of tasks in it', async t => {
  const made = words(
    {},
    {
      volumes: [
        { mode: 'RO', container_path: '/in', host_path: '/etc' },
        { mode: 'RW', container_path: 'rel', host_path: 'data' },
        { mode: 'RW', container_path: '/tmp/anonymous' },
        {
          mode: 'RW',
          container_path: '/db',
          source: { type: 'DOCKER_VOLUME', docker_volume: { name: 'v1', driver: 'd1' } },
        },
        {
          mode: 'RW',
          container_path: '/host',
          source: {
            type: 'HOST_PATH',
            host_path: { path: '/srv', mount_propagation: { mode: 'BIDIRECTIONAL' } },
          },
        },
        {
          mode: 'RW',
          container_path: '/own',
          source: { type: 'SANDBOX_PATH', sandbox_path: { type: 'SELF', path: 'x' } },
        },
      ],
    },
    { cwd: '/work/a,readonly/"b":c' },
  )
  t.ok(
    made.includes('--mount=type=bind,"source=/work/a,readonly/""b"":c",target=/mnt/mesos/sandbox'),
    'nothing in it is an option of its own',
  )
  t.strictSame(made.filter(word => word.startsWith('--mount')).slice(1), [
    '--mount=type=bind,"source=/work/a,readonly/""b"":c/data",target=/mnt/mesos/sandbox/rel',
    '--mount=type=bind,"source=/work/a,readonly/""b"":c/x",target=/own',
  ])
  t.strictSame(
    made.filter(word => word.startsWith('--volume')),
    [
      '--volume=/etc:/in:ro',
      '--volume=/tmp/anonymous',
      '--volume=v1:/db:rw',
      '--volume=/srv:/host:rw,rshared',
      '--volume-driver=d1',
    ],
  )
})

t.test("the environment is in a file, and not the machine's", async t => {
  const { environment, words: all } = options(
    {},
    {},
    {
      env: { PATH: '/host/bin', MESOS_TASK_ID: 't1', MESOS_SANDBOX: '/work/box' },
      command: {
        value: 'x',
        environment: {
          variables: [
            { name: 'SECRET', value: ' s3cret #x' },
            { name: 'LINES', value: 'a\nLD_PRELOAD=/evil' },
            { name: '#odd', value: '1' },
            { name: 'EMPTY' },
            {
              name: 'KEPT',
              type: 'SECRET',
              secret: { type: 'VALUE', value: { data: textToBase64('from a store') } },
            },
          ],
        },
      },
    },
  )
  t.strictSame(environment.split('\n').toSorted(), [
    '',
    'EMPTY=',
    'KEPT=from a store',
    'MESOS_CONTAINER_NAME=mesos-c1',
    'MESOS_DIRECTORY=/mnt/mesos/sandbox',
    'MESOS_SANDBOX=/mnt/mesos/sandbox',
    'MESOS_TASK_ID=t1',
    'SECRET= s3cret #x',
  ])
  t.ok(all.includes('--env=LINES=a\nLD_PRELOAD=/evil'), 'what is no line is a word')
  t.ok(all.includes('--env=#odd=1'))
  t.notMatch(all.join(' '), /s3cret/)
})

t.test('what cannot be is refused, with the reason', async t => {
  const ports = parseResources('cpus:1;ports:[31000-31001]').list()
  const why = (
    docker: Partial<NonNullable<ContainerInfo['docker']>>,
    more: Partial<ContainerInfo> = {},
    command: CommandInfo = { value: 'x' },
  ) =>
    whyNotInDocker(
      { type: 'DOCKER', docker: { image: 'i', ...docker }, ...more },
      command,
      ports,
    ) ?? 'fine'
  const map = (host_port: number, protocol?: string) => ({
    port_mappings: [{ host_port, container_port: 80, ...(protocol && { protocol }) }],
  })
  const volume = (one: object) => ({
    volumes: [{ mode: 'RW' as const, container_path: '/x', ...one }],
  })
  t.equal(why({}), 'fine')
  t.equal(
    whyNotInDocker({ type: 'DOCKER' }, { value: 'x' }, []),
    'No docker info found in container info',
  )
  t.match(why({ image: '--privileged' }), /not the name of an image/)
  t.match(why({ image: '' }), /not the name of an image/)
  t.match(why({}, {}, {}), /Shell specified but no command value/)
  t.equal(why({}, {}, { shell: false }), 'fine')
  t.match(why({}, { hostname: 'h' }), /hostname with host network/)
  t.match(why({ network: 'USER' }), /No network info/)
  t.match(why({ network: 'USER' }, { network_infos: [{}] }), /No network name/)
  t.match(why({}, { network_infos: [{}, {}] }), /Multiple network infos/)
  t.match(why(map(31000)), /only supported for bridge/)
  t.equal(why({ network: 'BRIDGE', ...map(31000, 'tcp') }), 'fine')
  t.match(why({ network: 'BRIDGE', ...map(32000) }), /Port \[32000\] not included/)
  t.match(why({ network: 'BRIDGE', ...map(31000, 'tcp --privileged') }), /Protocol/)
  for (const key of ['name', 'rm', 'restart', 'env-file', 'd']) {
    t.match(why({ parameters: [{ key, value: 'x' }] }), /agent's to set/)
  }
  t.match(why({ parameters: [{ key: '-x y', value: '' }] }), /no option/)
  t.match(why({}, volume({ host_path: '/a:/etc' })), /cannot be part of a volume/)
  t.match(why({}, volume({ host_path: '../../etc' })), /has a '\.\.'/)
  t.match(why({}, volume({ container_path: '/a:ro' })), /cannot be part/)
  t.match(why({}, volume({ source: { type: 'SECRET' } })), /from a SECRET/)
  t.match(
    why({}, volume({ source: { type: 'DOCKER_VOLUME', docker_volume: { name: '/etc' } } })),
    /name of a volume/,
  )
  t.match(why({}, { tty_info: {} }), /terminals/)
})

t.test("Docker's output is read, and not believed to be anything else", async t => {
  const State = {
    Running: false,
    OOMKilled: true,
    Pid: 0,
    ExitCode: 137,
    Error: '',
    StartedAt: '2026-01-01T00:00:00Z',
  }
  const text = (state: object, config: object = {}) =>
    JSON.stringify([{ Name: '/mesos-a', State: { ...State, ...state }, Config: config }])
  t.strictSame(parseInspect(text({}, { StopSignal: 'SIGQUIT' })), [
    {
      name: 'mesos-a',
      isRunning: false,
      hasStarted: true,
      isOutOfMemory: true,
      pid: 0,
      waitStatus: 137 << 8,
      error: '',
      stopSignal: 'SIGQUIT',
      addresses: undefined,
      text: text({}, { StopSignal: 'SIGQUIT' }),
    },
  ])
  t.match(parseInspect(text({ StartedAt: '0001-01-01T00:00:00Z' })), [{ hasStarted: false }])
  t.match(parseInspect(text({}, { StopSignal: '--all x' })), [{ stopSignal: 'SIGTERM' }])
  for (const bad of ['', '{}', '[{}]', text({ Pid: -1 }), text({ ExitCode: '0' })]) {
    t.throws(() => parseInspect(bad))
  }
  t.strictSame(parseNames('mesos-a\nother\nmesos-b c\n--x\nmesos-c.1\n'), ['mesos-a', 'mesos-c.1'])
  t.ok(saysNothingThere('Error: No such object: x'))
  t.notOk(saysNothingThere('Cannot connect to the Docker daemon. Is it running?'))
  t.equal(messageIn('time="x" level=error\nerror: a\u001b[1m\n\nSee x --help\n'), 'error: a [1m')
  t.equal(messageIn('x'.repeat(5_000)).length, 1_000)
})

t.test('where a container is reached', async t => {
  const presence = (mode: string, networks: object, info: Partial<ContainerInfo> = {}) => {
    const State = { Running: true, Pid: 7, ExitCode: 0, StartedAt: '2026-01-01T00:00:00Z' }
    const text = JSON.stringify([
      {
        Name: '/mesos-a',
        State,
        Config: {},
        HostConfig: { NetworkMode: mode },
        NetworkSettings: networks,
      },
    ])
    return presenceOf({ type: 'DOCKER', ...info }, parseInspect(text)[0]!)
  }
  t.strictSame(Object.keys(presence('host', { IPAddress: '' })), ['data'])
  t.strictSame(presence('none', { Networks: { none: { IPAddress: '' } } }).networks, [])
  const asked = { network_infos: [{ name: 'web', ip_addresses: [{ ip_address: '1.1.1.1' }] }] }
  const web = { IPAddress: '10.0.0.2', GlobalIPv6Address: 'fd00::2' }
  const { networks, labels } = presence('web', { IPAddress: '', Networks: { web } }, asked)
  t.strictSame(networks, [
    {
      name: 'web',
      ip_addresses: [
        { protocol: 'IPv4', ip_address: '10.0.0.2' },
        { protocol: 'IPv6', ip_address: 'fd00::2' },
      ],
    },
  ])
  t.equal(labels?.labels?.[0]?.value, '10.0.0.2')
  t.strictSame(presence('default', { IPAddress: 'x\ny', Networks: null }).networks, [])
})

t.test('what Docker cannot remove now it is asked to remove again', async t => {
  const clock = new VirtualClock()
  const asked: string[] = []
  const says = [
    { ok: false, code: 1, stdout: 'mesos-a\n', stderr: 'Error: No such container: mesos-b\nbusy' },
    { ok: false, code: 1, stdout: '', stderr: 'Cannot connect to the Docker daemon' },
    { ok: true, code: 0, stdout: 'mesos-c\n', stderr: '' },
  ]
  const docker = new (class extends DockerCommand {
    override run(args: readonly string[]) {
      asked.push(args.slice(4).join(' '))
      return Promise.resolve(says[asked.length - 1]!)
    }
  })(['docker'], {})
  const removals = new Removals({ docker, delayMs: 1_000, clock, log: silentLogger })
  for (const name of ['mesos-a', 'mesos-b', 'mesos-c']) removals.add(name)
  await clock.advance(1_000)
  await clock.advance(600_000)
  t.strictSame(asked, ['mesos-a mesos-b mesos-c', 'mesos-c', 'mesos-c'])
  t.equal(clock.pending, 0)
})

t.test('where the groups of a container are', async t => {
  const paths = parseCgroups('4:memory:/docker/x\n2:cpu,cpuacct:/docker/y\n0::/z\n1:a:/../etc\n')
  t.strictSame(Object.fromEntries(paths), {
    memory: '/docker/x',
    cpu: '/docker/y',
    cpuacct: '/docker/y',
    '': '/z',
  })
})

t.test('flags', async t => {
  t.strictSame([...(parseContainerizers('docker, mesos') as Set<string>)], ['docker', 'mesos'])
  t.match(parseContainerizers('docker,'), /is no containerizer/)
  const errors = (...argv: string[]) => {
    const parsed = parseFlags(dockerFlags, { argv, env: {}, readFile: () => '' })
    if (!parsed.ok) return parsed.errors
    return dockerErrors(parsed.values, false)
  }
  t.match(errors('--docker_socket=/x'), [/is for the containerizer 'docker'/])
  t.strictSame(errors('--docker_socket=/x', '--containerizers=docker'), [])
  t.strictSame(errors(), [])
})
