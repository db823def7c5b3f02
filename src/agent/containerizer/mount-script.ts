// How a container's init mounts: the part of its script (linux-script.ts) that makes a mount namespace what mounts.ts says.
//
// The sandbox and an image may hold whatever a framework put there, and somebody may be changing a sandbox that is shared
// while this runs as root. So no path of theirs is ever given to mount(8): the script goes to its target part by part, after
// each step asks the kernel where it is (`cd -P` sets PWD to what getcwd(2) says), and mounts on `.`. What it stands in can
// be moved then, but not exchanged.
//
// A root file system is entered by pivot_root(8), after which the machine's is no longer there, not even for root. Programs of
// the machine that are run after that (umount, setpriv …) are in the container's /dev, with all that they need (toolbox.ts).

import type { Account, LaunchPlan, Root } from './container.ts'
import type { MountWords } from './mounts.ts'
import { SECRETS_FD } from './secrets.ts'

const WORDS_PER_MOUNT = 7

/** Where the old root is for a moment, below the container's /dev. */
export const OLD_ROOT = '.mesos/old'

/** What tells of the machine, or changes it. */
const HIDDEN = 'kcore keys key-users latency_stats timer_list timer_stats sched_debug'
const NOT_TO_BE_WRITTEN = 'bus fs irq sys sysrq-trigger'

const functions = (
  { mount, umount, mkdir, rm, chown, chmod, head, wc }: MountPrograms,
  owner: Account | undefined,
): string => `
enter() {
  cd -P "$1" || return 1
  at=\${PWD%/} rest=$2/
  while [ "$rest" ]; do
    part=\${rest%%/*} rest=\${rest#*/}
    [ "$part" ] || continue
    new=
    [ "$3" != make ] || [ -e "./$part" ] || { ${mkdir} "./$part" && new=yes; }
    cd -P "./$part" && at=$at/$part && [ "$PWD" = "$at" ] || return 1
${owner ? `    [ -z "$new" ] || ${chown} ${owner.uid}:${owner.gid} .\n` : ''}  done
}
over() {
  at=$PWD
  cd .. && cd -P "./\${at##*/}" && [ "$PWD" = "$at" ]
}
remount() {
  [ -z "$1" ] || ${mount} -c -o "remount,bind,$1" none "$2"
}
one() {
  case $1 in
  bind)
    enter "$2" "$3" make && command exec 5<. || return 1
    enter "$4" "$5" "$6" || return 1
    if [ "$7" ]; then
      ${mount} -c --bind /proc/self/fd/5 . && exec 5<&- && over && remount "$7" .
    else
      ${mount} -c --rbind /proc/self/fd/5 . && exec 5<&-
    fi ;;
  file)
    enter "$4" "\${5%/*}" "$6" || return 1
    name=./\${5##*/}
    [ ! -L "$name" ] || { [ "$6" = make ] && ${rm} "$name"; } || return 1
    [ "$6" != make ] || [ -e "$name" ] || { set -C; printf '' >"$name"; set +C; }
    ${mount} -c --bind "$2" "$name" && [ ! -L "$name" ] && [ "$name" -ef "$2" ] && remount "$7" "$name" ;;
  fs)
    enter "$4" "$5" "$6" && ${mount} -c -t "$2" -o "$7" "$2" . ;;
  overlay)
    cd -P "$2" && LIBMOUNT_FORCE_MOUNT2=always ${mount} -c -t overlay -o "$7" overlay "$4" ;;
  ram)
    ${mount} -c -t ramfs -o mode=0700,nodev,noexec,nosuid ramfs "$2" ;;
  secret)
    ( umask 077; ${head} -c "$7" <&${SECRETS_FD} >"$2" ) && [ "$(${wc} -c <"$2")" -eq "$7" ] || return 1
    { [ -z "$3" ] || ${chown} "$3" "$2"; } && ${chmod} 0400 "$2" ;;
  unram)
    ${umount} -c "$2" ;;
  mask)
    enter "$4" "$5" || return 1
    for name in ${HIDDEN}; do
      [ ! -e "$name" ] || ${mount} -c --bind /dev/null "$name" || return 1
    done
    for name in ${NOT_TO_BE_WRITTEN}; do
      [ ! -e "$name" ] || { ${mount} -c --bind "$name" "$name" && remount ro "$name"; } || return 1
    done ;;
  esac
}
`

/** Takes its words from the front of the script's arguments, as `mountArguments` gives them. */
const LOOP = `
mounts=$1; shift
while [ "$mounts" -gt 0 ]; do
  one "$@" 2>&3 || never "'$5' could not be mounted; its standard error may tell why"
  shift ${WORDS_PER_MOUNT}
  mounts=$((mounts - 1))
done
`

/** What is safe as a word of a script: paths of the machine's programs. They are not looked for in PATH, which is the container's. */
export const PLAIN_PATH = /^[\w./+-]+$/

export interface MountPrograms {
  readonly chmod: string
  readonly chown: string
  readonly head: string
  readonly mkdir: string
  readonly mount: string
  readonly umount: string
  readonly pivotRoot: string
  readonly rm: string
  readonly wc: string
}

/** Empty if nothing is to be mounted. `never` of linux-script.ts has to be there, and what a container says goes to 3. */
export function mountScript(
  mounts: readonly MountWords[],
  { owner, root }: Pick<LaunchPlan, 'owner' | 'root'>,
  programs: MountPrograms,
): string {
  if (mounts.length === 0) return ''
  return (
    functions(programs, owner) + LOOP + (root ? entering(root, programs) : 'cd -P "$1"; shift\n')
  )
}

/**
 * Where a /proc shows processes of others, an image could name a working directory by the root of one of them: of that the kernel
 * does not give a path, and a shell says nothing.
 *
 * `-i`: else umount(8) asks a program of the image, /sbin/umount.<type>, to do it.
 */
function entering({ toolbox }: Root, { umount, pivotRoot }: MountPrograms): string {
  return `
{ cd -P "$1" && ${pivotRoot} . dev/${OLD_ROOT} && cd / && ${toolbox.command(umount).join(' ')} -i -c -l /dev/${OLD_ROOT}; } 2>&3 ||
  never 'its root file system could not be entered'
cd -P "$2" 2>&3 || never "its working directory, $2, is not there"
case $(pwd -P 2>&3) in /*) ;; *) never "its working directory, $2, is outside of its root file system" ;; esac
shift 2
`
}

/** The arguments that `mountScript` takes. */
export function mountArguments(
  mounts: readonly MountWords[],
  root: Root | undefined,
  sandbox: string,
): string[] {
  if (mounts.length === 0) return []
  const then = root ? [root.path, root.workingDirectory ?? root.sandbox] : [sandbox]
  return [String(mounts.length), ...mounts.flat(), ...then]
}
