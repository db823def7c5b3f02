import { buildPlanted, buildsOver, hunt } from './build-planted.ts'
import { PLANTED } from './planted.ts'
const wanted = process.argv[2] ?? ''
const first = Number(process.argv[3] ?? 1)
for (const [name, bug] of Object.entries(PLANTED)) {
  if (!name.includes(wanted)) continue
  const t0 = performance.now()
  try {
    const simulate = await buildPlanted(process.cwd(), name, bug)
    const { seeds, problem } = await hunt(simulate, bug, first)
    console.log(name.padEnd(34), seeds ?? 'NOT FOUND', `${((performance.now() - t0)/1000).toFixed(1)}s`, problem.split('\n')[0]!.slice(0, 110))
  } catch (e) { console.log(name, 'ERROR', String(e).slice(0, 300)) }
}
buildsOver()
