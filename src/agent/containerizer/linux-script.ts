// What runs between the agent and a task under the linux launcher: one `/bin/sh` for each container, its *init*. It enters
// the container's control groups, then runs the program, waits, and writes down how it ended.
//
//   agent ─▶ unshare ─▶ sh (init) ─▶ the program          with a pid namespace: init is its process 1
//   agent ─▶ sh (init) ─▶ the program                     without
//   agent ─▶ nsenter ─▶ …                                 with a network of its own, which is there before
//
// It is the init that enters the groups, before there is anything else in the container: a process that is born in a group
// has never been outside. And it is the init that knows the exit status: it outlives an agent that dies, and the file it
// writes is found by the next one. As process 1 it also buries whom others left, and when it ends the kernel ends the rest.
//
// A shell says of a child that a signal ended only `128 + signal`, which a program may exit with as well. But of most
// signals it says so in words, too. Its standard error is therefore the status file itself: words before the number mean a
// signal. Of SIGINT and SIGPIPE it says nothing, and 130 and 141 are taken for what nearly always they are.

import { endedBySignal, exitedWith } from '../wait-status.ts'
import type { Joining, LaunchPlan } from './container.ts'
import { SECRETS_FD } from './secrets.ts'
import { mountArguments, type MountPrograms, mountScript } from './mount-script.ts'
import type { MountWords } from './mounts.ts'

/** What an init has open among `/proc/<pid>/fd` while its container is being made: nobody is to enter that yet. */
export const UNFINISHED_FD = 4

/** Of an init that could not start the program. */
const NEVER_STARTED_STATUS = 125
const NEVER_STARTED = 'not started: '

const SIGNAL_BASE = 128
const MAX_SIGNAL = 64
/** SIGINT and SIGPIPE. */
const SILENT_SIGNALS: readonly number[] = [2, 13]

/**
 * Arguments: status file, lease, score for the kernel's choice of whom to kill (may be empty), number of groups, a file
 * of each to write to, what is to be mounted, then the program and its arguments. The lease is looked for after the groups are entered, as a guard
 * removes it before it looks into the groups: whichever comes first, nothing slips through between. The file descriptor 4 is
 * open until all is made that the program finds there.
 */
function script(mounting: string): string {
  return `
status=$1 lease=$2 adj=$3 groups=$4
shift 4
exec 3>&2 4<&0 2>"$status"
never() {
  echo "${NEVER_STARTED}$1" >&2
  echo ${NEVER_STARTED_STATUS} >&2
  exit ${NEVER_STARTED_STATUS}
}
while [ "$groups" -gt 0 ]; do
  echo 0 >"$1" || never "it could not enter its control group, $1"
  shift
  groups=$((groups - 1))
done
[ -e "$lease" ] || never 'its agent is gone'
[ -z "$adj" ] || echo "$adj" >/proc/self/oom_score_adj || never 'its oom_score_adj could not be set'
${mounting}exec 4<&- ${SECRETS_FD}<&-
( exec 2>&3 3>&-; exec "$@" )
echo $? >&2
`
}

export interface InitOptions {
  readonly sh: string
  readonly unshare: string
  readonly nsenter: string
  readonly setsid: string
  readonly plan: LaunchPlan
  readonly mounts: readonly MountWords[]
  readonly programs: MountPrograms
  readonly sandbox: string
  readonly statusPath: string
  readonly leasePath: string
  /** Files of the control groups that take the process in. */
  readonly doors: readonly string[]
  /** What gives the program the rest of its environment, as `splitEnvironment` says; may be empty. */
  readonly front: readonly string[]
  /** The program and its arguments. */
  readonly argv: readonly string[]
}

