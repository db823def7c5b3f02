// The dashboard in a real browser, against a master that changes, falls silent and comes back.

import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { type Launched, launchBrowser } from './browser.ts'
import { builtPage } from './built-page.ts'
import { agent, agentId, cluster, framework, frameworkId, offer, task } from './canned.ts'
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
