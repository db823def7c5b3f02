import * as fc from 'fast-check'
import t from 'tap'
import type { Resource } from '../../src/messages/resource.ts'
import {
  describe,
  describeResource,
  formatResources,
  stateAttributes,
  stateReservations,
  stateResources,
} from '../../src/resources/format.ts'
import {
  parseAgentResources,
  parseAttributes,
  parseResourceList,
  parseResources,
} from '../../src/resources/parse.ts'
import {
  addQuantities,
  covers,
  coversAny,
  parseAlternatives,
  parseQuantities,
  quantitiesOf,
  subtractQuantities,
} from '../../src/resources/quantities.ts'
import { toPreRefinement, toRefinement } from '../../src/resources/reservations.ts'
import { Resources } from '../../src/resources/resources.ts'
import { isStrictSubrole, validateRole, validateRoles } from '../../src/resources/roles.ts'
import { validateResource, validateResources } from '../../src/resources/validate.ts'

const cpus = (value: number, fields: Partial<Resource> = {}): Resource => ({
  name: 'cpus',
  type: 'SCALAR',
  scalar: { value },
  ...fields,
})

t.test('the text of flags', async t => {
  const text = 'cpus:24;gpus:2;mem:24576;ports:[21000-24000,30000-34000];bugs(debug_role):{a,b,c}'
  const resources = parseResources(text)
  t.equal(resources.get('mem'), 24576)
  t.same(resources.ports(), [
    { begin: 21000, end: 24000 },
    { begin: 30000, end: 34000 },
  ])
  t.same(resources.reserved('debug_role').items('bugs'), ['a', 'b', 'c'])
  t.ok(
    parseResources(
      ' cpus : 24 ;\n gpus:2;mem:24576; ports:[ 21000 - 24000, 30000-34000 ];;bugs (debug_role):{ a, b,c}',
    ).equals(resources),
  )
  t.ok(parseResources('').isEmpty)
  t.same(parseResourceList('gpus:0'), [{ name: 'gpus', type: 'SCALAR', scalar: { value: 0 } }])
  t.equal(parseResources('cpus:1;mem(*):2', { defaultRole: 'eng' }).reserved('eng').get('cpus'), 1)
  t.equal(parseResources('cpus:1;mem(*):2', { defaultRole: 'eng' }).unreserved().get('mem'), 2)
  const json = '[{"name":"cpus","type":"SCALAR","scalar":{"value":"2"},"role":"a"}]'
  t.ok(parseResources(json).equals(parseResources('cpus(a):2')), 'JSON, numbers as text too')
})

t.test('what is wrong with a text is said', async t => {
  const wrong: [string, RegExp][] = [
    ['cpus:-1', /'cpus:-1': '-1' is negative/],
    ['cpus:nan', /'nan' is not a finite number/],
    ['cpus:inf', /'inf' is not a finite number/],
    ['cpus:1e999', /too large/],
    ['cpus:four', /'four' is not a number/],
    ['cpus:1;mem', /'mem': missing or extra ':'/],
    ['cpus:1:2', /missing or extra ':'/],
    ['cpus:', /the value is missing/],
    [':1', /the name is missing/],
    ['cpus:1;cpus:2', /'cpus' is given twice/],
    ['cpus:0.0001', /'cpus' is invalid: Invalid scalar resource: value <= 0/],
    ['gpus:0.5', /must be an unsigned integer/],
    ['cpus(a:1', /mismatched parentheses/],
    ['cpus(/bad):1', /Role '\/bad' cannot start with a slash/],
    ['ports:[5-1]', /'5-1' begins after its end/],
    ['ports:[1-5', /'\]' is missing/],
    ['ports:[1-a]', /'1-a' is not a range/],
    ['ports:[5]', /'5' is not a range/],
    ['ports:[-1-5]', /not a range of non-negative/],
    ['ports:[1-99999999999999999999]', /not a range/],
    ['ports:[1-5,3-8]', /overlapping ranges/],
    ['disks:{a,}', /not a set/],
    ['disks:{a', /'}' is missing/],
    ['disks:{a,a}', /duplicated elements/],
    ['[{', /not JSON/],
    ['[{"name":"cpus"}]', /at 0\.type/],
    ['[{"name":"x","type":"TEXT","text":{"value":"y"}}]', /Unsupported resource type/],
  ]
  for (const [text, message] of wrong) {
    t.throws(
      () => parseResources(text),
      { name: 'UserError', code: 'invalid_value', message },
      text,
    )
  }
  t.throws(() => parseAgentResources('x:1;x(a):[1-2]'), /same name \('x'\) but different types/)
  for (const [resource, message] of [
    [cpus(1, { revocable: {} }), /Revocable resources cannot be specified/],
    [cpus(1, { role: 'a', reservation: {} }), /Dynamic reservations cannot be specified/],
    [
      { name: 'disk', type: 'SCALAR', scalar: { value: 1 }, disk: { persistence: { id: 'v' } } },
      /Persistent volumes cannot/,
    ],
  ] as const) {
    t.throws(() => parseAgentResources(JSON.stringify([resource])), message)
  }
  t.equal(parseAgentResources('cpus:1;cpus(a):2').length, 2)
})

