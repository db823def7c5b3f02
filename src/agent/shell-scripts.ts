// The two pieces of shell between an agent and its tasks: what each task's process runs first, and the guard that ends
// the tasks of an agent that died. /bin/sh is on every machine and needs a megabyte; a Node process needs forty.
//
// They share a protocol of two files. The *lease*, `<runtime_dir>/leases/<token>.<life>`, exists while the guard of that agent
// watches; below its first line are directories that the guard removes. The token is that of all agents of a work directory, one
// after the other, the life each one's own. A container's *pid file*, `<runtime_dir>/containers/<id>/pid`, holds in its first line the process id and in
// its second the process' start time (clock ticks since boot) and the token. A starting task writes its pid file and then
// looks for the lease; a guard that acts removes the lease and then looks for pid files. So whichever comes first, either
// the guard sees the task or the task sees that its agent is gone: none slips through between.
//
// A container that survives its agent has a lease of its own, the file `survives` beside its pid file.
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
 * A program that outlives its agent: its shell stays, waits, and writes down how it ended, for nobody else may be there to see it.
 * Arguments: status file, then as `PRELUDE`. What asks the whole container to end must not end the one that has to tell of it.
 */
export const SUPERVISE = `status=$1
shift
${PRELUDE}exec 3>&2 2>"$status"
trap '' HUP INT TERM
( trap - HUP INT TERM; exec 2>&3 3>&-; exec "$@" )
echo $? >&2
`

/**
 * Arguments: runtime directory, token, lease, and how many seconds containers that survive may be without an agent. Waits until its
 * standard input ends, which happens when the agent does, however it does. Then it
 *
 * 1. kills all containers of that token that do not survive, with everything in their sessions, below them, or with their mark
 *    (which takes a grep; without one, what only the mark leads to is left). Processes are stopped while it looks, for what
 *    runs can have children faster than they can be counted;
 * 2. if some survive, says `done` and waits; then kills them as well.
 *
 * An agent that takes over ends it, wherever it is, and has 1. done again (agent-guard.ts). Without a fourth argument it does
 * 1. at once and nothing else.
 */
export const GUARD = `
trap '' HUP INT TERM PIPE
runtime=$1 token=$2 lease=$3 patience=$4 all=
${STAT_FIELDS}
self=$runtime/guards/$token
if [ -n "$patience" ]; then
  stat_fields $$
  set -- $fields
  shift 19
  # Who has taken over has removed the lease: this guard comes too late.
  [ -e "$lease" ] && echo "$$ $1" >"$self.$$" && mv "$self.$$" "$self" || exit 0
  echo watching
  while IFS= read -r _; do :; done
fi
roots=
{
  read -r _
  while IFS= read -r root; do roots="$roots $root"; done
} <"$lease"
rm -f "$lease"
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
  all_groups= left=0
  {
    read -r _
    while IFS= read -r group; do all_groups="$all_groups $group"; done
  } <"$1"
  rmdir $all_groups 2>/dev/null
  for group in $all_groups; do
    [ -e "$group" ] || continue
    find "$group" -depth -type d -exec rmdir {} \\; 2>/dev/null
    [ -e "$group" ] && left=1
  done
  [ $left = 0 ]
}
# Whether a container, given by its record, is to be left alone.
is_spared() { [ -z "$all" ] && [ -e "$1/survives" ] && spared=1; }
# The environments of processes with a mark of this token.
marked() {
  if [ -z "$spared" ]; then
    grep -lsF "${CONTAINER_MARK}=$token/" /proc/[0-9]*/environ
    return
  fi
  grep -aosE "${CONTAINER_MARK}=$token/[0-9A-Za-z._-]+" /proc/[0-9]*/environ |
    while IFS=: read -r file mark; do
      [ -e "$runtime/containers/\${mark##*/}/survives" ] || echo "$file"
    done
}
# Those that Docker runs (docker/docker-records.ts): one command for all. The names are the agent's own; nothing else is read as shell.
end_docker() {
  [ -e "$runtime/docker/$token/command" ] || return 0
  names= records=
  for file in "$runtime/docker/$token/containers"/*; do
    [ -e "$file" ] || continue
    is_spared "$runtime/containers/\${file##*/}" && continue
    names="$names mesos-\${file##*/}"
    records="$records $file"
  done
  [ -n "$names" ] || return 0
  set --
  while IFS= read -r word; do set -- "$@" "$word"; done <"$runtime/docker/$token/command"
  # A Docker that stands still must not hold up the end of an agent for ever.
  limit=$(command -v timeout) && set -- "$limit" -k 1 60 "$@"
  # Its exit status says also of one that was not there that it failed.
  "$@" rm --force --volumes -- $names >/dev/null 2>&1 </dev/null && rm -f $records
}
end_containers() {
  spared=
  if [ -n "$all" ]; then
    # What is just being started looks for this, as others for the lease.
    for file in $(grep -lsF "$token" "$runtime"/containers/*/survives); do rm -f "$file"; done
  fi
  ours=
  for file in "$runtime"/containers/*/cgroups; do
    owner= home= tries=0
    { IFS= read -r owner; IFS= read -r home; } <"$file" 2>/dev/null
    [ "$owner" = "$token" ] || continue
    is_spared "\${file%/cgroups}" && continue
    ours="$ours \${file%/cgroups}"
    kill_group "$home"
    until remove_groups "$file" || [ $tries -ge 50 ]; do
      sleep 0.1
      kill_group "$home"
      tries=$((tries + 1))
    done
  done
  victims=' '
  for file in "$runtime"/containers/*/pid; do
    pid= start= owner=
    { IFS= read -r pid; IFS=' ' read -r start owner; } <"$file" 2>/dev/null
    [ "$owner" = "$token" ] || continue
    is_spared "\${file%/pid}" && continue
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
    for file in $(marked); do
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
  end_docker
  for record in $ours; do rm -rf "$record" || rm -rf "$record"; done 2>/dev/null
}
end_containers
if [ -n "$patience" ]; then
  if [ -n "$spared" ]; then
    echo done
    sleep "$patience"
    all=1
    end_containers
  fi
  for root in $roots; do rmdir "$root"; done 2>/dev/null
  rm -f "$self"
fi
`
