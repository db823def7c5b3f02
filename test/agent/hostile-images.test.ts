// Images that mean harm: what of them runs, or is read, while a container's init or a program in front of its own still is root.

import { existsSync, mkdirSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { CommandInfo } from '../../src/messages/command.ts'
import type { ContainerInfo } from '../../src/messages/container.ts'
import { type Place, placeWith, skip } from './containers.ts'
import {
  busyboxLayer,
  directory,
  type Entry,
  saveImage,
  tarOf,
  whyNoBusybox,
} from './image-files.ts'

const whyNone = skip.skip === false ? (whyNoBusybox() ?? false) : skip.skip

function hostilePlace(t: Test, isolation: string): Promise<Place> {
  return placeWith(t, top => {
    mkdirSync(`${top}/images`)
    return [
      `--isolation=${isolation}`,
      '--image_providers=docker',
      `--docker_registry=${top}/images`,
    ]
  })
}

function save({ top }: Place, entries: readonly Entry[], config = {}): void {
  saveImage(`${top}/images`, 'evil:1', { layers: [busyboxLayer(), tarOf(entries)], config })
}

const evil = (more: Partial<ContainerInfo> = {}): { readonly container: ContainerInfo } => ({
  container: {
    type: 'MESOS',
    mesos: { image: { type: 'DOCKER', docker: { name: 'evil:1' } } },
    ...more,
  },
})

const shell = (value: string): { readonly command: CommandInfo } => ({ command: { value } })

const ISOLATION = 'filesystem/linux,docker/runtime,namespaces/pid'

/** Where umount(8) looks for somebody who knows better how to unmount what the machine's root is. */
const HELPERS = ['ext4', 'xfs', 'btrfs', 'overlay', 'tmpfs', 'zfs', 'f2fs']

t.test('nothing of an image helps to leave the root of the machine', { skip: whyNone }, async t => {
  const place = await hostilePlace(t, ISOLATION)
  save(place, [
    directory('sbin'),
    ...HELPERS.map(type => ({
      name: `sbin/umount.${type}`,
      data: '#!/bin/sh\nls /dev/.mesos/old >/tmp/seen\n',
    })),
  ])
  const { how } = await place.run('', { ...evil(), ...shell('cat /tmp/seen') })
  t.equal(how, 'exited with status 1', place.text('stderr'))
  t.equal(place.text('stdout'), '')
})

t.test('nothing of an image is loaded into programs of the machine', { skip: whyNone }, async t => {
  const place = await hostilePlace(t, ISOLATION)
  save(place, [{ name: 'etc/ld.so.preload', data: '/evil.so\n', mode: 0o644 }])
  const { how, whyNeverRan } = await place.run('', { ...evil(), ...shell('true'), user: 'nobody' })
  t.equal(whyNeverRan ?? how, 'exited with status 0')
  t.equal(place.text('stderr'), '')
})

t.test('an image does not say who a task runs as', { skip: whyNone }, async t => {
  const place = await hostilePlace(t, ISOLATION)
  save(place, [
    { name: 'etc/passwd', data: '65534:x:0:0::/:/bin/sh\n', mode: 0o644 },
    { name: 'etc/group', data: '65534:x:0:\n', mode: 0o644 },
  ])
  const ran = await place.run('', { ...evil(), ...shell('id -u; id -g; id -G'), user: 'nobody' })
  t.equal(ran.how, 'exited with status 0', place.text('stderr'))
  t.equal(place.text('stdout'), '65534\n65534\n65534\n')
})

t.test('no volume takes the place of programs of the machine', { skip: whyNone }, async t => {
  const place = await hostilePlace(t, `${ISOLATION},volume/sandbox_path`)
  save(place, [])
  mkdirSync(`${place.top}/box/v/.mesos/old`, { recursive: true })
  for (const path of ['/dev', '/dev/.mesos', '/dev/.mesos/lib', '/proc', '/proc/sys/kernel']) {
    const volumes = [{ container_path: path, host_path: 'v', mode: 'RW' as const }]
    await t.rejects(
      place.run('', { ...evil({ volumes }), ...shell('true'), user: 'nobody' }),
      new RegExp(`a volume may not be seen at '${path}'`),
    )
  }
  const volumes = [{ container_path: '/dev/shm/mine', host_path: 'v', mode: 'RW' as const }]
  const ran = await place.run('', { ...evil({ volumes }), ...shell('ls -a /dev/shm/mine') })
  t.match(place.text('stdout'), /\.mesos/, ran.whyNeverRan ?? '')
})

t.test('an image does not start a task outside of its root', { skip: whyNone }, async t => {
  const place = await hostilePlace(t, ISOLATION)
  save(place, [], { WorkingDir: `/proc/${process.pid}/root` })
  const linux_info = { share_pid_namespace: true }
  const ran = await place.run('', { ...evil({ linux_info }), ...shell('ls .'), user: 'nobody' })
  t.match(ran.whyNeverRan, /working directory/)
  t.equal(place.text('stdout'), '')
  t.ok(existsSync('/usr'))
})