t.test('what is written is read again', async t => {
  const names = fc.constantFrom('cpus', 'mem', 'odd name', 'a:b')
  const stack = fc.constantFrom<NonNullable<Resource['reservations']>>(
    [],
    [{ type: 'STATIC', role: 'eng' }],
    [{ type: 'DYNAMIC', role: 'eng', principal: 'p' }],
  )
  const resource = fc.oneof(
    fc.tuple(names, fc.integer({ min: 1, max: 10 ** 12 }), stack).map(
      ([name, milli, reservations]): Resource => ({
        name,
        type: 'SCALAR',
        scalar: { value: milli / 1000 },
        reservations,
      }),
    ),
    fc.tuple(fc.nat(9), fc.nat(9), stack).map(
      ([begin, length, reservations]): Resource => ({
        name: 'ports',
        type: 'RANGES',
        ranges: { range: [{ begin, end: begin + length }] },
        reservations,
      }),
    ),
    fc.tuple(fc.uniqueArray(fc.string({ maxLength: 3 })), stack).map(
      ([item, reservations]): Resource => ({
        name: 'things',
        type: 'SET',
        set: { item },
        reservations,
      }),
    ),
  )
  fc.assert(
    fc.property(fc.array(resource), list => {
      const resources = Resources.of(list)
      t.ok(parseResources(formatResources(resources)).equals(resources), formatResources(resources))
    }),
  )
  t.equal(
    formatResources(parseResources('cpus:1;ports(a):[1-2, 5-6];d:{x,y}')),
    'cpus:1;ports(a):[1-2, 5-6];d:{x, y}',
  )
})

t.test('attributes', async t => {
  const attributes = parseAttributes('rack:r1;level:10;ports:[1-5];os:centos:5\nneg:-1x')
  t.same(attributes, [
    { name: 'rack', type: 'TEXT', text: { value: 'r1' } },
    { name: 'level', type: 'SCALAR', scalar: { value: 10 } },
    { name: 'ports', type: 'RANGES', ranges: { range: [{ begin: 1, end: 5 }] } },
    { name: 'os', type: 'TEXT', text: { value: 'centos:5' } },
    { name: 'neg', type: 'TEXT', text: { value: '-1x' } },
  ])
  t.same(stateAttributes(attributes), {
    rack: 'r1',
    level: 10,
    ports: '[1-5]',
    os: 'centos:5',
    neg: '-1x',
  })
  t.throws(() => parseAttributes('rack'), /missing ':'/)
  t.throws(() => parseAttributes(':x'), /the name is missing/)
  t.throws(() => parseAttributes('a:{b}'), /cannot be a set/)
})

t.test('the JSON of /state', async t => {
  const resources = parseResources('cpus:1.5;cpus(eng):2;mem:64;ports:[31000-32000];s:{b,a}').add(
    Resources.of([cpus(3, { revocable: {} })]),
  )
  t.same(stateResources(resources), {
    cpus: 3.5,
    disk: 0,
    gpus: 0,
    mem: 64,
    ports: '[31000-32000]',
    s: '{a, b}',
    cpus_revocable: 3,
  })
  t.same(stateReservations(resources), { eng: { cpus: 2, disk: 0, gpus: 0, mem: 0 } })
  t.same(stateResources(Resources.empty), { cpus: 0, disk: 0, gpus: 0, mem: 0 })
})

