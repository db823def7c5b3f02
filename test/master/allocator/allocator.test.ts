import fc from 'fast-check'
import t from 'tap'
import { Heap } from '../../../src/base/heap.ts'
import { SeededRandom } from '../../../src/base/random.ts'
import {
  Allocator,
  type AllocatorOptions,
  type FrameworkTerms,
  type Grant,
} from '../../../src/master/allocator/allocator.ts'
import { minimumByRole } from '../../../src/master/allocator/filters.ts'
import { parseResources } from '../../../src/resources/parse.ts'
import { parseAlternatives } from '../../../src/resources/quantities.ts'
import { Resources } from '../../../src/resources/resources.ts'

const R = parseResources

function allocator(options: Partial<AllocatorOptions> = {}): Allocator {
  return new Allocator({
    random: new SeededRandom(1),
    minimum: parseAlternatives('cpus:0.01|mem:32'),
    filterGpus: true,
    weights: new Map(),
    shortestRefusalMs: 1_000,
    ...options,
  })
}

const terms = (
  roles: readonly string[] = ['*'],
  more: Partial<FrameworkTerms> = {},
): FrameworkTerms => ({
  roles: new Set(roles),
  suppressed: new Set(),
  capabilities: new Set(),
  minimum: new Map(),
  ...more,
})

const shown = (grants: readonly Grant[]) =>
  grants.map(g => `${g.frameworkId} ${g.role} ${g.agentId} ${g.resources.get('cpus')}`).sort()

const giveBack = (a: Allocator, grants: readonly Grant[], refuseSeconds?: number, nowMs = 0) => {
  for (const { frameworkId, agentId, role, resources } of grants) {
    a.recover(frameworkId, agentId, role, resources, { refuseSeconds, nowMs })
  }
}

t.test('the framework with the lowest share gets all that is free on an agent', async t => {
  const a = allocator()
  a.addFramework('f1', terms(), true)
  a.addFramework('f2', terms(), true)
  a.addAgent('a1', R('cpus:4;mem:1000'))
  t.same(shown(a.allocate(0)), ['f1 * a1 4'])
  t.same(a.allocate(0), [])
  a.addAgent('a2', R('cpus:2;mem:1000'))
  t.same(shown(a.allocate(0)), ['f2 * a2 2'])
  a.addAgent('a3', R('cpus:2;mem:1000'))
  // Of 8 cpus and 3000 MB f1 has 4 (1/2), f2 has 1000 MB (1/3).
  t.same(shown(a.allocate(0)), ['f2 * a3 2'])
})

t.test('what becomes free is granted in the next allocation, whoever looks', async t => {
  const a = allocator()
  a.addAgent('a1', R('cpus:4;mem:1000'))
  a.addFramework('f1', terms(), true)
  const [grant] = a.allocate(0)
  a.recover('f1', 'a1', '*', R('cpus:1;mem:32'))
  t.same(shown(a.allocate(0)), ['f1 * a1 1'])
  const looked = a.looked
  t.same(a.allocate(0), [])
  t.equal(a.looked, looked, 'nothing changed, nothing is looked at')
  t.ok(grant)
})

t.test('weights: a role of weight 3 ends up with three times as much', async t => {
  const a = allocator({ weights: new Map([['ads', 3]]) })
  a.addFramework('ads1', terms(['ads']), true)
  a.addFramework('batch1', terms(['batch']), true)
  const won: string[] = []
  for (let i = 0; i < 40; i++) a.addAgent(`a${i}`, R('cpus:1;mem:100'))
  for (const { role } of a.allocate(0)) won.push(role)
  t.equal(won.filter(role => role === 'ads').length, 30)
})

t.test('a framework in two roles is counted in each', async t => {
  const a = allocator()
  a.addFramework('f1', terms(['a', 'b']), true)
  a.addFramework('f2', terms(['b']), true)
  const roles = []
  for (let i = 0; i < 4; i++) a.addAgent(`a${i}`, R('cpus:1;mem:100'))
  for (const grant of a.allocate(0)) roles.push(`${grant.role} ${grant.frameworkId}`)
  t.same(roles.sort(), ['a f1', 'a f1', 'b f1', 'b f2'])
})

