import t from 'tap'
import { agentFlags } from '../../src/agent/flags.ts'
import { masterAddress } from '../../src/messages/master-address.ts'
import { agentResources, type Machine, machineResources } from '../../src/agent/machine.ts'
import { agentOptions } from '../../src/agent/options.ts'
import * as paths from '../../src/agent/paths.ts'
import { describeWaitStatus, endedBySignal, exitedWith } from '../../src/agent/wait-status.ts'
import { parseFlags } from '../../src/base/flags.ts'
import { describe } from '../../src/resources/format.ts'
import { parseAgentResources } from '../../src/resources/parse.ts'
import { Resources } from '../../src/resources/resources.ts'
import { MemoryFiles } from '../../src/sim/memory-files.ts'
import { VirtualProbes } from '../../src/sim/virtual-probes.ts'
import { VirtualProcesses } from '../../src/sim/virtual-processes.ts'
import { VirtualClock } from '../../src/sim/virtual-clock.ts'

const GB = 2 ** 30
const machine: Machine = {
  cpus: 8,
  memBytes: 16 * GB,
  diskFreeBytes: 100 * GB,
  user: 'root',
  path: '/opt/bin:/bin',
}

const parse = (...argv: string[]) =>
  parseFlags(agentFlags, { argv, env: {}, readFile: () => '{"LANG":"C"}' })

t.test('something of the machine is kept for itself', async t => {
  const offered = (given: Partial<Machine>) =>
    describe(Resources.of(machineResources({ ...machine, ...given })))
  t.equal(offered({}), 'cpus:8; mem:15360; disk:97280; ports:[31000-32000]')
  t.equal(
    offered({ memBytes: 1.5 * GB, diskFreeBytes: 4 * GB }),
    'cpus:8; mem:768; disk:2048; ports:[31000-32000]',
  )
  t.equal(
    offered({ cpus: undefined, memBytes: undefined, diskFreeBytes: undefined }),
    'cpus:1; mem:1024; disk:10240; ports:[31000-32000]',
  )
})

t.test('what is given replaces what was found, name by name', async t => {
  const merged = (text: string, role?: string) =>
    describe(Resources.of(agentResources(parseAgentResources(text), machine, role)))
  t.equal(
    merged('cpus:2;cpus(web):1;gpus:2'),
    'cpus:2; cpus(reservations: [(STATIC,web)]):1; gpus:2; mem:15360; disk:97280; ports:[31000-32000]',
  )
  t.equal(merged('mem:0;disk:0;ports:[1-2]'), 'ports:[1-2]; cpus:8')
  t.match(merged('cpus:1', 'web'), /^cpus:1; mem\(reservations: \[\(STATIC,web\)\]\):15360/)
})

t.test('flags become options', async t => {
  const parsed = parse(
    '--master=10.0.0.1',
    '--resources=cpus:2;mem:512',
    '--attributes=rack:r1',
    '--default_role=web',
    '--executor_environment_variables=/etc/env.json',
    '--executor_shutdown_grace_period=7secs',
  )
  if (!parsed.ok) throw new Error(parsed.errors.join())
  const clock = new VirtualClock()
  const options = agentOptions(parsed.values, {
    masters: ['10.0.0.1:5050'],
    address: '10.0.0.2:5051',
    hostname: 'box',
    workDir: '/tmp/mesos',
    runtimeDir: '/var/run/mesos',
    machine,
    processes: new VirtualProcesses({ clock }),
    probes: new VirtualProbes(),
    files: new MemoryFiles(clock),
    version: '1.0.0',
  })
  t.match(options, {
    masters: ['10.0.0.1:5050'],
    hostname: 'box',
    ip: '10.0.0.2',
    port: 5051,
    attributes: [{ name: 'rack', text: { value: 'r1' } }],
    environment: { PATH: '/opt/bin:/bin', LANG: 'C' },
    settings: {
      registrationBackoffMs: 1000,
      executorRegistrationTimeoutMs: 60_000,
      executorShutdownGraceMs: 7_000,
    },
    printableFlags: {
      work_dir: '/tmp/mesos',
      executor_registration_timeout: '1mins',
      launcher: 'posix',
    },
  })
  t.ok(options.resources.every(r => r.reservations?.[0]?.role === 'web'))
})