/** The command line of a container's first process. */
export function initCommand(options: InitOptions): [string, ...string[]] {
  const {
    sh,
    unshare,
    nsenter,
    setsid,
    plan,
    mounts,
    programs,
    sandbox,
    statusPath,
    leasePath,
    doors,
    front,
    argv,
  } = options
  const { namespaces, root, network, oomScoreAdj, joins } = plan
  const init = [
    '-c',
    script(mountScript(mounts, plan, programs)),
    'sh',
    statusPath,
    leasePath,
    String(oomScoreAdj ?? ''),
    String(doors.length),
    ...doors,
    ...mountArguments(mounts, root, sandbox),
    // The init itself stays outside, but for the network: it has to write down how the program ended.
    ...(joins ? [nsenter, ...namespaceFlags(joins, root)] : []),
    ...inFront(
      // A session of its own takes over the terminal: the init is not to be stopped or ended from there, nor seen.
      plan.terminal ? { ...plan, prefix: [[setsid, '--ctty'], ...plan.prefix] } : plan,
      front,
    ),
    ...argv,
  ]
  const entered = (...words: [string, ...string[]]): [string, ...string[]] =>
    network ? [...network.entrance, ...words] : words
  if (namespaces.size === 0) return entered(sh, ...init)
  const flags: string[] = []
  if (namespaces.has('ipc')) flags.push('--ipc')
  // What the machine mounts later is seen inside, what is mounted inside is not seen outside.
  if (namespaces.has('mount')) flags.push('--mount', '--propagation', 'slave')
  // If unshare, which waits outside, should be killed, the container goes with it: nobody would hear of its end.
  if (namespaces.has('pid')) flags.push('--pid', '--fork', '--kill-child', '--mount-proc')
  return entered(unshare, ...flags, '--', sh, ...init)
}

/** Programs in front of a container's own, as they are called where it runs; `front` as `splitEnvironment` gives it. */
export function inFront({ prefix, root }: LaunchPlan, front: readonly string[]): string[] {
  const inside = ([program, ...args]: readonly string[]): readonly string[] => {
    if (program === undefined) return []
    return root ? [...root.toolbox.command(program), ...args] : [program, ...args]
  }
  return [...prefix, front].flatMap(inside)
}

/** Arguments: number of groups, a file of each to write to, then what goes into the namespaces. */
const ENTER = `
groups=$1
shift
while [ "$groups" -gt 0 ]; do
  echo 0 >"$1" || exit ${NEVER_STARTED_STATUS}
  shift
  groups=$((groups - 1))
done
exec "$@"
`

export interface EnterOptions {
  readonly sh: string
  readonly nsenter: string
  /** A process of the container. */
  readonly pid: number
  readonly namespaces: LaunchPlan['namespaces']
  readonly root: LaunchPlan['root']
  readonly network: LaunchPlan['network']
  readonly doors: readonly string[]
}

/**
 * What a command line begins with that is to run in a container: in its groups first, so that nothing that it does there is
 * outside of its limits, then in its namespaces and its root. nsenter(1) has all the agent's privileges while it is there; a
 * process of the container that has fewer cannot look at it.
 */
export function enterCommand(options: EnterOptions): string[] {
  const { sh, nsenter, pid, namespaces, root, network, doors } = options
  const flags = namespaceFlags({ pid, namespaces }, root, network)
  return [sh, '-c', ENTER, 'sh', String(doors.length), ...doors, nsenter, ...flags]
}

function namespaceFlags(
  { pid, namespaces }: Pick<Joining, 'pid' | 'namespaces'>,
  root: LaunchPlan['root'],
  network?: LaunchPlan['network'],
): string[] {
  const flags = [`--target=${pid}`, '--wd']
  if (namespaces.has('ipc')) flags.push('--ipc')
  if (namespaces.has('mount')) flags.push('--mount')
  if (namespaces.has('pid')) flags.push('--pid')
  if (network) flags.push('--net', '--uts')
  if (root) flags.push('--root')
  return [...flags, '--']
}

/** How a container's program ended, as its init wrote it down: a wait(2) status, or why it never ran. */
export type RecordedEnd = { readonly waitStatus: number } | { readonly whyNeverRan: string }

/** Reads a status file; undefined while nothing, or only a part, is written. */
export function parseEnd(text: string): RecordedEnd | undefined {
  const match = /^(?:(.*)\n)?(\d{1,3})\n$/s.exec(text)
  if (!match) return undefined
  const words = match[1] ?? ''
  const code = Number(match[2])
  const at = words.indexOf(NEVER_STARTED)
  if (code === NEVER_STARTED_STATUS && at !== -1) {
    return { whyNeverRan: words.slice(at + NEVER_STARTED.length).split('\n')[0]! }
  }
  const signal = code - SIGNAL_BASE
  const isSignal = signal > 0 && signal <= MAX_SIGNAL
  if (isSignal && (words !== '' || SILENT_SIGNALS.includes(signal))) {
    return { waitStatus: endedBySignal(signal) }
  }
  return { waitStatus: exitedWith(code) }
}
