// Reads /proc/<pid>/net/dev: what went through a container's interfaces. Pure.

import type { ContainerStatistics } from '../containerizer/container.ts'

/** Columns, after the interface's name; see proc(5). */
const COLUMNS = [
  [0, 'net_rx_bytes'],
  [1, 'net_rx_packets'],
  [2, 'net_rx_errors'],
  [3, 'net_rx_dropped'],
  [8, 'net_tx_bytes'],
  [9, 'net_tx_packets'],
  [10, 'net_tx_errors'],
  [11, 'net_tx_dropped'],
] as const

/** Sums over these interfaces, added to `statistics`. */
export function addNetworkUsage(
  text: string,
  interfaces: ReadonlySet<string>,
  statistics: ContainerStatistics,
): void {
  for (const line of text.split('\n')) {
    const [, name, rest] = /^\s*([^\s:]+):\s*(.*)$/.exec(line) ?? []
    if (name === undefined || !interfaces.has(name)) continue
    const numbers = rest!.split(/\s+/).map(Number)
    for (const [at, field] of COLUMNS) {
      statistics[field] = (statistics[field] ?? 0) + (numbers[at] ?? 0)
    }
  }
}
