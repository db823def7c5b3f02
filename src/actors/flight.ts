// The flight recorder of one actor: its last events in a few words each, always on.

/** A message may come thousands of times in a row, whoever sends it: those are one entry with a count. */
export interface FlightEntry {
  readonly type: FlightType
  /** Of the message, the timer or the path; whose end it was. */
  readonly name: string
  /**
   * Who sent the message, of several the first one; how the linked actor came to its end; the method of a request. Empty
   * where nobody is known.
   */
  readonly from: string
  readonly count: number
  /** When the first and the last of them were served; milliseconds since the Unix epoch. */
  readonly firstMs: number
  readonly lastMs: number
}

/** `ask` is a message that is answered; `resume` is something awaited that has come. */
export type FlightType = 'message' | 'ask' | 'dispatch' | 'resume' | 'http' | 'exited' | 'terminate'

/** Entries that are kept beside the latest. With 48 bytes each, an actor's record stays below 2 KiB. */
const OLDER = 31
const STRIDE = 6
/** Longer names are cut: a path is as long as its client likes. */
const LONGEST_NAME = 200

/**
 * Made with an actor's second event (the first is always `initialize`), and small until there is more to keep. It hears of an
 * event only where another kind of event came before: those of a kind that come in a row are counted by whoever serves them,
 * since at thirty million messages a second a call for each would be too much. That count is `repeats`: how many came after
 * the first one. Bodies are not kept, only names and pids.
 *
 * Times are those of the batch in which an event was served, in milliseconds since `startMs`: small integers, and no
 * reading of the clock for each event.
 */
export class FlightRecorder {
  #type: FlightType
  #name: string
  #from: string
  #first: number
  #last: number
  /** `repeats` at the end of the last batch. */
  #marked = 0
  /** `OLDER` entries of `STRIDE` slots each, the oldest at `#oldest` once it is full. */
  #older: (string | number)[] | undefined
  #oldest = 0

  constructor(type: FlightType, name: string, from: string, now: number) {
    this.#type = type
    this.#name = cut(name)
    this.#from = from
    this.#first = now
    this.#last = now
  }

  /** Whether an event is one more of the latest kind. */
  isOneMore(type: FlightType, name: string, from: string): boolean {
    return this.#name === name && this.#from === from && this.#type === type
  }

  /** An event of another kind than the latest, of which there were `repeats`. */
  note(type: FlightType, name: string, from: string, now: number, repeats: number): void {
    this.#push(now, repeats)
    this.#type = type
    this.#name = cut(name)
    this.#from = from
    this.#first = now
    this.#last = now
    this.#marked = 0
  }

  /** The batch that began at `now` is over. */
  mark(now: number, repeats: number): void {
    if (repeats === this.#marked) return
    this.#marked = repeats
    this.#last = now
  }

  #push(now: number, repeats: number): void {
    this.mark(now, repeats)
    const older = (this.#older ??= [])
    if (older.length < OLDER * STRIDE) {
      older.push(this.#type, this.#name, this.#from, repeats + 1, this.#first, this.#last)
      return
    }
    let at = this.#oldest * STRIDE
    older[at++] = this.#type
    older[at++] = this.#name
    older[at++] = this.#from
    older[at++] = repeats + 1
    older[at++] = this.#first
    older[at] = this.#last
    this.#oldest = (this.#oldest + 1) % OLDER
  }

  /** Oldest first, in a batch that began at `now`, or was the last. */
  entries(startMs: number, now: number, repeats: number): FlightEntry[] {
    this.mark(now, repeats)
    const entries: FlightEntry[] = []
    const older = this.#older ?? []
    for (let i = 0; i < older.length; i += STRIDE) {
      const at = (this.#oldest * STRIDE + i) % older.length
      entries.push({
        type: older[at] as FlightType,
        name: older[at + 1] as string,
        from: older[at + 2] as string,
        count: older[at + 3] as number,
        firstMs: startMs + (older[at + 4] as number),
        lastMs: startMs + (older[at + 5] as number),
      })
    }
    entries.push({
      type: this.#type,
      name: this.#name,
      from: this.#from,
      count: repeats + 1,
      firstMs: startMs + this.#first,
      lastMs: startMs + this.#last,
    })
    return entries
  }
}

/** A copy, since a part of a long text would keep the whole of it in memory. */
function cut(name: string): string {
  if (name.length <= LONGEST_NAME) return name
  return Buffer.from(`${name.slice(0, LONGEST_NAME)}…`).toString()
}

/** As a line of a crash report: `12:03:04.123 message test.chat/note from probe(1)@10.0.0.1:5051 (the first), 3 times since 12:03:04.001`. */
export function flightText({ type, name, from, count, firstMs, lastMs }: FlightEntry): string {
  const times = count === 1 ? '' : `, ${count} times since ${clockText(firstMs)}`
  const what = { http: `${from} ${name}`, exited: `${name} ${from}` }[type as string]
  const others = count === 1 ? '' : ' (the first)'
  const said = what ?? (from === '' ? name : `${name} from ${from}${others}`)
  return `${clockText(lastMs)} ${type} ${said}${times}`
}

/** Of an instant in UTC, its time of day. */
const clockText = (ms: number): string => new Date(ms).toISOString().slice(11, 23)

/** An entry as `/__processes__` shows it. `type` is one of libprocess' five. */
export interface ShownEntry {
  readonly type: string
  readonly name: string
  readonly from?: string
  readonly count: number
  /** ISO 8601. */
  readonly first: string
  readonly last: string
}

const TYPES: Readonly<Record<FlightType, string>> = {
  message: 'MESSAGE',
  ask: 'MESSAGE',
  dispatch: 'DISPATCH',
  resume: 'DISPATCH',
  http: 'HTTP',
  exited: 'EXITED',
  terminate: 'TERMINATE',
}

export function shown({ type, name, from, count, firstMs, lastMs }: FlightEntry): ShownEntry {
  return {
    type: TYPES[type],
    name,
    ...(from !== '' && { from }),
    count,
    first: new Date(firstMs).toISOString(),
    last: new Date(lastMs).toISOString(),
  }
}