t.test('flags that make no sense are refused', async t => {
  const errors = (...argv: string[]): string => {
    const parsed = parse(...argv)
    return parsed.ok ? '' : parsed.errors.join('\n')
  }
  t.match(errors(), /--master' is required; write for example '--master=127.0.0.1:5050'/)
  const master = '--master=a:1'
  t.match(errors('--master=zk://a:2181/'), /needs the path of a node/)
  t.match(errors('--master=a b'), /'a b' is not the address of a master/)
  t.match(errors('--master=a:99999'), /is not the address/)
  t.match(errors(master, '--resources=cpus:x'), /'cpus:x': 'x' is not a number/)
  t.match(errors(master, '--resources=cpus:-1'), /negative/)
  t.match(errors(master, '--attributes=rack'), /missing ':'/)
  t.match(errors(master, '--default_role=a//b'), /default_role/)
  t.match(errors(master, '--executor_environment_variables=["x"]'), /not a JSON object/)
  t.match(errors(master, '--executor_environment_variables={"A":1}'), /'A' is not a string/)
  for (const [flag, words] of [
    ['--resources=ports:[1-70000]', /ports \[1-70000\]: there are ports from 1 to 65535 only/],
    ['--resources=ports:[0-10]', /ports from 1/],
    ['--resources=cpus:0;mem:0', /without cpus and mem nothing can run/],
    ['--hostname=', /'--hostname': it is empty/],
    ['--hostname=a b', /'a b' is not a host name/],
    ['--hostname=a:1', /not a host name/],
    ['--ip=localhost', /'localhost' is not an IPv4 address/],
    ['--ip=1.2.3', /not an IPv4 address/],
    ['--advertise_ip=foo', /'--advertise_ip': 'foo' is not an IPv4 address/],
    ['--advertise_ip=1.2.3.256', /not an IPv4 address/],
    ['--advertise_ip=0.0.0.0', /nobody can be reached/],
  ] as const) {
    t.match(errors(master, flag), words, flag)
  }
  for (const flag of [
    '--resources=cpus:0',
    '--resources=cpus:0;cpus(web):1;mem:0',
    '--resources=ports:[1-65535]',
    '--hostname=box-1.example.org',
    '--hostname=10.0.0.1',
    '--ip=0.0.0.0',
    '--advertise_ip=203.0.113.5',
  ]) {
    t.equal(errors(master, flag), '', flag)
  }
  t.match(errors(master, '--launcher=windows'), /one of posix, linux/)
  t.match(errors(master, '--resource=cpus:1'), /did you mean '--resources'/)
  t.equal(masterAddress('h'), 'h:5050')
  t.equal(masterAddress('h:0'), undefined)
})

t.test('paths are those of the picture, and nothing leads out', async t => {
  const place = { agentId: 'S0', frameworkId: 'F1', executorId: 'e1' }
  t.equal(
    paths.sandboxDir('/work/', place, 'c1'),
    '/work/slaves/S0/frameworks/F1/executors/e1/runs/c1',
  )
  t.equal(
    paths.latestRunLink('/work', place),
    '/work/slaves/S0/frameworks/F1/executors/e1/runs/latest',
  )
  t.equal(paths.latestAgentLink('/work'), '/work/slaves/latest')
  t.equal(paths.pidPath('/run', 'c1'), '/run/containers/c1/pid')
  t.equal(paths.virtualRunPath('F1', 'e1', 'latest'), '/frameworks/F1/executors/e1/runs/latest')
  for (const id of ['', '.', '..', 'a/b', '../x', '\\', 'a\nb', 'é'.repeat(128), '\u007f']) {
    t.ok(paths.whyNoPathSegment(id), JSON.stringify(id))
    t.throws(() => paths.sandboxDir('/work', { ...place, executorId: id }, 'c1'))
  }
  for (const id of ['a', '...', 'a b', 'ü'.repeat(127), '-x', '~']) {
    t.equal(paths.whyNoPathSegment(id), undefined, id)
  }
})

t.test('ends of processes in words', async t => {
  t.equal(describeWaitStatus(exitedWith(0)), 'exited with status 0')
  t.equal(describeWaitStatus(exitedWith(255)), 'exited with status 255')
  t.equal(describeWaitStatus(endedBySignal(15)), 'terminated with signal Terminated')
  t.equal(describeWaitStatus(endedBySignal(35)), 'terminated with signal Real-time signal 1')
  t.equal(describeWaitStatus(endedBySignal(33)), 'terminated with signal Unknown signal 33')
})
