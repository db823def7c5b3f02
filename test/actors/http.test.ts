// HTTP as actors see it: who serves a path, and what becomes of the request.

import t from 'tap'
import {
  findRoute,
  type HttpRequest,
  type HttpResponse,
  methodNotAllowed,
  type Route,
  splitPath,
  text,
} from '../../src/actors/http.ts'
import { A, type Stage, withStage } from './probe.ts'

t.test('the longest prefix of whole segments', async t => {
  const handler = () => text(200, '')
  const routes = new Map<string, Route>(
    ['/', '/a', '/a/b', '/a/bc/d'].map(path => [path, { path, help: '', handler }]),
  )
  const expected: Record<string, string | undefined> = {
    '/': '/',
    '': '/',
    '//': '/',
    '/a': '/a',
    '/a/': '/a',
    '/a/b': '/a/b',
    '/a/b/c/d': '/a/b',
    '/a/bc': '/a',
    '/a/bc/d': '/a/bc/d',
    '/ab': undefined,
    '/b/a': undefined,
    [`/a${'/'.repeat(5_000)}x`]: '/a',
    [`/${'x'.repeat(5_000)}/a`]: undefined,
  }
  for (const [path, route] of Object.entries(expected)) {
    t.equal(findRoute(routes, path)?.path, route, path)
  }
})

t.test('the first segment names an actor, or the delegate serves', async t => {
  const isActor = (id: string) => id === 'master' || id === 'slave(1)'
  const split = (path: string, delegate?: string) => splitPath(path, isActor, delegate)
  t.strictSame(split('/master/state'), { id: 'master', rest: '/state' })
  t.strictSame(split('//master/state'), { id: 'master', rest: '/state' })
  t.strictSame(split('/slave(1)'), { id: 'slave(1)', rest: '/' })
  t.strictSame(split('/slave(1)/'), { id: 'slave(1)', rest: '/' })
  t.equal(split('/state'), undefined)
  t.strictSame(split('/state', 'master'), { id: 'master', rest: '/state' })
  t.strictSame(split('/', 'master'), { id: 'master', rest: '/' })
  t.strictSame(split('/master/../x', 'master'), undefined)
  t.strictSame(split('/..', 'master'), undefined)
  t.strictSame(split('/a..b/...', 'master'), { id: 'master', rest: '/a..b/...' })
})

const get = (stage: Stage, path: string, more: Partial<HttpRequest> = {}) =>
  stage.runtime(A).http({
    method: 'GET',
    path,
    query: new URLSearchParams(),
    headers: {},
    body: new Uint8Array(),
    ...more,
  })

t.test('a request is an event of its actor', async t => {
  await withStage(t, async stage => {
    const { world, probe, runtime } = stage
    probe(
      A,
      {
        initialize: self => {
          self.route('/state', 'The state.', ({ path, query }) =>
            text(200, `${path} ${query.get('q')}`),
          )
          self.route('/slow', 'Takes a while.', async () => {
            await self.resume(Promise.resolve())
            return text(200, 'slow')
          })
          self.route('/never', 'Takes for ever.', () => new Promise(() => {}))
          self.route('/end', 'Ends the actor.', () => {
            self.terminate()
            return text(200, 'bye')
          })
        },
      },
      'master',
    )
    runtime(A).provide('/index.html', text(200, 'a page'))
    runtime(A).provide('/state', text(200, 'hidden by the route of the delegate'))
    await world.settle()
    const statuses = async (...asked: Promise<HttpResponse>[]) => {
      await world.settle()
      return (await Promise.all(asked)).map(({ status, body }) => `${status} ${String(body ?? '')}`)
    }
    const query = new URLSearchParams('q=1')
    t.strictSame(
      await statuses(
        get(stage, '/master/state', { query }),
        get(stage, '/master/slow'),
        get(stage, '/master/other'),
        get(stage, '/nobody/state'),
        get(stage, '/index.html'),
        get(stage, '/state'),
      ),
      [
        '200 /master/state 1',
        '200 slow',
        '404 ',
        '404 ',
        '200 a page',
        '200 hidden by the route of the delegate',
      ],
    )
    runtime(A).delegate = 'master'
    t.strictSame(await statuses(get(stage, '/state', { query }), get(stage, '/index.html')), [
      '200 /state 1',
      '200 a page',
    ])
    t.strictSame(
      await statuses(
        get(stage, '/master/never'),
        get(stage, '/master/end'),
        get(stage, '/master/state'),
      ),
      ['503 master ended before it answered.\n', '200 bye', '404 '],
      'nobody is left without an answer',
    )
  })
})

t.test('a handler that throws ends its actor, unless it was only asked', async t => {
  const cases = [
    ['now', 'GET'],
    ['later', 'GET'],
    ['now', 'POST'],
    ['later', 'POST'],
  ] as const
  for (const [failing, method] of cases) {
    await withStage(t, async stage => {
      const { world, probe, runtime } = stage
      probe(
        A,
        {
          initialize: self =>
            self.route('/boom', 'Fails.', () => {
              const error = new Error('boom')
              if (failing === 'now') throw error
              return Promise.reject(error)
            }),
        },
        'x',
      )
      await world.settle()
      const response = get(stage, '/x/boom', { method })
      await world.settle()
      t.match(await response, { status: 500, body: /its log says why/ })
      t.strictSame(runtime(A).actors, method === 'GET' ? ['x'] : [])
      t.match(stage.log.messages('error'), [
        method === 'GET' ? 'a request failed' : /^the actor failed/,
      ])
    })
  }
})

t.test('a method that is not served is refused with those that are', t => {
  t.match(methodNotAllowed(['GET', 'POST']), {
    status: 405,
    headers: { allow: 'GET, POST' },
    body: "Expecting one of { 'GET', 'POST' }, but received another method",
  })
  t.end()
})
