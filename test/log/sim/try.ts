import { simulate } from './simulate.ts'
const from = Number(process.argv[2] ?? 1)
const to = Number(process.argv[3] ?? from)
const t0 = performance.now()
for (let seed = from; seed <= to; seed++) {
  const s0 = performance.now()
  const r = await simulate({ seed, ...(from === to && { level: 'info' as const, lines: 100000 }) })
  console.log(seed, r.size, r.leases ? 'leases' : 'rivals', 'ok', r.confirmed, 'open', r.open, 'reads', r.reads, 'chosen', r.chosen, 'ev', r.events, (r.virtualMs/1000).toFixed(0)+'s', (performance.now() - s0).toFixed(0) + 'ms', r.problems.slice(0,3).join('\n').slice(0,1500))
  if (from === to) console.log(r.transcript.join('\n'))
}
console.log(((performance.now()-t0)/(to-from+1)).toFixed(0), 'ms/seed')
