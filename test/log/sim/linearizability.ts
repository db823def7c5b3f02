// Whether what clients saw of an object can have happened one operation after the other: Herlihy and Wing,
// "Linearizability" (1990). The search is that of Wing and Gong (1993), with Lowe's memory of where it has been (2017).
//
// Each operation takes effect at one moment between its call and its return. One whose return nobody saw (its
// client died, or gave up) may take effect at any time after its call, or never.

/** What an object does if nobody else is there. */
export interface Model<State, Op> {
  readonly initial: State
  /** The state after `op`, or undefined if it cannot have gone that way in this state. Must not change `state`. */
  step(state: State, op: Op): State | undefined
  /** Equal for states that nobody can tell apart. */
  key(state: State): string
  /** Which of two operations the search had better try first: a matter of time only. Default: the one called first. */
  readonly sooner?: (a: Op, b: Op) => number
}

export interface Call<Op> {
  readonly op: Op
  /** When it was called, on any scale. */
  readonly from: number
  /** When it returned; Infinity: nobody knows that it did. */
  readonly to: number
}

export type Verdict<Op> =
  /** `order`: one in which it can have happened. */
  | { readonly ok: true; readonly order: readonly Call<Op>[] }
  /** `stuck`: the operations that could have come next where the search came furthest, none of which can have. */
  | { readonly ok: false; readonly order: readonly Call<Op>[]; readonly stuck: readonly Call<Op>[] }
  /** It was too much: nothing is known. */
  | { readonly ok: undefined }

/** Places that the search looks at, at most, before it says that it does not know. */
const MOST_PLACES = 200_000

interface Place<State> {
  readonly state: State
  /** Which of the candidates come next, and the next one to try. */
  readonly candidates: readonly number[]
  tried: number
}

export function linearize<State, Op>(
  calls: readonly Call<Op>[],
  model: Model<State, Op>,
): Verdict<Op> {
  // In order of their calls, so that the candidates are at the front.
  const sorted = [...calls].sort((a, b) => a.from - b.from || a.to - b.to)
  const done = new Uint8Array(sorted.length)
  let open = sorted.filter(call => call.to !== Infinity).length
  const seen = new Set<string>()
  const path: number[] = []
  let furthest: readonly number[] = []
  let stuck: readonly number[] = []

  /** Those that no other one, still to come, has returned before. */
  const candidates = (): number[] => {
    const found: number[] = []
    let firstReturn = Infinity
    for (let i = 0; i < sorted.length; i++) {
      if (done[i]) continue
      const call = sorted[i]!
      if (call.from > firstReturn) break
      found.push(i)
      firstReturn = Math.min(firstReturn, call.to)
    }
    const { sooner } = model
    return sooner ? found.sort((a, b) => sooner(sorted[a]!.op, sorted[b]!.op)) : found
  }
  const order = (indices: readonly number[]): Call<Op>[] => indices.map(i => sorted[i]!)

  const places: Place<State>[] = [{ state: model.initial, candidates: candidates(), tried: 0 }]
  let looked = 0
  while (open > 0) {
    const place = places.at(-1)
    if (!place) return { ok: false, order: order(furthest), stuck: order(stuck) }
    const i = place.candidates[place.tried++]
    if (i === undefined) {
      if (path.length >= furthest.length) {
        furthest = [...path]
        stuck = place.candidates
      }
      places.pop()
      const back = path.pop()
      if (back !== undefined) {
        done[back] = 0
        if (sorted[back]!.to !== Infinity) open++
      }
      continue
    }
    const state = model.step(place.state, sorted[i]!.op)
    if (state === undefined) continue
    done[i] = 1
    // The same operations done, with the same outcome: what can follow is known already.
    const key = `${Buffer.from(done).toString('latin1')}|${model.key(state)}`
    if (seen.has(key)) {
      done[i] = 0
      continue
    }
    if (++looked > MOST_PLACES) return { ok: undefined }
    seen.add(key)
    path.push(i)
    if (sorted[i]!.to !== Infinity) open--
    places.push({ state, candidates: candidates(), tried: 0 })
  }
  return { ok: true, order: order(path) }
}
