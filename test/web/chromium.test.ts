// The dashboard in a real browser, against a master that changes, falls silent and comes back.

import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { type Launched, launchBrowser } from './browser.ts'
import { builtPage } from './built-page.ts'
import { agent, agentId, cluster, framework, frameworkId, offer, task } from './canned.ts'
import { HttpServer } from '../../src/actors/http-server.ts'
import type { HttpResponse } from '../../src/actors/http.ts'
import { History } from '../../src/cli/log/history.ts'
import { pastHandler } from '../../src/cli/log/serve.ts'
import type { LogEntry } from '../../src/log/log.ts'
import { admit, entriesOf, recover, unreachable } from '../cli/logs.ts'
import { type FakeMaster, fakeMaster } from './fake-master.ts'

const launched = await launchBrowser()
if ('missing' in launched) {
  t.test('the dashboard in a browser', { skip: launched.missing }, async () => {})
} else {
  await runIn(launched)
}

async function runIn(launched: Launched): Promise<void> {
  const { browser } = launched
  const files = await builtPage()
  t.teardown(() => launched.close())

  const tasksOf = (count: number) =>
    Array.from({ length: count }, (_, index) =>
      task('TASK_RUNNING', 1_795_337_480 + index, {
        id: `t${index}`,
        name: `web-${index}`,
        slave_id: agentId(index % 3),
      }),
    )
  const clusterOf = (count: number) =>
    cluster({
      cluster: 'test',
      slaves: [agent(0, { used_resources: { cpus: 4, mem: 4096 } }), agent(1), agent(2)],
      frameworks: [
        framework(0, {
          tasks: tasksOf(count),
          completed_tasks: [task('TASK_FAILED', 1_795_337_480, { id: 'done', name: 'nightly' })],
          offers: [offer(0)],
        }),
      ],
    })

  /**
   * A test on the page at `hash`, served by a master of its own; any error in the page fails it.
   */
  function view(
    name: string,
    hash: string,
    body: (t: Test, page: Page, master: FakeMaster) => Promise<void>,
  ): void {
    t.test(name, async t => {
      const master = await fakeMaster(files, clusterOf(3))
      const page = await browser.newPage()
      page.setDefaultTimeout(10_000)
      const errors: string[] = []
      page.on('pageerror', error => errors.push(error.message))
      try {
        await page.goto(`${master.url}/${hash}`)
        await body(t, page, master)
      } finally {
        await page.close()
        await master.stop()
      }
      t.strictSame(errors, [], 'no error in the page')
    })
  }

  const section = (page: Page, title: string) => page.getByRole('region', { name: title })
  const rows = (page: Page, title: string) => section(page, title).locator('tbody tr')

  view('shows the cluster and follows it without a reload', '#/', async (t, page, master) => {
    await rows(page, 'Active tasks').nth(2).waitFor()
    t.equal(await rows(page, 'Active tasks').count(), 3)
    t.match(await rows(page, 'Completed tasks').first().innerText(), /nightly.*Failed/s)
    t.equal(await page.title(), 'test · Mesos')
    t.ok(
      await page.getByRole('img', { name: /^CPUs: 4 used, 0 offered, 20 free of 24/ }).isVisible(),
    )
    master.state = clusterOf(60)
    await section(page, 'Active tasks').getByText('1–50 of 60').waitFor()
    t.equal(await rows(page, 'Active tasks').count(), 50)
    await page.getByRole('button', { name: 'Next page' }).click()
    t.equal(await rows(page, 'Active tasks').count(), 10)
    await page.waitForResponse(response => response.status() === 304)
  })

  view('every view has its table', '#/', async (t, page, master) => {
    await page.getByRole('link', { name: 'Agents' }).click()
    await rows(page, 'Agents').nth(2).waitFor()
    master.why = [{ framework_id: frameworkId(0), role: '*', reason: 'declined for 5 s' }]
    await page.getByRole('link', { name: 'node-1.example.org:5051' }).click()
    await rows(page, 'Who is offered this agent').getByText('declined for 5 s').waitFor()
    await page.getByRole('link', { name: 'Frameworks' }).click()
    t.match(await rows(page, 'Frameworks').first().innerText(), /framework 0/)
    await page.getByRole('link', { name: 'Offers' }).click()
    t.match(await rows(page, 'Offers').first().innerText(), /node-0\.example\.org/)
  })

  view('filters and sorts', '#/', async (t, page) => {
    const names = () => section(page, 'Active tasks').locator('td:first-child').allInnerTexts()
    await rows(page, 'Active tasks').nth(2).waitFor()
    t.strictSame(await names(), ['web-2', 'web-1', 'web-0'], 'the latest first')
    await section(page, 'Active tasks').getByRole('button', { name: 'Task', exact: true }).click()
    t.strictSame(await names(), ['web-0', 'web-1', 'web-2'])
    await page.getByLabel('Filter active tasks').fill('node-1')
    await section(page, 'Active tasks').getByText('1 of 3').waitFor()
    t.strictSame(await names(), ['web-1'])
    await page.getByLabel('Filter active tasks').fill('no such')
    await section(page, 'Active tasks').getByRole('button', { name: 'Clear the filter' }).click()
    t.equal((await names()).length, 3)
  })

  view('opens a task’s output and follows it', '#/', async (t, page, master) => {
    const stdout = `/frameworks/${frameworkId(0)}/executors/t1/runs/latest/stdout`
    master.files.set(stdout, '<b>hello</b> wörld\n')
    await page.getByRole('link', { name: 'stdout of web-1' }).click()
    await page.getByText('<b>hello</b> wörld').waitFor()
    master.files.set(stdout, '<b>hello</b> wörld\nsecond line\n')
    await page.getByText('second line').waitFor()
    t.match(await page.getByRole('list', { name: 'States of the task' }).innerText(), /Running/)
    await page.getByRole('link', { name: 'stderr' }).click()
    await page.getByText(/Cannot read it: No such file/).waitFor()
    await page.getByRole('link', { name: 'All files' }).click()
    await page.getByRole('link', { name: 'stdout', exact: true }).last().waitFor()
    t.match(await rows(page, 'Sandbox').innerText(), /stdout\s+32 B/)
  })

  view(
    'keeps the last picture when the master is gone, and finds it again',
    '#/',
    async (t, page, master) => {
      await rows(page, 'Active tasks').nth(2).waitFor()
      await master.stop()
      const { host, port } = new URL(master.url)
      await page.getByRole('alert').getByText(`Cannot reach ${host}`).waitFor()
      t.match(await page.getByRole('alert').innerText(), /retrying (in \d+ s|now)/)
      t.equal(await rows(page, 'Active tasks').count(), 3, 'the last data stay')
      t.ok(await page.locator('main.stale').isVisible())
      const again = await fakeMaster(files, clusterOf(4), Number(port))
      try {
        again.recovering = 'The master has not finished recovery'
        await page.getByRole('button', { name: 'Try now' }).click()
        await page.getByRole('alert').getByText('The master has not finished recovery').waitFor()
        again.recovering = undefined
        await rows(page, 'Active tasks').nth(3).waitFor()
        t.equal(await page.getByRole('alert').count(), 0)
      } finally {
        await again.stop()
      }
    },
  )

  view(
    'stands by: says who leads, links there, and follows',
    '#/agents',
    async (t, page, master) => {
      await rows(page, 'Agents').nth(2).waitFor()
      const leader = await fakeMaster(files, clusterOf(5))
      try {
        const { port, host } = new URL(leader.url)
        master.standby = {}
        const alert = page.getByRole('alert')
        await alert.getByText('Nobody leads').waitFor()
        master.standby = { leader: { hostname: '127.0.0.1', port: Number(port) } }
        await alert.getByText(/stands by; the leading master is/).waitFor()
        await page.getByText('Standby', { exact: true }).waitFor()
        const link = alert.getByRole('link', { name: host })
        t.equal(await link.getAttribute('href'), `//${host}/#/agents`)
        await link.click()
        await page.waitForURL(`${leader.url}/#/agents`)
        await rows(page, 'Agents').nth(2).waitFor()
      } finally {
        await leader.stop()
      }
    },
  )

  t.test('the past, with its slider', async t => {
    const operations = [recover('M'), admit('S0'), admit('S1'), unreachable('S0')]
    const entries: LogEntry[] = entriesOf(operations).map((bytes, i) => ({
      ...{ position: i * 2 + 1, promised: 1, performed: 1, learned: true, truncated: false },
      type: 'APPEND',
      bytes: bytes as Uint8Array<ArrayBuffer>,
    }))
    const history = await History.read(
      (async function* () {
        yield* entries
      })(),
    )
    const server = new HttpServer()
    const asset = (body: string, type: string): HttpResponse => ({
      ...{ status: 200, headers: { 'content-type': type }, body },
    })
    server.handle = pastHandler(
      history,
      '/w/replicated_log',
      new Map([...files].map(([path, { body, type }]) => [path, asset(body, type)])),
    )
    const url = `http://127.0.0.1:${await server.listen('127.0.0.1', 0)}`
    const page = await browser.newPage()
    page.setDefaultTimeout(10_000)
    const errors: string[] = []
    page.on('pageerror', error => errors.push(error.message))
    const shown = (position: number) => page.getByText(`after position ${position} of the log`)
    try {
      await page.goto(url)
      await shown(7).waitFor()
      t.ok(await page.getByText('This is the past, not the live cluster.').isVisible())
      t.ok(await page.getByText('Past', { exact: true }).isVisible())
      t.equal(await page.getByRole('button', { name: 'Pause' }).count(), 0)
      t.equal(await page.getByRole('link', { name: 'Offers' }).count(), 0)
      t.equal(await page.title(), 'Past, position 7 · Mesos')
      t.match(
        await page.getByRole('list', { name: 'Written at position 7' }).innerText(),
        /mark_agent_unreachable S0[^]*by master@10\.0\.0\.1:5050 \(M\), of itself: health check timed out[^]*- agent S0/,
      )
      t.equal(await rows(page, 'Admitted agents').count(), 1)
      t.equal(await rows(page, 'Unreachable agents').count(), 1)

      await page.keyboard.press('ArrowLeft')
      await shown(6).waitFor()
      await page.getByText('Nothing was written to the registry at position 6').waitFor()
      t.equal(await rows(page, 'Admitted agents').count(), 2)
      t.equal(new URL(page.url()).search, '?position=6')
      await page.getByRole('button', { name: 'Previous position' }).click()
      await page.getByText(/by slave\(1\)@S1\.example:5051: registration/).waitFor()
      await page.getByRole('slider').fill('3')
      await shown(3).waitFor()
      t.equal(await rows(page, 'Admitted agents').count(), 1)
      await page.getByRole('slider').press('ArrowRight')
      await shown(4).waitFor()
      await page.getByRole('button', { name: 'First position' }).click()
      await page.getByText('The registry had no agents then.').waitFor()
      t.ok(await page.getByRole('button', { name: 'Previous position' }).isDisabled())
      await page.getByRole('spinbutton').fill('99')
      await page.getByRole('spinbutton').press('Enter')
      await shown(7).waitFor()

      await page.goto(`${url}/?position=3#/agents/S0`)
      await page.getByRole('heading', { name: 'S0.example' }).waitFor()
      await page.getByRole('button', { name: 'Last position' }).click()
      await page.getByText('At position 7 this agent was unreachable').waitFor()
      t.equal(new URL(page.url()).hash, '#/agents/S0', 'the view stays')
      t.equal((await fetch(`${url}/state?position=x`)).status, 400)
      t.equal((await fetch(`${url}/state`, { method: 'POST' })).status, 405)
      t.equal((await fetch(`${url}/../etc/passwd`)).status, 404)
    } finally {
      await page.close()
      await server.close()
      history.close()
    }
    t.strictSame(errors, [], 'no error in the page')
  })

  view('pauses and resumes', '#/', async (t, page, master) => {
    await rows(page, 'Active tasks').nth(2).waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByText('Paused', { exact: true }).waitFor()
    master.state = clusterOf(4)
    await page.getByRole('button', { name: 'Resume' }).click()
    await rows(page, 'Active tasks').nth(3).waitFor()
    t.equal(await rows(page, 'Active tasks').count(), 4)
  })

  view('copies a whole id', '#/agents', async (t, page) => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await rows(page, 'Agents').first().hover()
    await page.getByRole('button', { name: `Copy the agent id ${agentId(0)}` }).click()
    await page.getByText('Copied').waitFor()
    t.equal(await page.evaluate('navigator.clipboard.readText()'), agentId(0))
  })
}
