// mesos-log members: who keeps the log together, of a cluster that runs; adds and removes masters, one at a time.

import * as v from 'valibot'
import { UserError } from '../../base/errors.ts'
import { defineFlags, flag } from '../../base/flags.ts'
import { messageOf } from '../../base/errors.ts'
import { whyNoMasters } from '../../detector/location.ts'
import { ChangeResult } from '../../log/log.ts'
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
})

const Members = v.object({
  members: v.array(v.string()),
  quorum: v.number(),
  version: v.number(),
})

const PAUSE_MS = 500

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
  run: async ({ master, add, remove, json }) => {
    const change = add === undefined ? remove && { remove } : { add }
    if (change) await changeMembers(master, change)
    const url = `http://${await leaderAddress(master)}/replicated-log/members`
    const found = await request(url, Members)
    if (json) process.stdout.write(`${JSON.stringify(found)}\n`)
    else for (const member of found.members) process.stdout.write(`${member}\n`)
    if (!json) process.stderr.write(`quorum: ${found.quorum} of ${found.members.length}\n`)
    return 0
  },
}

async function changeMembers(master: string, change: object): Promise<void> {
  for (let told = ''; ; await new Promise(resolve => setTimeout(resolve, PAUSE_MS))) {
    const url = `http://${await leaderAddress(master)}/replicated-log/members`
    const result = await request(url, ChangeResult, change)
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

async function request<T>(
  url: string,
  schema: v.GenericSchema<unknown, T>,
  body?: object,
): Promise<T> {
  const options = body && {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }
  try {
    const answer = await fetch(url, options)
    const said = await answer.text()
    if (!answer.ok) throw new Error(`status ${answer.status}: ${said.trim()}`)
    return v.parse(schema, JSON.parse(said))
  } catch (error) {
    throw new UserError('unreachable', `${url} does not answer as it should: ${messageOf(error)}`)
  }
}
