// `st_mode` as ls(1) prints it.

const TYPE_MASK = 0o170000

const TYPES: Readonly<Record<number, string>> = {
  0o140000: 's',
  0o120000: 'l',
  0o100000: '-',
  0o060000: 'b',
  0o040000: 'd',
  0o020000: 'c',
  0o010000: 'p',
}

const SET_UID = 0o4000
const SET_GID = 0o2000
const STICKY = 0o1000

/** `-rw-r--r--`, `drwxrwxrwt`: ten characters. */
export function modeText(mode: number): string {
  const owner = triple(mode >> 6, mode & SET_UID, 's')
  const group = triple(mode >> 3, mode & SET_GID, 's')
  const others = triple(mode, mode & STICKY, 't')
  return `${TYPES[mode & TYPE_MASK] ?? '?'}${owner}${group}${others}`
}

function triple(bits: number, special: number, letter: string): string {
  const mayExecute = (bits & 1) !== 0
  const last = special ? (mayExecute ? letter : letter.toUpperCase()) : mayExecute ? 'x' : '-'
  return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${last}`
}
