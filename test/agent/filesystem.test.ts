// filesystem/linux and volumes: what containers see of file systems, and ways out that are tried.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { execFileSync, spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import t from 'tap'
import { emptyPlan } from '../../src/agent/containerizer/container.ts'
import { initCommand } from '../../src/agent/containerizer/linux-script.ts'
import { linkingOf } from '../../src/agent/containerizer/toolbox.ts'
import { normal } from '../../src/agent/containerizer/mount.ts'
import type { ContainerInfo } from '../../src/messages/container.ts'
import { place, skip } from './containers.ts'

type Volumes = NonNullable<ContainerInfo['volumes']>

const withVolumes = (...volumes: Volumes): { readonly container: ContainerInfo } => ({
  container: { type: 'MESOS', volumes },
})

const host = (path: string, container_path: string, mode: 'RO' | 'RW' = 'RW'): Volumes[number] => ({
  mode,
  container_path,
  source: { type: 'HOST_PATH', host_path: { path } },
})

/** A root file system with a few programs of the machine, and their libraries. */
function makeRoot(root: string): string {
  for (const name of ['bin', 'etc', 'data']) mkdirSync(`${root}/${name}`, { recursive: true })
  for (const program of ['sh', 'ls', 'cat', 'mkdir', 'touch', 'mknod', 'id', 'readlink', 'mount']) {
    const path = execFileSync('sh', ['-c', `readlink -f $(command -v ${program})`], {
      encoding: 'utf8',
    }).trim()
    copyFileSync(path, `${root}/bin/${program}`)
    const { loader, libraries } = linkingOf(execFileSync('ldd', [path], { encoding: 'utf8' }))
    for (const file of [loader!, ...libraries]) {
      mkdirSync(`${root}${dirname(file)}`, { recursive: true })
      copyFileSync(file, `${root}${file}`)
    }
  }
  return root
}

t.test('volumes of the machine and of the sandbox', skip, async t => {
  const { run, text, top } = await place(t, 'filesystem/linux')
  for (const name of ['shared', 'readable', 'seen']) mkdirSync(`${top}/${name}`)
  writeFileSync(`${top}/readable/file`, 'of the machine\n')
  writeFileSync(`${top}/one-file`, 'a file\n')
  const volumes = withVolumes(
    host(`${top}/shared`, 'in/the/box'),
    host(`${top}/readable`, `${top}/seen`, 'RO'),
    host(`${top}/one-file`, 'file', 'RO'),
    {
      mode: 'RW',
      container_path: 'again',
      source: { type: 'SANDBOX_PATH', sandbox_path: { type: 'SELF', path: 'made/here' } },
    },
  )
  const script = `echo written >in/the/box/file; cat ${top}/seen/file file
    touch ${top}/seen/x 2>&- || echo refused; touch file 2>&- || echo refused
    echo here >again/x; cat made/here/x`
  const ended = await run(script, volumes)
  t.strictSame(
    ended,
    { how: 'exited with status 0', whyNeverRan: undefined, limitation: undefined },
    text('stderr'),
  )
  t.equal(text('stdout'), 'of the machine\na file\nrefused\nrefused\nhere\n')
  t.equal(readFileSync(`${top}/shared/file`, 'utf8'), 'written\n')
  t.strictSame(readdirSync(`${top}/seen`), [], 'nothing is mounted outside of the container')
  t.strictSame(readdirSync(`${top}/box/in/the/box`), [])
})

t.test('what a volume cannot be is refused with its path', skip, async t => {
  const { run, top } = await place(t, 'filesystem/linux')
  const refused: [Volumes[number], RegExp][] = [
    [host('relative', 'x'), /host path 'relative' of a volume is not absolute/],
    [host(`${top}/none`, 'x'), /host path '.*none' of a volume does not exist/],
    [host(top, '../x'), /path '\.\.\/x' of a volume contains '\.\.'/],
    [host(top, 'x/../../y'), /contains '\.\.'/],
    [host(top, '.'), /path '\.' of a volume is the whole of it/],
    [host(top, '/'), /is the whole of it/],
    [host(top, `${top}/no-such`), /the machine has no directory '.*no-such'/],
    [
      {
        mode: 'RW',
        container_path: 'x',
        source: { type: 'SANDBOX_PATH', sandbox_path: { type: 'SELF', path: '../../x' } },
      },
      /contains '\.\.'/,
    ],
    [
      {
        mode: 'RW',
        container_path: 'x',
        source: { type: 'SANDBOX_PATH', sandbox_path: { type: 'PARENT', path: 'x' } },
      },
      /is of a parent, and the container has none/,
    ],
  ]
  for (const [volume, why] of refused) await t.rejects(run('true', withVolumes(volume)), why)
})