t.test(
  'what was refused is not offered to the one who refused it, for as long as it said',
  async t => {
    const a = allocator()
    a.addFramework('f1', terms(), true)
    a.addAgent('a1', R('cpus:4;mem:1000'))
    giveBack(a, a.allocate(0), 10)
    t.same(a.allocate(9_999), [])
    t.equal(a.nextExpiryMs, 10_000)
    t.same(shown(a.allocate(10_000)), ['f1 * a1 4'])
    t.equal(a.nextExpiryMs, undefined)
  },
)

t.test(
  'how long a refusal lasts: five seconds by default, a year at most, one interval at least',
  async t => {
    for (const [seconds, expected] of [
      [undefined, 5_000],
      [-1, 5_000],
      [Number.NaN, 5_000],
      [0, 1_000],
      [0.5, 1_000],
      [30, 30_000],
      [1e12, 31_536_000_000],
    ] as const) {
      const a = allocator()
      a.addFramework('f1', terms(), true)
      a.addAgent('a1', R('cpus:4;mem:1000'))
      giveBack(a, a.allocate(0), seconds)
      t.equal(a.nextExpiryMs, expected, `${seconds}`)
    }
  },
)

t.test('more than what was refused is offered, less is not', async t => {
  const a = allocator()
  a.addFramework('f1', terms(), true)
  a.addAgent('a1', R('cpus:4;mem:1000'))
  const grants = a.allocate(0)
  a.recover('f1', 'a1', '*', R('cpus:2;mem:500'), { refuseSeconds: 100, nowMs: 0 })
  t.same(a.allocate(0), [])
  a.recover('f1', 'a1', '*', R('cpus:1'))
  t.same(shown(a.allocate(0)), ['f1 * a1 3'])
  t.ok(grants)
})

t.test('one who used a part and refuses nothing is offered the rest at once', async t => {
  const a = allocator()
  a.addFramework('f1', terms(), true)
  a.addAgent('a1', R('cpus:4;mem:1000'))
  a.allocate(0)
  a.recover('f1', 'a1', '*', R('cpus:3;mem:900'), { refuseSeconds: 0, nowMs: 0, used: true })
  t.same(shown(a.allocate(0)), ['f1 * a1 3'])
  a.recover('f1', 'a1', '*', R('cpus:3;mem:900'), {
    refuseSeconds: undefined,
    nowMs: 0,
    used: true,
  })
  t.same(a.allocate(0), [])
})

t.test(
  'refusals do not pile up, however long they last and however often they are withdrawn',
  async t => {
    const a = allocator()
    a.addFramework('f1', terms(), true)
    a.addAgent('a1', R('cpus:4;mem:1000'))
    for (let i = 0; i < 5_000; i++) {
      a.revive('f1', [])
      giveBack(a, a.allocate(0), 1e9 - i)
    }
    t.same(a.allocate(0), [])
    a.revive('f1', [])
    t.same(shown(a.allocate(0)), ['f1 * a1 4'])
  },
)

t.test('suppressed, inactive and gone frameworks get nothing; revived ones do', async t => {
  const a = allocator()
  a.addFramework('f1', terms(['a'], { suppressed: new Set(['a']) }), true)
  a.addFramework('f2', terms(['a']), false)
  a.addAgent('a1', R('cpus:4;mem:1000'))
  t.same(a.allocate(0), [])
  a.revive('f1', ['a'])
  const grants = a.allocate(0)
  t.same(shown(grants), ['f1 a a1 4'])
  a.suppress('f1', [])
  giveBack(a, grants, 1)
  t.same(a.allocate(5_000), [])
  a.setFrameworkActive('f2', true)
  const second = a.allocate(5_000)
  t.same(shown(second), ['f2 a a1 4'])
  giveBack(a, second, 1, 5_000)
  a.removeFramework('f2')
  a.removeFramework('f1')
  t.same(a.allocate(10_000), [])
  t.same(a.roles, [], 'nobody is left in the role')
})

t.test('agents that are away are not offered', async t => {
  const a = allocator()
  a.addFramework('f1', terms(), true)
  a.addAgent('a1', R('cpus:4;mem:1000'))
  a.setAgentActive('a1', false)
  t.same(a.allocate(0), [])
  a.setAgentActive('a1', true)
  t.same(shown(a.allocate(0)), ['f1 * a1 4'])
})

