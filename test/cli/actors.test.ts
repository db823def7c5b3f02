import t from 'tap'
import { actorsTable, actorText, type ActorView } from '../../src/cli/actors-text.ts'

const at = (seconds: number): string => new Date(Date.UTC(2026, 0, 1, 12, 0, seconds)).toISOString()

const master: ActorView = {
  id: 'master',
  events: [
    { type: 'MESSAGE', name: 'agent/ping' },
    { type: 'TERMINATE' },
    { type: 'MESSAGE', name: 'agent/ping' },
  ],
  recent: [
    { type: 'DISPATCH', name: 'delay', count: 12, first: at(0), last: at(1) },
    {
      type: 'MESSAGE',
      name: 'x\u001b[2J',
      from: 'slave(1)@h:1',
      count: 1,
      first: at(2),
      last: at(2),
    },
  ],
}
const idle: ActorView = { id: 'files', events: [], recent: [] }

t.test('a list has a line for each actor', t => {
  t.equal(
    actorsTable([master, idle]),
    [
      'ID      WAITING  LAST          TYPE     COUNT  WHAT   FROM',
      'master  3        12:00:02.000  MESSAGE  1      x?[2J  slave(1)@h:1',
      'files   0        -',
      '',
    ].join('\n'),
  )
  t.end()
})

t.test('one actor is shown with all that is kept of it, and what waits', t => {
  t.equal(
    actorText(master),
    [
      'master: 3 waiting',
      '  2 × MESSAGE agent/ping',
      '  1 × TERMINATE',
      '',
      'LAST          TYPE      COUNT  WHAT   FROM',
      '12:00:01.000  DISPATCH  12     delay',
      '12:00:02.000  MESSAGE   1      x?[2J  slave(1)@h:1',
      '',
    ].join('\n'),
  )
  t.equal(actorText(idle), 'files: 0 waiting\n\nNothing was served yet.\n')
  t.end()
})
