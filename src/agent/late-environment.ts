// Of a program's environment: what must wait until nothing privileged runs before the program any more.

/**
 * Variables by which the system's loader, the C library or a shell can be told to run something else: a function of bash's may have the
 * name of any command, and LANGUAGE may lead to a file of formats for printf(3). What script(1) runs, and what the script uses itself: a
 * shell passes on a variable that it was given, with what it has become.
 */
const MEDDLING =
  /^(LD_.*|GLIBC_TUNABLES|GCONV_PATH|LOCPATH|NLSPATH|MALLOC_.*|LANG|LANGUAGE|LC_.*|OUTPUT_CHARSET|TZ|TZDIR|LIB(MOUNT|BLKID)_.*|BLKID_.*|BASH_.*|BASHOPTS|SHELLOPTS|PS4|ENV|IFS|CDPATH|(OLD)?PWD|SHELL|status|lease|adj|groups|mounts|at|rest|part|new|name)$/

/**
 * The environment of the init and of what takes privileges away, and the front of a command line that gives the program the
 * rest of its own: nothing that a framework chose is run before the program is as unprivileged as it will be.
 */
export function splitEnvironment(env: Readonly<Record<string, string>>): {
  readonly initially: Record<string, string>
  readonly front: readonly string[]
} {
  const all = Object.entries(env)
  const late = all
    .filter(([name]) => MEDDLING.test(name))
    .map(([name, value]) => `${name}=${value}`)
  return {
    initially: Object.fromEntries(all.filter(([name]) => !MEDDLING.test(name))),
    front: late.length === 0 ? [] : ['/usr/bin/env', ...late],
  }
}
