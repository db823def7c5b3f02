// Images on a real cluster: tasks that run in one outlive their agent, which goes on with them, and nothing is left of them.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { whyNoCgroups } from '../../src/agent/containerizer/cgroup-tree.ts'
import { busyboxLayer, saveImage, whyNoBusybox } from '../agent/image-files.ts'
import { Batch } from '../cluster/batch.ts'
import { freePorts } from '../../bench/ports.ts'
import { RealCluster, until } from './real-cluster.ts'

const noCgroups = whyNoCgroups('/sys/fs/cgroup')
const skip = noCgroups === undefined ? (whyNoBusybox() ?? false) : noCgroups

t.test('tasks in images, and an agent that is killed', { skip }, async t => {
  const cluster = new RealCluster()
  try {
    const images = join(cluster.dir, 'images')
    mkdirSync(images)
    const config = {
      Cmd: ['/bin/sleep', '1000'],
      Env: ['PATH=/bin:/opt', 'OF=image'],
      WorkingDir: '/work',
    }
    saveImage(images, 'team/app:1', { layers: [busyboxLayer()], config })
    await cluster.startMaster()
    const [port = 0] = await freePorts(1)
    const flags = [
      '--launcher=linux',
      '--isolation=filesystem/linux,docker/runtime,namespaces/pid',
      '--image_providers=docker',
      `--docker_registry=${images}`,
      `--cgroups_root=mesos_images_${process.pid}`,
    ]
    let agent = await cluster.restartAgent('agent', port, ...flags)
    await agent.says(/registered with the master/)
    const scheduler = new Batch(
      [
        'while [ ! -e go ]; do sleep 0.1; done; pwd; cat /wrote; ls /',
        'sleep 1000',
        'exit 3',
        'true',
        'true',
      ],
      { checkpoint: true, failover_timeout: 600 },
      { master: cluster.address, cpus: 1 },
    )
    const names = ['team/app:1', 'team/app:1', 'team/app:1', 'team/app:1', 'no/such:1']
    scheduler.waiting = scheduler.waiting.map((request, i) => ({
      ...request,
      ...(i === 0 && {
        command: { value: `echo mine >/wrote; cd $MESOS_SANDBOX; ${request.name}` },
      }),
      // As the image says, and asked about in its environment.
      ...(i === 1 && {
        command: { shell: false, environment: { variables: [{ name: 'OWN', value: 'task' }] } },
        health_check: {
          type: 'COMMAND' as const,
          delay_seconds: 0,
          interval_seconds: 0.2,
          consecutive_failures: 1000,
          command: {
            value: `[ "$OF $OWN $PATH" = "image task /bin:/opt" ] && [ ! -e $MESOS_SANDBOX/ill ]`,
          },
        },
      }),
      container: {
        type: 'MESOS' as const,
        mesos: { image: { type: 'DOCKER' as const, docker: { name: names[i]! } } },
      },
    }))
    await cluster.run(scheduler)
    await until(() => scheduler.count('TASK_RUNNING') === 2, 'two run', 30_000)
    await until(() => scheduler.count('TASK_FAILED') === 2, 'two have failed', 30_000)
    await until(() => scheduler.count('TASK_FINISHED') === 1, 'one has finished', 30_000)
    const health = (): boolean | undefined => scheduler.statuses.get('t1')?.at(-1)?.healthy
    await until(() => health() === true, 'it is found healthy', 30_000)
    const told = (id: string): string | undefined => scheduler.statuses.get(id)!.at(-1)!.message
    t.equal(told('t2'), 'Command exited with status 3')
    t.match(told('t4'), /there is no image 'no\/such:1' in/)
    const top = join(cluster.dir, 'agent')
    const containers = (): string[] => readdirSync(`${top}/provisioner/containers`)
    t.equal(containers().length, 2)
    t.notOk(existsSync('/wrote'))

    agent.kill('SIGKILL')
    await agent.exited
    // As of one that died while it made it.
    mkdirSync(`${top}/provisioner/containers/of-nobody/backends/overlay/rootfses/0`, {
      recursive: true,
    })
    agent = await cluster.restartAgent('agent', port, ...flags)
    await agent.says(/back with the master/, 30_000)
    t.equal(containers().length, 2, 'those of its containers, and no other')
    t.equal(scheduler.last('t0'), 'TASK_RUNNING', scheduler.told('t0'))
    const latest = `${top}/slaves/latest/frameworks`
    const sandboxOf = (id: string): string =>
      readdirSync(latest, { recursive: true })
        .map(String)
        .find(path => new RegExp(`executors/${id}/runs/[^/]{20,}$`).test(path))!
    writeFileSync(`${latest}/${sandboxOf('t1')}/ill`, '')
    await until(() => health() === false, 'the next agent asks too', 30_000)
    rmSync(`${latest}/${sandboxOf('t1')}/ill`)
    await until(() => health() === true, 'and in the same environment', 30_000)
    scheduler.kill({ value: 't1' })
    await until(() => scheduler.last('t1') === 'TASK_KILLED', 'one is killed', 30_000)
    const sandbox = sandboxOf('t0')
    writeFileSync(`${latest}/${sandbox}/go`, '')
    await until(() => scheduler.last('t0') === 'TASK_FINISHED', 'the other finishes', 30_000)
    const output = readFileSync(`${latest}/${sandbox}/stdout`, 'utf8').split('\n')
    t.strictSame(output.slice(0, 2), ['/mnt/mesos/sandbox', 'mine'])
    t.notOk(output.includes('usr'), 'the machine is not seen')
    await until(() => containers().length === 0, 'their root file systems are gone')
    await until(() => readdirSync(`${top}/provisioner/trash`).length === 0, 'for good')
    t.notMatch(readFileSync('/proc/self/mountinfo', 'utf8'), cluster.dir)
  } finally {
    t.same(await cluster.stop(), [], 'no process is left behind')
  }
})
