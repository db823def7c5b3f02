// The agent's flags about what it fetches, in Mesos' spelling but for one that Mesos has not.

import { seconds } from '../../base/duration.ts'
import { defineFlags, type FlagValues, flag } from '../../base/flags.ts'

const group = 'Fetcher'
const GB = 2 ** 30

export const fetcherFlags = defineFlags({
  fetcher_cache_dir: flag.path({
    group,
    defaultText: 'fetch in the work directory',
    example: '/var/cache/mesos',
    help: 'Directory of what is fetched, while it is, and of what is kept for others (CommandInfo.URI.cache).',
  }),
  fetcher_cache_size: flag.bytes({
    group,
    default: 2 * GB,
    min: 0,
    help: 'How much is kept for others at most; what was not used for the longest time goes first.',
  }),
  fetcher_stall_timeout: flag.duration({
    group,
    default: seconds(60),
    min: 1,
    help: 'A download that makes no progress for so long has failed.',
  }),
  fetcher_size_limit: flag.bytes({
    group,
    default: 10 * GB,
    min: 1,
    help: 'How large one download, and what one task unpacks, may be.',
  }),
  frameworks_home: flag.path({
    group,
    help: 'What relative URIs are relative to; absent: they are refused.',
  }),
})

export type FetcherFlags = FlagValues<typeof fetcherFlags>
