import t from 'tap'
import {
  rolesOf,
  validateChange,
  validateFramework,
  validateId,
} from '../../src/master/validation.ts'

const rules = { rootSubmissions: true }
const multi = { capabilities: [{ type: 'MULTI_ROLE' }] }
const framework = (more: object = {}) => ({ name: 'f', user: 'u', ...more })

t.test('ids are good names of directories', async t => {
  for (const id of ['a', 'A.b-c_d', ' blanks are fine ', 'ünïcödé', '...', 'x'.repeat(255)]) {
    t.equal(validateId(id), undefined, id)
  }
  t.equal(validateId(''), 'ID must not be empty')
  t.equal(validateId('x'.repeat(256)), 'ID must not be greater than 255 characters')
  t.equal(validateId('ü'.repeat(128)), 'ID must not be greater than 255 characters', 'in bytes')
  for (const id of ['.', '..']) t.equal(validateId(id), `'${id}' is disallowed`)
  for (const id of ['a/b', 'a\\b', 'a\nb', 'a\u0000b', 'a\u007fb']) {
    t.equal(validateId(id), `'${id}' contains invalid characters`)
  }
})

t.test('the roles of a framework, said in either way', async t => {
  t.same(rolesOf(framework()), ['*'])
  t.same(rolesOf(framework({ role: 'a' })), ['a'])
  t.same(rolesOf(framework({ ...multi, roles: ['a', 'b'] })), ['a', 'b'])
  t.same(rolesOf(framework(multi)), [])
})

t.test('what a framework may not say of itself', async t => {
  const cases: [object, string | undefined][] = [
    [{}, undefined],
    [{ ...multi, roles: ['a', 'b/c'] }, undefined],
    [{ id: { value: '' } }, undefined],
    [{ failover_timeout: -1 }, undefined],
    [
      { ...multi, role: 'a' },
      "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
    ],
    [
      { roles: ['a'] },
      "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable",
    ],
    [
      { labels: { labels: [{ key: 'k', value: 'x'.repeat(300_000) }] } },
      'FrameworkInfo is described in 300049 bytes, and 256KB are the most',
    ],
    [{ ...multi, roles: ['a', 'b', 'a'] }, "'FrameworkInfo.roles' contains duplicate items: {a}"],
    [
      { ...multi, roles: ['/bad'] },
      "'FrameworkInfo.roles' contains invalid role: Role '/bad' cannot start with a slash",
    ],
    [
      { role: 'a b' },
      "'FrameworkInfo.role' is not a valid role: Role component 'a b' is invalid because it contains backspace or whitespace",
    ],
    [{ id: { value: 'a/b' } }, "'FrameworkInfo.id' is invalid: 'a/b' contains invalid characters"],
    [{ failover_timeout: 1e10 }, 'The framework failover_timeout (10000000000) is invalid'],
  ]
  for (const [info, error] of cases) t.equal(validateFramework(framework(info), [], rules), error)
})

t.test("suppressed roles are the framework's own", async t => {
  const info = framework({ ...multi, roles: ['a', 'b'] })
  t.equal(validateFramework(info, ['a'], rules), undefined)
  t.equal(
    validateFramework(info, ['a', 'c', 'd'], rules),
    'Suppressed roles {c, d} are not contained in the set of roles',
  )
})

t.test('root needs --root_submissions', async t => {
  const root = framework({ user: 'root' })
  t.equal(validateFramework(root, [], rules), undefined)
  t.match(validateFramework(root, [], { rootSubmissions: false }), /root_submissions/)
})

t.test('what cannot be changed: of a subscription the principal, of an update more', async t => {
  const before = framework({ principal: 'p' })
  t.match(validateChange(before, framework(), { strict: false }), /principal/)
  t.equal(
    validateChange(before, framework({ principal: 'p', user: 'x' }), { strict: false }),
    undefined,
  )
  t.equal(
    validateChange(before, framework({ principal: 'p', name: 'x', checkpoint: false }), {
      strict: true,
    }),
    undefined,
  )
  t.equal(
    validateChange(before, framework({ principal: 'p', user: 'x' }), { strict: true }),
    "Updating 'FrameworkInfo.user' is unsupported; attempted to update from 'u' to 'x'",
  )
  t.equal(
    validateChange(before, framework({ principal: 'p', checkpoint: true }), { strict: true }),
    "Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from 'false' to 'true'",
  )
})
