// The flags that say where masters are, for all commands alike.

import { seconds } from '../base/duration.ts'
import { messageOf } from '../base/errors.ts'
import { flag } from '../base/flags.ts'
import { hidePassword, parseZooKeeperUrl } from '../zookeeper/url.ts'
import { DEFAULT_ZK_SESSION_TIMEOUT_MS, whyNoMasters } from './location.ts'

interface Group {
  readonly group?: string
}

/** `--master`, required. */
export const masterFlag = (options: Group = {}) =>
  flag.string({
    ...options,
    required: true,
    help: 'The master: host:port; without a port 5050. Of several masters all of them, with commas between, or where ZooKeeper knows who leads: zk://host:port/path. Also file:///path of a file with one of these.',
    example: '127.0.0.1:5050',
    validate: whyNoMasters,
    shown: hidePassword,
  })

export const zkSessionTimeoutFlag = (group: string) =>
  flag.duration({
    group,
    default: DEFAULT_ZK_SESSION_TIMEOUT_MS,
    min: seconds(1),
    help: 'How long ZooKeeper waits for a process that says nothing before it takes it for gone. ZooKeeper has limits of its own for it, by default 4secs to 40secs.',
  })

/** `--zk` and `--zk_session_timeout`. */
export const zkFlags = ({ help, group }: { readonly help: string; readonly group: string }) => ({
  zk: flag.string({
    group,
    help: `${help} The password is seen by whoever sees the command line; a file given as file:///path hides it.`,
    example: 'zk://10.0.0.1:2181,10.0.0.2:2181/mesos',
    validate: text => {
      try {
        parseZooKeeperUrl(text)
        return undefined
      } catch (error) {
        return messageOf(error)
      }
    },
    shown: hidePassword,
  }),
  zk_session_timeout: zkSessionTimeoutFlag(group),
})
