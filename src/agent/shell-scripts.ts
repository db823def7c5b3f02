// The two pieces of shell between an agent and its tasks: what each task's process runs first, and the guard that ends
// the tasks of an agent that died. /bin/sh is on every machine and needs a megabyte; a Node process needs forty.
//
// They share a protocol of two files. The *lease*, `<runtime_dir>/leases/<token>`, exists while the guard of that agent
// watches; below its first line are directories that the guard removes. A container's *pid file*, `<runtime_dir>/containers/<id>/pid`, holds in its first line the process id and in
// its second the process' start time (clock ticks since boot) and the token. A starting task writes its pid file and then
// looks for the lease; a guard that acts removes the lease and then looks for pid files. So whichever comes first, either
// the guard sees the task or the task sees that its agent is gone: none slips through between.
//
// A container under the linux launcher is on record before it exists: `<runtime_dir>/containers/<id>/cgroups` holds the
// token, then the directories of its control groups, the first of which has all of its processes. Its first process enters
// the groups and then looks for the lease.

/**
 * The variable that every process of a container inherits: `<token>/<container id>`. By it those are found whose
 * parents have ended and who left the container's session.
 */
export const CONTAINER_MARK = 'MESOS_CONTAINER_MARK'

/** Exit status of a task that could not be put on record, or whose agent had just died. */
export const PRELUDE_FAILED_STATUS = 125

/** Reads the fields of `/proc/<pid>/stat` after the command's name, which may contain anything: state ppid pgrp session … */
const STAT_FIELDS = `
stat_fields() {
  { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  fields=\${line##*) }
}`

/**
 * Arguments: pid file, lease, token, then the program and its arguments. Nothing of it is in the program's
 * environment. The field list ends at the 22nd, \`starttime\`; our own name, \`sh\`, has no blank.
 */
export const PRELUDE = `
IFS=' ' read -r _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ start _ </proc/self/stat
{ echo $$; echo "$start $3"; } >"$1" && [ -e "$2" ] || {
  echo "mesos: not started: its agent is gone, or $1 could not be written" >&2
  rm -f "$1"
  exit ${PRELUDE_FAILED_STATUS}
}
shift 3
`

/** Replaces the shell by the program. */
export const EXEC = `${PRELUDE}exec "$@"`

/** The same, first argument the program's own name for itself; only bash can do that. */
export const EXEC_WITH_NAME = `${PRELUDE}name=$1
shift
exec -a "$name" "$@"`

/**
 * Arguments: runtime directory, token. Waits until its standard input ends, which happens when the agent does, however
 * it does; then kills all containers of that token with everything in their sessions, below them, or with their mark
 * (which takes a grep; without one, what only the mark leads to is left). Processes are stopped while it looks, for what runs can have children faster than they can be counted.
 */
export const GUARD = `
trap '' HUP INT TERM
runtime=$1 token=$2
${STAT_FIELDS}
while IFS= read -r _; do :; done
roots=
{
  read -r _
  while IFS= read -r root; do roots="$roots $root"; done
} <"$runtime/leases/$token"
rm -f "$runtime/leases/$token"
kill_group() {
  [ -e "$1" ] || return 0
  if ! { echo 1 >"$1/cgroup.kill"; } 2>/dev/null; then
    echo FROZEN >"$1/freezer.state"
    for member in $(cat $(find "$1" -name cgroup.procs)); do kill -KILL "$member"; done
    echo THAWED >"$1/freezer.state"
  fi 2>/dev/null
}
# Removes the groups in a record, with those inside them. Fails while something is in them: what was killed is a moment in
# dying, and a task that was on its way in will find the lease gone.
remove_groups() {
  all= left=0
  {
    read -r _
    while IFS= read -r group; do all="$all $group"; done
  } <"$1"
  rmdir $all 2>/dev/null
  for group in $all; do
    [ -e "$group" ] || continue
    find "$group" -depth -type d -exec rmdir {} \\; 2>/dev/null
    [ -e "$group" ] && left=1
  done
  [ $left = 0 ]
}
ours=
for file in "$runtime"/containers/*/cgroups; do
  owner= home= tries=0
  { IFS= read -r owner; IFS= read -r home; } <"$file" 2>/dev/null
  [ "$owner" = "$token" ] || continue
  ours="$ours \${file%/cgroups}"
  kill_group "$home"
  until remove_groups "$file" || [ $tries -ge 50 ]; do
    sleep 0.1
    kill_group "$home"
    tries=$((tries + 1))
  done
done
for root in $roots; do rmdir "$root"; done 2>/dev/null
victims=' '
for file in "$runtime"/containers/*/pid; do
  pid= start= owner=
  { IFS= read -r pid; IFS=' ' read -r start owner; } <"$file" 2>/dev/null
  [ "$owner" = "$token" ] || continue
  rm -rf "\${file%/pid}"
  stat_fields "$pid" || { victims="$victims-$pid "; continue; }
  set -- $fields
  shift 19
  [ "$1" = "$start" ] || continue
  kill -STOP -- "-$pid"
  victims="$victims$pid "
done
found=1
while [ -n "$found" ]; do
  found=
  for file in $(grep -lsF "${CONTAINER_MARK}=$token/" /proc/[0-9]*/environ); do
    pid=\${file#/proc/}
    pid=\${pid%/environ}
    case $victims in *" $pid "*) continue ;; esac
    kill -STOP "$pid"
    victims="$victims$pid "
    found=1
  done
  for entry in /proc/[0-9]*; do
    pid=\${entry#/proc/}
    case $victims in *" $pid "*) continue ;; esac
    stat_fields "$pid" || continue
    set -- $fields
    case $victims in
    *" $2 "* | *" $4 "* | *" -$4 "*)
      kill -STOP "$pid"
      victims="$victims$pid "
      found=1
      ;;
    esac
  done
done 2>/dev/null
for pid in $victims; do
  case $pid in -*) continue ;; esac
  kill -KILL "$pid"
done 2>/dev/null
for record in $ours; do rm -rf "$record" || rm -rf "$record"; done 2>/dev/null
`
