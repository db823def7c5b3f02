// Real Chromium for tests: Debian's package, driven through playwright-core.

import { access } from 'node:fs/promises'
import { type Browser, chromium } from 'playwright-core'

export interface Launched {
  readonly browser: Browser
  close(): Promise<void>
}

const executablePath = '/usr/bin/chromium'

/**
 * Starts Chromium without a window, on an empty profile that goes with it; or says what is missing.
 */
export async function launchBrowser(): Promise<Launched | { readonly missing: string }> {
  try {
    await access(executablePath)
  } catch {
    return { missing: 'Chromium is not installed: apt-get install chromium' }
  }
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  return { browser, close: () => browser.close() }
}
