// cgroups/devices: which devices a container may use. Nodes of others it may make, but not open.

import type { Cgroups } from './cgroup.ts'
import type { Isolator } from './isolator.ts'

/** Mesos' own list: making any node, and what every program expects to find in /dev. */
export const DEFAULT_DEVICES: readonly string[] = [
  'c *:* m',
  'b *:* m',
  'c 5:1 rwm', // console
  'c 4:0 rwm', // tty0
  'c 4:1 rwm', // tty1
  'c 136:* rwm', // pts/*
  'c 5:2 rwm', // ptmx
  'c 10:200 rwm', // net/tun
  'c 1:3 rwm', // null
  'c 1:5 rwm', // zero
  'c 1:7 rwm', // full
  'c 5:0 rwm', // tty
  'c 1:9 rwm', // urandom
  'c 1:8 rwm', // random
]

/** Only v1 has the controller: v2 asks a program of the kernel's own language, which no file can hold. */
export function devicesIsolator(cgroups: Cgroups, allowed: readonly string[]): Isolator {
  return {
    name: 'cgroups/devices',
    controllers: ['devices'],
    prepare: ({ containerId }) => {
      const cgroup = cgroups.of(containerId, 'devices')
      cgroup.write('devices.deny', 'a')
      for (const entry of [...DEFAULT_DEVICES, ...allowed]) cgroup.write('devices.allow', entry)
    },
  }
}