t.test('reserved resources are offered to their role only', async t => {
  const a = allocator()
  a.addFramework('f1', terms(['a']), true)
  a.addFramework('f2', terms(['b']), true)
  a.addAgent('a1', R('cpus(a):2;cpus:1;mem:100'))
  const first = a.allocate(0)
  t.same(shown(first), ['f1 a a1 3'])
  giveBack(a, first, 1)
  const second = a.allocate(500)
  t.same(shown(second), ['f2 b a1 1'])
  t.same(shown(a.allocate(1_500)), ['f1 a a1 2'])
})

t.test('GPUs are for those who know what to do with them', async t => {
  for (const filterGpus of [true, false]) {
    const a = allocator({ filterGpus })
    a.addFramework('f1', terms(), true)
    a.addFramework('f2', terms(['*'], { capabilities: new Set(['GPU_RESOURCES']) }), true)
    a.addAgent('a1', R('cpus:4;mem:1000;gpus:1'))
    t.same(shown(a.allocate(0)), [filterGpus ? 'f2 * a1 4' : 'f1 * a1 4'])
  }
})

t.test('the least that is offered: by flag, and by framework and role', async t => {
  const little = allocator()
  little.addFramework('f1', terms(), true)
  little.addAgent('a1', R('cpus:0.005;mem:31;disk:1000'))
  t.same(little.allocate(0), [])
  const anything = allocator({ minimum: [] })
  anything.addFramework('f1', terms(), true)
  anything.addAgent('a1', R('disk:1'))
  t.equal(anything.allocate(0).length, 1)
  const choosy = allocator()
  const minimum = minimumByRole({
    name: 'f',
    user: 'u',
    offer_filters: {
      a: {
        min_allocatable_resources: {
          quantities: [
            { quantities: { cpus: { value: 8 } } },
            { quantities: { disk: { value: 5 } } },
          ],
        },
      },
      b: {},
    },
  })
  choosy.addFramework('f1', terms(['a', 'b'], { minimum }), true)
  choosy.addAgent('a1', R('cpus:4;mem:100'))
  choosy.addAgent('a2', R('disk:5'))
  t.same(
    choosy
      .allocate(0)
      .map(g => `${g.role} ${g.agentId}`)
      .sort(),
    ['a a2', 'b a1'],
  )
})

t.test('an agent that came back smaller is not overcommitted when its tasks end', async t => {
  const a = allocator()
  a.addFramework('f1', terms(), true)
  a.addAgent('a1', R('cpus:4;mem:1000'))
  a.allocate(0)
  a.updateAgent('a1', R('cpus:2;mem:1000'))
  t.ok(a.free('a1').isEmpty)
  a.recover('f1', 'a1', '*', R('cpus:3'))
  t.same(shown(a.allocate(0)), ['f1 * a1 1'])
  a.recover('f1', 'a1', '*', R('cpus:2'))
  t.ok(a.free('a1').equals(R('cpus:2')))
})

t.test('a framework that leaves a role keeps what it has there, and no more', async t => {
  const a = allocator()
  a.addFramework('f1', terms(['a']), true)
  a.addAgent('a1', R('cpus:4;mem:1000'))
  a.allocate(0)
  a.updateFramework('f1', terms(['b']))
  t.same(a.roles, ['a', 'b'])
  a.recover('f1', 'a1', 'a', R('cpus:1'))
  t.same(shown(a.allocate(0)), ['f1 b a1 1'])
  a.recover('f1', 'a1', 'a', R('cpus:3;mem:1000'))
  t.same(a.roles, ['b'])
})

t.test('explains who would be offered an agent, and why the others would not', async t => {
  const a = allocator()
  a.addFramework('f1', terms(['a']), true)
  a.addFramework('f2', terms(['a'], { suppressed: new Set(['a']) }), true)
  a.addFramework('f3', terms(['b']), false)
  a.addAgent('a1', R('cpus:4;mem:1000'))
  const reasons = (nowMs: number) =>
    Object.fromEntries(a.explain('a1', nowMs).map(e => [e.frameworkId, e.reason]))
  t.match(reasons(0), { f1: undefined, f2: /suppressed/, f3: 'its scheduler is not connected' })
  const grants = a.allocate(0)
  t.match(reasons(0), { f1: 'nothing is free on the agent' })
  giveBack(a, grants, 60)
  t.match(reasons(1_000), { f1: /refused these resources for another 59 s/ })
  a.setAgentActive('a1', false)
  t.match(reasons(1_000), { f1: 'the agent is not connected' })
  t.same(a.explain('nobody', 0), [])
})