t.test('text for people', async t => {
  const reservations: Resource['reservations'] = [
    { type: 'DYNAMIC', role: 'a', principal: 'p', labels: { labels: [{ key: 'k', value: 'v' }] } },
  ]
  t.equal(
    describe(
      Resources.of([
        cpus(1, { allocation_info: { role: 'a' }, reservations }),
        { ...cpus(2), name: 'mem' },
      ]),
    ),
    'cpus(allocated: a)(reservations: [(DYNAMIC,a,p,{k: v})]):1; mem:2',
  )
  const volume = { mode: 'RW' as const, container_path: 'data', host_path: '/x' }
  const disk = {
    source: { type: 'MOUNT' as const, mount: { root: '/mnt' } },
    persistence: { id: 'v' },
    volume,
  }
  t.equal(
    describeResource({ name: 'disk', type: 'SCALAR', scalar: { value: 8 }, disk, shared: {} }),
    'disk[MOUNT:/mnt,v:/x:data:rw]<SHARED>:8',
  )
  t.equal(describeResource(cpus(1, { revocable: {} })), 'cpus{REV}:1')
  t.equal(describe(Resources.empty), '{}')
})

t.test('roles', async t => {
  for (const role of ['*', 'a', 'a/b', 'a.b', 'a-b', '...'])
    t.equal(validateRole(role), undefined, role)
  const wrong: [string, string][] = [
    ['', 'Role names cannot be the empty string'],
    ['/bad', "Role '/bad' cannot start with a slash"],
    ['bad/', "Role 'bad/' cannot end with a slash"],
    ['a//b', "Role 'a//b' cannot contain two adjacent slashes"],
    ['a/./b', "Role 'a/./b' cannot include '.' as a component"],
    ['..', "Role '..' cannot include '..' as a component"],
    ['a/*', "Role 'a/*' cannot include '*' as a component"],
    ['a/-b', "Role component '-b' is invalid because it starts with a dash"],
    ['a b', "Role component 'a b' is invalid because it contains backspace or whitespace"],
    ['a\x7f', "Role component 'a\x7f' is invalid because it contains backspace or whitespace"],
  ]
  for (const [role, reason] of wrong) t.equal(validateRole(role), reason)
  t.equal(validateRoles(['a', '/b']), "Role '/b' cannot start with a slash")
  t.equal(validateRoles(['a', 'b']), undefined)
  t.ok(isStrictSubrole('a/b', 'a'))
  t.notOk(isStrictSubrole('ab', 'a'))
  t.notOk(isStrictSubrole('a', 'a'))
})

