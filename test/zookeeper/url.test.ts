// zk://…: what it says, what is wrong with it, and that nobody is shown the password. And members' names.

import fc from 'fast-check'
import t from 'tap'
import { UserError } from '../../src/base/errors.ts'
import { whyNoMasters } from '../../src/detector/location.ts'
import { memberNames } from '../../src/zookeeper/members.ts'
import { hidePassword, parseZooKeeperUrl } from '../../src/zookeeper/url.ts'

t.test('what it says', async t => {
  t.strictSame(parseZooKeeperUrl('zk://h1:2181,h2:2182/mesos'), {
    servers: ['h1:2181', 'h2:2182'],
    path: '/mesos',
  })
  t.strictSame(parseZooKeeperUrl('zk://ada:a:b@c@h1, h2/a/b/'), {
    servers: ['h1:2181', 'h2:2181'],
    path: '/a/b',
    credentials: { user: 'ada', password: 'a:b@c' },
  })
})

t.test('what is wrong with it', async t => {
  const wrong: [string, RegExp][] = [
    ['zk://h1:2181', /needs the path/],
    ['zk://h1:2181/', /'\/' itself is not supported/],
    ['zk:///mesos', /not a server/],
    ['zk://h1,,h2/mesos', /not a server/],
    ['zk://h1:0/mesos', /not a server/],
    ['zk://h1:70000/mesos', /not a server/],
    ['zk://ada@h1/mesos', /user:password/],
    ['zk://h1//mesos', /not the path of a node/],
    ['zk://h1/a/../b', /not the path of a node/],
    ['zk://h1/a\u0000b', /not the path of a node/],
    ['http://h1/mesos', /does not begin with zk:\/\//],
  ]
  for (const [text, why] of wrong) t.throws(() => parseZooKeeperUrl(text), { message: why }, text)
  for (const [text, why] of wrong.slice(0, -1)) t.match(whyNoMasters(text), why)
  t.equal(whyNoMasters('zk://h1/mesos'), undefined)
  t.equal(whyNoMasters('h1,h2:5051'), undefined)
  t.match(whyNoMasters('h1,h1'), /each once/)
})

t.test('any text is read or refused, and the password is not shown', async () => {
  const part = fc.string({ maxLength: 12 })
  fc.assert(
    fc.property(part, part, part, (user, host, path) => {
      const secret = 'S3cretS3cret'
      const text = `zk://${user}:${secret}@${host}/${path}`
      let said = user.includes('/') ? '' : hidePassword(text)
      try {
        parseZooKeeperUrl(text)
      } catch (error) {
        if (!(error instanceof UserError)) throw error
        said += error.message + (error.hint ?? '')
      }
      return !said.includes(secret)
    }),
    { examples: [['!//', '', '']] },
  )
})

t.test('members, the oldest first; whatever else is there is none', async t => {
  const names = [
    'json.info_0000000012',
    'log_replicas',
    'info_0000000003',
    '0000000007',
    'json.info_-2147483648',
    'json.info_12',
    'json.info_',
  ]
  t.strictSame(
    memberNames(names).map(({ name, label, sequence }) => [name, label, sequence]),
    [
      ['json.info_-2147483648', 'json.info', -2147483648],
      ['info_0000000003', 'info', 3],
      ['0000000007', undefined, 7],
      ['json.info_0000000012', 'json.info', 12],
    ],
  )
})