t.test('whatever happens, nothing is granted twice and everything comes back', async t => {
  const small = fc.integer({ min: 0, max: 3 })
  const agent = small.map(n => `a${n}`)
  const framework = small.map(n => `f${n}`)
  const roles = fc.subarray(['*', 'x', 'y'], { minLength: 1 })
  const operation = fc.oneof(
    { weight: 4, arbitrary: fc.record({ op: fc.constant('allocate' as const) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        op: fc.constant('use' as const),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
        seconds: fc.constantFrom(undefined, 0, 1, 60),
      }),
    },
    { weight: 3, arbitrary: fc.record({ op: fc.constant('end' as const), which: fc.nat(50) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        op: fc.constant('time' as const),
        ms: fc.integer({ min: 0, max: 30_000 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        op: fc.constant('framework' as const),
        framework,
        roles,
        active: fc.boolean(),
      }),
    },
    fc.record({
      op: fc.constant('agent' as const),
      agent,
      cpus: fc.integer({ min: 1, max: 8 }),
      reserved: fc.boolean(),
    }),
    fc.record({ op: fc.constant('away' as const), agent, active: fc.boolean() }),
    fc.record({ op: fc.constant('remove framework' as const), framework }),
    fc.record({ op: fc.constant('remove agent' as const), agent }),
    fc.record({ op: fc.constant('revive' as const), framework }),
    fc.record({ op: fc.constant('suppress' as const), framework }),
    fc.record({ op: fc.constant('adopt' as const), framework, agent }),
  )
  const property = fc.property(fc.array(operation, { maxLength: 120 }), operations => {
    const a = allocator({ minimum: [] })
    const totals = new Map<string, Resources>()
    const frameworks = new Map<string, readonly string[]>()
    let held: Grant[] = []
    let now = 0
    const end = (grants: readonly Grant[], refuseSeconds?: number) => {
      held = held.filter(grant => !grants.includes(grant))
      for (const { frameworkId, agentId, role, resources } of grants) {
        a.recover(
          frameworkId,
          agentId,
          role,
          resources,
          refuseSeconds === undefined ? undefined : { refuseSeconds, nowMs: now },
        )
      }
    }
    const check = () => {
      for (const [id, total] of totals) {
        const used = Resources.sum(held.filter(g => g.agentId === id).map(g => g.resources))
        if (!total.contains(used)) throw new Error(`more than all of ${id} is held`)
        if (!a.free(id).add(used).equals(total))
          throw new Error(`free and held of ${id} are not all`)
      }
    }
    const add = (grants: readonly Grant[]) => {
      for (const grant of grants) {
        if (!frameworks.get(grant.frameworkId)?.includes(grant.role))
          throw new Error('granted to a stranger')
      }
      held.push(...grants)
    }
    for (const o of operations) {
      if (o.op === 'allocate') add(a.allocate(now))
      else if (o.op === 'time') now += o.ms
      else if (o.op === 'end') end(held.slice(o.which, o.which + 1))
      else if (o.op === 'use') {
        const grant = held.shift()
        if (!grant) continue
        const cpus = Math.floor(grant.resources.get('cpus') * o.part)
        const used = (cpus > 0 && grant.resources.find({ cpus })) || Resources.empty
        const { frameworkId, agentId, role } = grant
        a.recover(frameworkId, agentId, role, grant.resources.subtract(used), {
          refuseSeconds: o.seconds,
          nowMs: now,
          used: cpus > 0,
        })
        if (!used.isEmpty) held.push({ ...grant, resources: used })
      } else if (o.op === 'agent') {
        if (totals.has(o.agent)) continue
        const total = R(
          o.reserved ? `cpus(x):1;cpus:${o.cpus};mem:100` : `cpus:${o.cpus};mem:100;ports:[1-9]`,
        )
        totals.set(o.agent, total)
        a.addAgent(o.agent, total)
      } else if (o.op === 'remove agent') {
        end(held.filter(g => g.agentId === o.agent))
        totals.delete(o.agent)
        a.removeAgent(o.agent)
      } else if (o.op === 'away') a.setAgentActive(o.agent, o.active)
      else if (o.op === 'framework') {
        if (frameworks.has(o.framework)) {
          a.updateFramework(o.framework, terms(o.roles))
          a.setFrameworkActive(o.framework, o.active)
        } else a.addFramework(o.framework, terms(o.roles), o.active)
        frameworks.set(o.framework, o.roles)
      } else if (o.op === 'remove framework') {
        end(held.filter(g => g.frameworkId === o.framework))
        frameworks.delete(o.framework)
        a.removeFramework(o.framework)
      } else if (o.op === 'revive') a.revive(o.framework, [])
      else if (o.op === 'suppress') a.suppress(o.framework, [])
      else {
        const resources = a.free(o.agent).find({ cpus: 1 })
        if (!resources || !frameworks.has(o.framework)) continue
        a.adopt(o.framework, o.agent, 'old', resources)
        held.push({ frameworkId: o.framework, agentId: o.agent, role: 'old', resources })
      }
      check()
    }
    end(held)
    check()
    for (const role of a.roles)
      if (a.share(role) !== 0) throw new Error(`${role} has still something`)
    // All come back, want everything, and get it.
    for (const id of totals.keys()) a.setAgentActive(id, true)
    for (const id of frameworks.keys()) a.removeFramework(id)
    if (a.roles.length > 0) throw new Error(`roles are left: ${a.roles.join()}`)
    a.addFramework('all', terms(['x']), true)
    const all = a.allocate(now)
    for (const [id, total] of totals) {
      const got = Resources.sum(all.filter(g => g.agentId === id).map(g => g.resources))
      if (!got.equals(total)) throw new Error(`${id} was not granted in full`)
    }
  })
  t.doesNotThrow(() => fc.assert(property, { numRuns: 300 }))
})

t.test(
  'fifty greedy frameworks on three agents: nobody has less than half of its fair share',
  async t => {
    // 3 agents of 16 cpus: 48 slots of one cpu for 50 frameworks, so that 0.96 of a slot is fair. The frameworks take all
    // they are offered, for tasks of 0.2 s to 3 s; a framework's own tasks are all about as long.
    const random = new SeededRandom(7)
    const a = allocator()
    for (let i = 0; i < 3; i++) a.addAgent(`a${i}`, R('cpus:16;mem:16000'))
    const meanMs = new Map<string, number>()
    for (let i = 0; i < 50; i++) {
      meanMs.set(`f${i}`, 200 + (i % 10) * 300)
      a.addFramework(`f${i}`, terms(), true)
    }
    const ends = new Heap<{ readonly atMs: number; readonly grant: Grant }>(
      (x, y) => x.atMs - y.atMs,
    )
    const usedMs = new Map<string, number>()
    const slot = R('cpus:1;mem:1000')
    const run = (nowMs: number) => {
      for (const grant of a.allocate(nowMs)) {
        const { frameworkId } = grant
        let left = grant.resources
        for (; left.contains(slot); left = left.subtract(slot)) {
          const ms = meanMs.get(frameworkId)! * (0.5 + random.next())
          ends.push({ atMs: nowMs + ms, grant: { ...grant, resources: slot } })
          const counted = Math.min(nowMs + ms, 40_000) - Math.max(nowMs, 10_000)
          usedMs.set(frameworkId, (usedMs.get(frameworkId) ?? 0) + Math.max(0, counted))
        }
        if (!left.isEmpty)
          a.recover(frameworkId, grant.agentId, grant.role, left, {
            refuseSeconds: undefined,
            nowMs,
            used: true,
          })
      }
    }
    run(0)
    for (let next = ends.pop(); next && next.atMs < 40_000; next = ends.pop()) {
      const { frameworkId, agentId, role, resources } = next.grant
      a.recover(frameworkId, agentId, role, resources)
      run(next.atMs)
    }
    // 30 s of 48 slots for 50: 28.8 s each.
    const fairMs = (30_000 * 48) / 50
    const shares = [...meanMs.keys()].map(id => (usedMs.get(id) ?? 0) / fairMs)
    t.ok(Math.min(...shares) >= 0.5, `least: ${Math.min(...shares)}`)
    t.ok(Math.abs(shares.reduce((x, y) => x + y) - 50) < 0.5, 'no slot is ever idle')
  },
)