t.test('well-formed or not', async t => {
  const disk = (fields: Partial<Resource>): Resource => ({
    name: 'disk',
    type: 'SCALAR',
    scalar: { value: 1 },
    ...fields,
  })
  const dynamic = (role: string) => ({ type: 'DYNAMIC' as const, role })
  const wrong: [Resource, RegExp][] = [
    [{ ...cpus(1), name: '' }, /^Empty resource name/],
    [cpus(-1), /value <= 0/],
    [cpus(Number.NaN), /not finite/],
    [cpus(1e300), /too large/],
    [{ name: 'cpus', type: 'SCALAR' }, /^Invalid scalar resource$/],
    [{ ...cpus(1), set: {} }, /^Invalid scalar resource$/],
    [{ name: 'p', type: 'RANGES' }, /^Invalid ranges resource$/],
    [{ name: 'p', type: 'RANGES', ranges: { range: [{ begin: 2, end: 1 }] } }, /begin > end/],
    [
      {
        name: 'p',
        type: 'RANGES',
        ranges: {
          range: [
            { begin: 3, end: 4 },
            { begin: 1, end: 3 },
          ],
        },
      },
      /overlapping/,
    ],
    [{ name: 's', type: 'SET' }, /^Invalid set resource$/],
    [{ name: 's', type: 'TEXT' }, /^Unsupported resource type/],
    [cpus(1, { disk: {} }), /DiskInfo should not be set for cpus/],
    [disk({ disk: { source: { type: 'PATH', mount: {} } } }), /Mount should not be set for PATH/],
    [disk({ disk: { source: { type: 'RAW', path: {} } } }), /Path should not be set for RAW/],
    [disk({ disk: { source: { type: 'UNKNOWN' } } }), /Unsupported/],
    [cpus(1, { role: '/a' }), /cannot start with a slash/],
    [cpus(1, { reservation: {} }), /role "\*" cannot be dynamically reserved/],
    [
      cpus(1, { role: 'a', reservation: { type: 'DYNAMIC' } }),
      /ReservationInfo.type' must not be set/,
    ],
    [cpus(1, { role: 'a', reservation: { role: 'a' } }), /ReservationInfo.role' must not be set/],
    [cpus(1, { reservations: [{ role: 'a' }] }), /type' field must be set/],
    [cpus(1, { reservations: [{ type: 'STATIC' }] }), /role' field must be set/],
    [cpus(1, { reservations: [dynamic('*')] }), /role "\*" cannot be reserved/],
    [
      cpus(1, { reservations: [dynamic('a'), { type: 'STATIC', role: 'a/b' }] }),
      /cannot be STATIC/,
    ],
    [
      cpus(1, { reservations: [dynamic('a'), dynamic('b')] }),
      /role 'b' is not a refinement of 'a'/,
    ],
    [cpus(1, { role: 'b', reservations: [dynamic('a')] }), /'b' does not match the role 'a'/],
    [cpus(1, { role: 'a', reservations: [dynamic('a')] }), /either be both set/],
    [cpus(1, { reservation: {}, reservations: [{ type: 'STATIC', role: 'a' }] }), /is STATIC/],
    [
      cpus(1, { role: 'a', reservation: { principal: 'p' }, reservations: [dynamic('a')] }),
      /principal 'p'|with 'p' does not match/,
    ],
    [
      cpus(1, { role: 'a', reservations: [dynamic('a'), dynamic('a/b')] }),
      /'Resource.role' must not be set/,
    ],
    [cpus(1, { shared: {} }), /Resource cpus cannot be shared/],
    [disk({ shared: {} }), /Only persistent volumes can be shared/],
  ]
  for (const [resource, reason] of wrong) t.match(validateResource(resource), reason)
  const right = [
    cpus(0),
    cpus(1, { role: 'a', reservation: { principal: 'p' } }),
    cpus(1, { role: 'a', reservation: {}, reservations: [dynamic('a')] }),
    cpus(1, { reservations: [dynamic('a'), dynamic('a/b')] }),
    disk({
      disk: { source: { type: 'MOUNT', mount: { root: '/m' } }, persistence: { id: 'v' } },
      shared: {},
    }),
  ]
  t.equal(validateResources(right), undefined)
  t.equal(
    validateResources([cpus(1), cpus(-1)]),
    "Resource 'cpus:-1' is invalid: Invalid scalar resource: value <= 0",
  )
})

t.test('the form of before refinement', async t => {
  t.same(toPreRefinement(cpus(1)), cpus(1, { role: '*' }))
  t.same(
    toPreRefinement(cpus(1, { reservations: [{ type: 'STATIC', role: 'a' }] })),
    cpus(1, { role: 'a' }),
  )
  const dynamic = cpus(1, { reservations: [{ type: 'DYNAMIC', role: 'a', principal: 'p' }] })
  const old = cpus(1, { role: 'a', reservation: { principal: 'p' } })
  t.same(toPreRefinement(dynamic), old)
  t.same(toRefinement(old), dynamic)
  t.same(toRefinement(cpus(1, { role: '*' })), cpus(1))
  const refined = cpus(1, {
    reservations: [
      { type: 'STATIC', role: 'a' },
      { type: 'DYNAMIC', role: 'a/b' },
    ],
  })
  t.equal(toPreRefinement(refined), undefined)
})

t.test('quantities', async t => {
  const alternatives = parseAlternatives('cpus:0.01|mem:32')
  t.equal(alternatives.length, 2)
  t.ok(coversAny(parseResources('mem:32').scalars(), alternatives))
  t.notOk(coversAny(parseResources('mem:31;disk:9').scalars(), alternatives))
  t.ok(coversAny(new Map(), []))
  const a = parseQuantities('cpus:1; mem:10')
  const b = parseQuantities('cpus:0.25;gpus:0')
  t.same(Object.fromEntries(addQuantities(a, b)), { cpus: 1_250, mem: 10_000 })
  t.same(Object.fromEntries(subtractQuantities(a, b)), { cpus: 750, mem: 10_000 })
  t.ok(subtractQuantities(b, a).size === 0)
  t.ok(covers(a, b))
  t.notOk(covers(b, a))
  t.same(quantitiesOf({ cpus: { value: 0.5 }, mem: { value: 0 } }), new Map([['cpus', 500]]))
  t.throws(() => parseQuantities('cpus'), /missing or extra ':'/)
  t.throws(() => parseQuantities('cpus:-1'), /negative values are not allowed/)
  t.throws(() => parseQuantities('cpus:x'), /only scalar values are allowed/)
})
