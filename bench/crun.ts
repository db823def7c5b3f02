// crun as a yardstick: containers with the same limits and namespaces as ours, started one after the other or several at a
// time by a shell, which costs less than any program that would do it.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'
import { missingCommands } from './installed.ts'
import type { Scope } from './scope.ts'

/** Why it cannot be measured on this machine; undefined if it can. */
export function crunMissing(): string | undefined {
  if (process.geteuid?.() !== 0) return 'containers need root'
  return missingCommands(['crun', 'unshare'], ['crun', 'util-linux'])
}

const LIMITS = {
  memory: { limit: 64 * 2 ** 20 },
  cpu: { quota: 50_000, period: 100_000, shares: 512 },
  pids: { limit: 4096 },
}

const BUNDLE = {
  ociVersion: '1.0.0',
  process: {
    terminal: false,
    user: { uid: 0, gid: 0 },
    args: ['/bin/true'],
    env: ['PATH=/usr/bin:/bin'],
    cwd: '/',
  },
  root: { path: 'root', readonly: false },
  mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
  linux: { namespaces: [{ type: 'pid' }, { type: 'mount' }], resources: LIMITS },
}

/** Reads how many to run, and how many of them at a time; answers `done` or `failed`. */
const RUNNER = `
# crun refuses machines with a hierarchy of v2 beside those of v1, if that has a controller.
umount /sys/fs/cgroup/unified 2>/dev/null
n=0
while read -r count width; do
  verdict=done
  while [ "$count" -gt 0 ]; do
    i=0
    while [ "$i" -lt "$width" ] && [ "$count" -gt 0 ]; do
      n=$((n + 1)) i=$((i + 1)) count=$((count - 1))
      if [ "$width" -eq 1 ]; then crun --cgroup-manager=cgroupfs run "bench-$$-$n" || verdict=failed
      else crun --cgroup-manager=cgroupfs run "bench-$$-$n" &
      fi
    done
    wait
  done
  echo "$verdict"
done
`

/** A root file system with one program, and what that needs: crun does not run in the machine's. */
function makeRoot(root: string): void {
  for (const name of ['proc', 'dev', 'sys', 'etc']) mkdirSync(join(root, name), { recursive: true })
  const libraries = execFileSync('ldd', ['/bin/true'], { encoding: 'utf8' }).match(/\/\S+/g) ?? []
  for (const path of ['/bin/true', ...libraries]) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    copyFileSync(path, join(root, path))
  }
}

export interface Crun {
  /** Runs so many containers to their ends, `width` at a time. Returns the seconds it took. */
  run(count: number, width: number): Promise<number>
}

export function openCrun(scope: Scope): Crun {
  const bundle = join(scope.temporaryFolder(), 'bundle')
  makeRoot(join(bundle, 'root'))
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(BUNDLE))
  const shell = scope.start('unshare', ['--mount', 'sh', '-c', RUNNER], {
    cwd: bundle,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const lines = createInterface({ input: shell.stdout! })
  return {
    run: async (count, width) => {
      const answer = once(lines, 'line')
      const from = performance.now()
      ;(shell.stdin as Writable).write(`${count} ${width}\n`)
      const [verdict] = await answer
      if (verdict !== 'done') throw new Error('crun did not run its container')
      return (performance.now() - from) / 1000
    },
  }
}
