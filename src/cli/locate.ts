// From a `--master` of any kind to what a detector needs. ZooKeeper's library is loaded only if it is used.

import { locateMasters, type Masters } from '../detector/location.ts'

export function locate(text: string, sessionTimeoutMs?: number): Promise<Masters> {
  const loadOpen = async () => (await import('../zookeeper/library.ts')).openSession
  return locateMasters(text, loadOpen, sessionTimeoutMs)
}
