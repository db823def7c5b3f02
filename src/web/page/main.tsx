// The page's entry: binds the app to this browser window.

import { render } from 'preact'
import { App } from './app.tsx'
import { browserWorld } from './browser.ts'

const root = document.getElementById('app')
if (root) {
  root.textContent = ''
  render(<App world={browserWorld} host={location.host} />, root)
}
