// The control groups of one container, as isolators see them.

/** The group of one container under one controller. Files have the names of the version in use. */
export interface Cgroup {
  write(file: string, value: string): void
  read(file: string): string
  /** The same, of a file that is read again and again as long as the container lives. */
  measure(file: string): string
}

export interface Cgroups {
  readonly version: 1 | 2
  has(controller: string): boolean
  of(containerId: string, controller: string): Cgroup
}

/** The value in a file of lines `key value`; undefined if it has no such line. */
export function keyed(text: string, key: string): number | undefined {
  for (const line of text.split('\n')) {
    if (line.startsWith(key) && line[key.length] === ' ') return Number(line.slice(key.length + 1))
  }
  return undefined
}
