// mesos-log members: who keeps the log together, of a cluster that runs; adds and removes masters, one at a time.

import { pid } from '../../actors/pid.ts'
import { AskError, type Ref } from '../../actors/protocol.ts'
import { systemRuntime } from '../../actors/system-runtime.ts'
import { trustFlags } from '../../actors/trust-flags.ts'
import { seconds } from '../../base/duration.ts'
import { silentLogger } from '../../base/log.ts'
import { UserError } from '../../base/errors.ts'
import { defineFlags, flag } from '../../base/flags.ts'
import { whyNoMasters } from '../../detector/location.ts'
import { LOG_MEMBERSHIP_ID, LogMembershipService } from '../../messages/log-membership.ts'
import { masterAddresses } from '../../messages/master-address.ts'
import { leaderAddress } from '../leader.ts'
import type { Command } from '../main.ts'

const address = (help: string) =>
  flag.string({
    help,
    example: '10.0.0.4:5050',
    validate: text =>
      masterAddresses(text)?.length === 1 ? undefined : 'expected the host:port of one master',
  })

const flags = defineFlags({
  master: flag.string({
    help: 'host:port; of several masters all, with commas between.',
    default: '127.0.0.1:5050',
    validate: whyNoMasters,
  }),
  add: address(
    'A master that is to be one more. It runs already, with an empty work_dir and with itself in its list --masters. It is caught up before it is added.',
  ),
  remove: address('A master that is to be one no more. It may be dead. The leading one cannot be.'),
  json: flag.boolean({ help: 'Print JSON.', default: false }),
  ...trustFlags,
})

const PAUSE_MS = 500
const LIMIT_MS = seconds(10)
const CHANGE_LIMIT_MS = seconds(40)

export const membersCommand: Command<typeof flags> = {
  name: 'mesos-log members',
  summary:
    'Prints which masters keep the registry together, with --add or --remove after that was changed. A quorum is more than half of them. A master is replaced by adding the new one and removing the old one.',
  flags,
  examples: [
    'mesos-log members --master=10.0.0.1:5050,10.0.0.2:5050,10.0.0.3:5050',
    'mesos-log members --add=10.0.0.4:5050',
    'mesos-log members --remove=10.0.0.1:5050',
  ],
  check: ({ add, remove }) =>
    add !== undefined && remove !== undefined
      ? ["Flags '--add' and '--remove': one change at a time; first add, then remove."]
      : [],
  run: async ({ master, add, remove, json, cluster_secret: secret }) => {
    const change = add === undefined ? remove && { remove } : { add }
    const trust = secret === undefined ? {} : { trust: { secret } }
    const runtime = await systemRuntime({ log: silentLogger, ...trust })
    try {
      const leader = async () =>
        runtime.ref(LogMembershipService, pid(LOG_MEMBERSHIP_ID, await leaderAddress(master)))
      if (change) {
        await changeMembers(leader, change)
        process.stderr.write(
          'Start all masters with these in --masters from now on: one that has lost its disk knows the others only from there.\n',
        )
      }
      const found = await (await leader()).ask('members', {}, { timeoutMs: LIMIT_MS })
      if (json) process.stdout.write(`${JSON.stringify(found)}\n`)
      else for (const member of found.members) process.stdout.write(`${member}\n`)
      if (!json) process.stderr.write(`quorum: ${found.quorum} of ${found.members.length}\n`)
      return 0
    } catch (error) {
      if (!(error instanceof AskError)) throw error
      throw new UserError('unreachable', `The leading master of ${master}: ${error.message}`)
    } finally {
      await runtime.shutdown()
    }
  },
}

async function changeMembers(
  leader: () => Promise<Ref<typeof LogMembershipService.entries>>,
  change: { add: string } | { remove: string },
): Promise<void> {
  for (let told = ''; ; await new Promise(resolve => setTimeout(resolve, PAUSE_MS))) {
    const result = await (await leader()).ask('change', change, { timeoutMs: CHANGE_LIMIT_MS })
    switch (result.type) {
      case 'changed':
        return
      case 'refused':
        throw new UserError('conflict', result.why)
      case 'unknown':
        throw new UserError(
          'conflict',
          'The leading master lost its leadership on the way: the change may have been made, or not.',
          { hint: 'Look with "mesos-log members", and try again.' },
        )
      case 'catching up': {
        const now = `catching up: ${result.learnedBelow} of ${result.of} positions`
        if (now !== told) process.stderr.write(`${now}\n`)
        told = now
      }
    }
  }
}