t.test('no volume takes the place of what the machine runs as root', skip, async t => {
  const { run, text, top } = await place(t, 'filesystem/linux')
  mkdirSync(`${top}/box/mine`)
  writeFileSync(`${top}/box/mine/setpriv`, '#!/bin/sh\nid -u\n', { mode: 0o755 })
  symlinkSync('/usr/bin', `${top}/programs`)
  const own = (container_path: string): Volumes[number] => ({
    mode: 'RW',
    container_path,
    source: { type: 'SANDBOX_PATH', sandbox_path: { type: 'SELF', path: 'mine' } },
  })
  for (const path of ['/usr/bin', '/bin', '/usr', '/etc', '/proc', `${top}/programs`]) {
    const refused = run('true', { ...withVolumes(own(path)), user: 'nobody' })
    await t.rejects(refused, /a volume may not be seen at '\/(usr|etc|proc|bin)/, path)
  }
  t.equal(text('stdout'), '')
  mkdirSync(`${top}/seen`)
  symlinkSync(`${top}/seen`, `${top}/way`)
  await run(`ls ${top}/seen`, withVolumes(own(`${top}/way`)))
  t.equal(text('stdout'), 'setpriv\n', text('stderr'))
})

t.test('links in a sandbox lead no mount astray', skip, async t => {
  const { run, text, top } = await place(t, 'filesystem/linux')
  mkdirSync(`${top}/source`)
  mkdirSync(`${top}/box/real`)
  symlinkSync(`${top}/source`, `${top}/box/link`)
  symlinkSync('/etc', `${top}/box/etc`)
  symlinkSync('/etc/passwd', `${top}/box/passwd`)
  writeFileSync(`${top}/one-file`, 'a file\n')
  for (const path of ['link', 'etc/deeper', 'link/x']) {
    const { whyNeverRan } = await run('true', withVolumes(host(`${top}/source`, path)))
    t.match(whyNeverRan, /could not be mounted/, path)
  }
  t.notOk(existsSync('/etc/deeper'))
  const source = {
    type: 'SANDBOX_PATH' as const,
    sandbox_path: { type: 'SELF' as const, path: 'etc' },
  }
  const led = await run('true', withVolumes({ mode: 'RW', container_path: 'x', source }))
  t.match(led.whyNeverRan, /could not be mounted/)
  // The link is in the way of a file, and the sandbox is the container's own.
  await run('cat passwd; head -c 5 /etc/passwd', withVolumes(host(`${top}/one-file`, 'passwd')))
  t.equal(text('stdout'), 'a file\nroot:')
})

t.test('a link that comes late leads no file astray', async t => {
  const top = t.testdir({ box: {}, file: 'x' })
  symlinkSync(`${top}/made`, `${top}/box/name`)
  const no = '/bin/true'
  const [program, ...args] = initCommand({
    sh: '/bin/sh',
    unshare: no,
    nsenter: no,
    setsid: no,
    plan: emptyPlan(),
    mounts: [['file', `${top}/file`, '', `${top}/box`, '/name', 'make', '']],
    // The link is removed, and then is there again.
    programs: {
      chmod: no,
      chown: no,
      head: no,
      mkdir: no,
      mount: '/bin/false',
      pivotRoot: no,
      rm: no,
      umount: no,
      wc: no,
    },
    sandbox: `${top}/box`,
    statusPath: `${top}/status`,
    leasePath: top,
    doors: [],
    front: [],
    argv: [no],
  })
  spawnSync(program, args)
  t.match(readFileSync(`${top}/status`, 'utf8'), /could not be mounted/)
  t.notOk(existsSync(`${top}/made`))
})

t.test('a root file system of its own', skip, async t => {
  const { run, text, top } = await place(
    t,
    'filesystem/linux,namespaces/pid,namespaces/ipc,linux/nnp,posix/rlimits',
  )
  const rootfs = makeRoot(`${top}/root`)
  mkdirSync(`${top}/shared`)
  writeFileSync(`${top}/one-file`, 'a file\n')
  // An image may hold anything.
  symlinkSync('/no/such', `${rootfs}/etc/resolv.conf`)
  const script = `ls -1 /; echo in the root >/data/x; cat /mnt/mesos/sandbox/given /vol/file /etc/file
    for each in null zero tty; do [ -c /dev/$each ] || echo no $each; done
    echo >/dev/null; [ -e /dev/ptmx ] && ls /dev/.mesos/old; readlink /proc/self/exe
    ls -d ${top} /proc/1/root/proc/sys /sys/kernel >&2; pwd; [ -s /etc/resolv.conf ]; ulimit -n
    touch /dev/x 2>&- || echo dev; touch /sys/x 2>&- || echo sys; echo 1 2>&- >/proc/sys/kernel/pid_max || echo proc`
  writeFileSync(`${top}/box/given`, 'from outside\n')
  writeFileSync(`${top}/shared/file`, 'shared\n')
  const volumes = withVolumes(
    host(`${top}/shared`, '/vol', 'RO'),
    host(`${top}/one-file`, '/etc/file'),
  )
  const rlimit_info = { rlimits: [{ type: 'RLMT_NOFILE' as const, soft: 50, hard: 60 }] }
  const container = {
    ...volumes.container,
    rlimit_info,
    linux_info: { ipc_mode: 'PRIVATE' as const },
  }
  const ended = await run(script, {
    container,
    rootfs,
    env: { PATH: '/bin', LD_LIBRARY_PATH: '/none', status: 'mine' },
  })
  t.equal(ended.whyNeverRan, undefined, text('stderr'))
  const lines = text('stdout').trim().split('\n')
  const top0 = lines.splice(0, lines.indexOf('from outside'))
  t.strictSame(
    top0.filter(name => !name.startsWith('lib') && name !== 'usr'),
    ['bin', 'data', 'dev', 'etc', 'mnt', 'proc', 'sys', 'vol'],
  )
  t.strictSame(lines, [
    'from outside',
    'shared',
    'a file',
    '/bin/readlink',
    '/mnt/mesos/sandbox',
    '50',
    'dev',
    'sys',
    'proc',
  ])
  t.match(text('stderr'), new RegExp(`cannot access '${top}'`))
  t.match(text('stderr'), /\/proc\/1\/root\/proc\/sys/)
  t.equal(readFileSync(`${rootfs}/data/x`, 'utf8'), 'in the root\n')
  t.strictSame(readdirSync(`${rootfs}/dev`), [], 'nothing is mounted outside of the container')
})

t.test('links in an image lead no mount astray', skip, async t => {
  const { run, top } = await place(t, 'filesystem/linux,namespaces/pid')
  const rootfs = makeRoot(`${top}/root`)
  mkdirSync(`${top}/shared`)
  symlinkSync(top, `${rootfs}/out`)
  const led = await run('true', {
    ...withVolumes(host(`${top}/shared`, '/out/made')),
    rootfs,
    env: { PATH: '/bin' },
  })
  t.match(led.whyNeverRan, /'\/out\/made' could not be mounted/)
  t.notOk(existsSync(`${top}/made`))
  rmdirSync(`${rootfs}/proc`)
  symlinkSync(top, `${rootfs}/proc`)
  const proc = await run('true', { rootfs, env: { PATH: '/bin' } })
  t.match(proc.whyNeverRan, /'\/proc' could not be mounted/)
})

t.test('paths of volumes, made normal', t => {
  t.equal(normal('a//b/./c/'), 'a/b/c')
  t.equal(normal('/a/b/'), '/a/b')
  t.throws(() => normal('a/..'), /contains/)
  t.throws(() => normal('./'), /whole/)
  t.throws(() => normal(''), /no path/)
  t.throws(() => normal('a\0b'), /no path/)
  t.end()
})

t.test('what ldd says of programs', t => {
  const glibc =
    '\tlinux-vdso.so.1 (0x7f)\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n\t/lib64/ld-linux.so.2 (0x7f)\n'
  t.strictSame(linkingOf(glibc), { loader: '/lib64/ld-linux.so.2', libraries: ['/lib/libc.so.6'] })
  const musl =
    '\t/lib/ld-musl-x86_64.so.1 (0x7f)\n\tlibc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f)\n'
  t.equal(linkingOf(musl).loader, '/lib/ld-musl-x86_64.so.1')
  t.end()
})
