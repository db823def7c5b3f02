// Makes programs of the machine deaf to the root file system that they are run in. They still are root's when they run there, and
// an image could have a /etc/ld.so.preload for their loader, modules for the C library by its /etc/nsswitch.conf, and in its
// /etc/passwd an account '65534' that is root.
//
// So in the copies of them, of their loader and of their libraries (toolbox.ts) the paths of such files are that of /dev/null, which is
// empty and the toolbox's own. And where the loader looks for libraries that it was not told of, it looks in /dev: nothing
// is found there. All that is in the copies keeps its place.

/** Files by which systems are set up, and a socket. */
const FILES: readonly string[] = [
  '/etc/ld.so.preload',
  '/etc/ld.so.cache',
  '/etc/ld-musl-',
  '/etc/nsswitch.conf',
  '/etc/passwd',
  '/etc/group',
  '/etc/shadow',
  '/etc/selinux/config',
  '/etc/mtab',
  '/etc/fstab',
  '/run/mount/utab',
  '/var/run/nscd/socket',
  '/run/nscd/socket',
]
const NOTHING = '/dev/null'
/** Of a path that is copied, compilers keep the parts that fit into a register. */
const REGISTER = 16

/** Directories of libraries, as a loader has them: with a slash at the end. */
const LIBRARIES = /\/(?:usr\/)?(?:local\/)?lib(?:x?32|64)?\/(?:[\w.-]+\/)*\0/g
const DEV = '/dev'

/** A copy of a program, loader or library. */
export function closed(program: Buffer): Buffer {
  let text = program.toString('latin1')
  for (const file of FILES) {
    const beginning = file.slice(0, REGISTER)
    text = text.replaceAll(beginning, NOTHING.padEnd(beginning.length, '\0'))
  }
  text = text.replace(LIBRARIES, path => `${DEV.padEnd(path.length - 1, '/')}\0`)
  return Buffer.from(text, 'latin1')
}
