// The dashboard of a real cluster in a real browser: what runs shows up, and its output can be read.

import t from 'tap'
import { Batch } from '../cluster/batch.ts'
import { launchBrowser } from '../web/browser.ts'
import { RealCluster, until } from './real-cluster.ts'

const launched = await launchBrowser()
const skip = 'missing' in launched ? launched.missing : false

t.test('agents, tasks and their output, live', { skip }, async t => {
  if ('missing' in launched) return
  const cluster = new RealCluster()
  try {
    await cluster.startMaster(['--cluster=test cluster'])
    const page = await launched.browser.newPage({ viewport: { width: 1400, height: 1000 } })
    const faults: string[] = []
    page.on('pageerror', error => faults.push(error.message))
    await page.goto(`http://${cluster.address}/`)
    await page.getByText('test cluster').first().waitFor()

    await cluster.startAgent()
    await cluster.startAgent()
    const scheduler = new Batch(
      [
        ...Array.from({ length: 5 }, () => 'echo short'),
        'echo long and visible; echo oops >&2; sleep 30',
      ],
      { name: 'shown framework' },
      { master: cluster.address },
    )
    await cluster.run(scheduler)
    await until(() => scheduler.count('TASK_FINISHED') === 5, 'five tasks finished')
    await until(() => scheduler.count('TASK_RUNNING') === 1, 'one runs')

    const active = page.getByRole('region', { name: 'Active tasks' }).locator('tbody tr')
    const completed = page.getByRole('region', { name: 'Completed tasks' }).locator('tbody tr')
    await active.filter({ hasText: 'long and visible' }).waitFor()
    await until(async () => (await completed.count()) === 5, 'completed tasks are listed')
    t.equal(await active.count(), 1)
    const screenshot = process.env['MESOS_TEST_SCREENSHOT']
    if (screenshot) await page.screenshot({ path: screenshot })

    await active.getByRole('link', { name: /stdout/ }).click()
    await page.getByText('long and visible', { exact: true }).waitFor()
    t.pass('its output is shown')
    await page.goto(`http://${cluster.address}/#/agents`)
    await until(
      async () =>
        (await page.getByRole('region', { name: 'Agents' }).locator('tbody tr').count()) === 2,
      'two agents are listed',
    )
    await page.goto(`http://${cluster.address}/#/frameworks`)
    await page.getByText('shown framework').first().waitFor()

    const replay = cluster.command('mesos-log', ['replay', `--work_dir=${cluster.dir}`, '--serve'])
    const [, past] = await replay.says(/Dashboard of the past: (http:\S+)/)
    await page.goto(past!)
    await page.getByText('This is the past, not the live cluster.').waitFor()
    const admitted = page.getByRole('region', { name: 'Admitted agents' }).locator('tbody tr')
    await until(async () => (await admitted.count()) === 2, 'two agents were admitted')
    await page.keyboard.press('ArrowLeft')
    await until(async () => (await admitted.count()) === 1, 'before that there was one')
    if (screenshot) await page.screenshot({ path: screenshot.replace(/(\.\w+)?$/, '-past$1') })
    replay.kill('SIGINT')
    await replay.exited
    t.equal(replay.exit?.code, 0)
    t.same(faults, [], 'the page has thrown nothing')
    await page.close()
  } finally {
    t.same(await cluster.stop(), [], 'no process is left behind')
    await launched.close()
  }
})
