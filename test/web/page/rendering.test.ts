// The views as markup, without a browser: what is said when there is nothing, how little is drawn
// when there is much.

import { resolve } from 'node:path'
import { build } from 'esbuild'
import t from 'tap'
import type { ClusterState } from '../../../src/web/page/state.ts'
import { agent, cluster, framework, frameworkId, task } from '../canned.ts'
import { VirtualWorld } from './virtual-world.ts'

/**
 * `html('#/agents', state)`: the view at this address. Built apart, as the page's files have types
 * of a browser.
 */
async function renderer(): Promise<(hash: string, state: ClusterState) => string> {
  const built = await build({
    stdin: {
      resolveDir: resolve('src/web/page'),
      loader: 'tsx',
      contents: `
        import { renderToString } from 'preact-render-to-string'
        import { Ticking } from './now.tsx'
        import { parseRoute } from './routes.ts'
        import { rowsOf } from './rows.ts'
        import { View } from './view.tsx'
        export const render = (hash, state, world) => renderToString(
          <Ticking world={world} skewMs={0}>
            <View route={parseRoute(hash)} state={state} rows={rowsOf(state)} world={world} host="here:5050" />
          </Ticking>)
      `,
    },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
  })
  const code = built.outputFiles[0]?.text ?? ''
  const module: { render: (hash: string, state: ClusterState, world: VirtualWorld) => string } =
    await import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`)
  return (hash, state) => module.render(hash, state, new VirtualWorld())
}

const html = await renderer()

/** What a reader sees of it. */
const text = (markup: string) =>
  markup
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()

t.test('an empty cluster says what to do next', async t => {
  const empty = cluster()
  t.match(
    text(html('#/', empty)),
    /No agents yet\. Start one: mesos-agent --master=10\.0\.0\.1:5050/,
  )
  t.match(text(html('#/agents', empty)), /No agents yet\. Start one: mesos-agent --master=/)
  t.match(
    text(html('#/frameworks', empty)),
    /No frameworks yet\. Run something: mesos-execute --master=/,
  )
  t.match(text(html('#/offers', empty)), /No offers: there are no agents/)
  const idle = cluster({ slaves: [agent(0)] })
  const restarted = cluster({ recovered_slaves: [{ id: 'S0', hostname: 'node-0' }] })
  t.match(text(html('#/', restarted)), /1 agent has not come back yet/)
  t.notMatch(text(html('#/', restarted)), /No agents yet/)
  t.match(text(html('#/agents', restarted)), /None is back yet/)
  t.match(text(html('#/', idle)), /All well 1 agent active.*Run something: mesos-execute/)
})

t.test('addresses of what is gone say so', async t => {
  const state = cluster()
  t.match(text(html('#/tasks/F/T', state)), /knows no task T of framework F/)
  t.match(text(html('#/frameworks/F', state)), /knows no framework F/)
  t.match(text(html('#/agents/S', state)), /has no agent S at the moment/)
  t.match(text(html('#/nowhere', state)), /no view “#\/nowhere”/)
})

t.test('50,000 tasks draw one page, the latest first', async t => {
  const tasks = Array.from({ length: 50_000 }, (_, index) =>
    task('TASK_RUNNING', 1_795_337_480 + index, { id: `t${index}`, name: `t${index}` }),
  )
  const markup = html('#/', cluster({ slaves: [agent(0)], frameworks: [framework(0, { tasks })] }))
  t.equal(markup.match(/<tr/g)?.length, 1 + 50)
  t.match(text(markup), /1–50 of 50,000/)
  t.match(text(markup), /t49999 .*t49998 /)
})

t.test('tables carry captions, headings scopes, bars words', async t => {
  const state = cluster({
    slaves: [agent(0, { used_resources: { cpus: 6 }, offered_resources: { cpus: 1.5 } })],
    frameworks: [framework(0, { tasks: [task('TASK_RUNNING', 1_795_337_480)] })],
  })
  const markup = html('#/', state)
  t.match(markup, /<caption[^>]*>Active tasks, rows 1 to 1 of 1, by Started descending<\/caption>/)
  t.match(markup, /<th scope="col"[^>]*aria-sort="descending"/)
  t.match(markup, /aria-label="CPUs: 6 used, 1\.5 offered, 0\.5 free of 8"/)
})

t.test('names are text, never markup or links that run', async t => {
  const evil = '<img src=x onerror=alert(1)>'
  const state = cluster({
    slaves: [agent(0)],
    frameworks: [
      framework(0, {
        name: evil,
        webui_url: 'javascript:alert(1)',
        tasks: [task('TASK_RUNNING', 1_795_337_480, { id: evil, name: evil })],
      }),
    ],
  })
  for (const hash of ['#/', '#/frameworks', `#/frameworks/${frameworkId(0)}`]) {
    t.notMatch(html(hash, state), /<img|href="javascript/i, hash)
  }
})

t.test('a task shows its life, with the reason of its end', async t => {
  const failed = task('TASK_FAILED', 1_795_337_480, { id: 'job', name: 'nightly' })
  const state = cluster({
    slaves: [agent(0)],
    frameworks: [framework(0, { completed_tasks: [failed] })],
  })
  const page = text(html(`#/tasks/${frameworkId(0)}/job`, state))
  t.match(page, /nightly ✕ Failed/)
  t.match(page, /Starting .* for 2 s .*Running .* for 2 s .*Failed .*Command exited with status 1/)
})
