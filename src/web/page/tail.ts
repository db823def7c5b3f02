// Follows the end of a growing file on an agent, through the master.
//
// Offsets are bytes, what comes is text. The file's length is asked for first and exactly the bytes
// up to it are read, so the place of the next read never depends on how many bytes a character
// took.

import { backoffMs, type Timer, type World } from './world.ts'

export interface TailView {
  readonly text: string
  /** Bytes of the file before the text shown; 0 when it is shown from its beginning. */
  readonly startBytes: number
  readonly endBytes: number
  readonly status: 'loading' | 'following' | 'failed'
  /** What the master said, when failed. */
  readonly problem: string
  /** The file became shorter than what was read: it was rotated or written anew. */
  readonly restarted: boolean
}

/** First look at a file, and one step back in it. */
export const stepBytes = 32 * 1024
/** More than this is not kept: the oldest pieces go first. */
export const keptBytes = 512 * 1024
const followMs = 1000

/** A read piece and the place of its first byte. */
interface Piece {
  readonly startBytes: number
  readonly text: string
}

export class Tail {
  readonly #world: World
  readonly #agentId: string
  readonly #path: string
  readonly #onView: (view: TailView) => void
  #pieces: Piece[] = []
  #endBytes: number | undefined
  #restarted = false
  #failures = 0
  #timer: Timer | undefined
  #stopped = true
  /** One request chain at a time: a look back and a look ahead must not move the same pieces. */
  #busy: Promise<void> = Promise.resolve()

  constructor(world: World, agentId: string, path: string, onView: (view: TailView) => void) {
    this.#world = world
    this.#agentId = agentId
    this.#path = path
    this.#onView = onView
  }

  /** Reads the end and follows; also goes on after `stop`, where it was. */
  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.#queue(() => this.#follow())
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** One step further back in the file. */
  earlier(): void {
    this.#queue(() => this.#lookBack())
  }

  #queue(work: () => Promise<void>): void {
    this.#busy = this.#busy.then(async () => {
      if (this.#stopped) return
      try {
        await work()
      } catch (error) {
        this.#failed(error instanceof Error ? error.message : String(error))
      }
    })
  }

  async #follow(): Promise<void> {
    const lengthBytes = (await this.#read(-1, 0)).offset
    if (this.#endBytes === undefined) this.#endBytes = Math.max(0, lengthBytes - stepBytes)
    if (lengthBytes < this.#endBytes) {
      this.#pieces = []
      this.#endBytes = 0
      this.#restarted = true
    }
    while (this.#endBytes < lengthBytes && !this.#stopped) {
      const wanted = Math.min(lengthBytes - this.#endBytes, stepBytes)
      const { data } = await this.#read(this.#endBytes, wanted)
      if (data === '') break
      const taken = wholeCharacters(data, wanted)
      if (taken.sizeBytes === 0) break
      this.#pieces.push({ startBytes: this.#endBytes, text: taken.text })
      this.#endBytes += taken.sizeBytes
      this.#forget()
    }
    if (this.#stopped) return
    this.#failures = 0
    this.#show('following', '')
    this.#again(followMs)
  }

  async #lookBack(): Promise<void> {
    const startBytes = this.#startBytes()
    const fromBytes = Math.max(0, startBytes - stepBytes)
    if (fromBytes === startBytes) return
    const { data } = await this.#read(fromBytes, startBytes - fromBytes)
    if (this.#stopped) return
    this.#pieces.unshift({ startBytes: fromBytes, text: data })
    this.#show('following', '')
  }

  async #read(offset: number, length: number): Promise<{ offset: number; data: string }> {
    const query = new URLSearchParams({
      agent_id: this.#agentId,
      path: this.#path,
      offset: String(offset),
      ...(offset < 0 ? {} : { length: String(length) }),
    })
    const reply = await this.#world.get(`files/read?${query}`)
    if (reply.status !== 200) {
      throw new Error((await reply.text()).trim() || `the master answered ${reply.status}`)
    }
    return (await reply.json()) as { offset: number; data: string }
  }

  #failed(problem: string): void {
    if (this.#stopped) return
    this.#show('failed', problem)
    this.#again(backoffMs(++this.#failures))
  }

  #again(waitMs: number): void {
    this.#timer?.cancel()
    this.#timer = this.#world.delay(waitMs, () => this.#queue(() => this.#follow()))
  }

  #forget(): void {
    const end = this.#endBytes ?? 0
    while (this.#pieces.length > 1 && end - this.#startBytes() > keptBytes) this.#pieces.shift()
  }

  #startBytes(): number {
    return this.#pieces[0]?.startBytes ?? this.#endBytes ?? 0
  }

  #show(status: TailView['status'], problem: string): void {
    this.#onView({
      text: this.#pieces.map(piece => piece.text).join(''),
      startBytes: this.#startBytes(),
      endBytes: this.#endBytes ?? 0,
      status,
      problem,
      restarted: this.#restarted,
    })
  }
}

const replacement = '\uFFFD'

/** No character takes more bytes in UTF-8. */
const characterBytesMax = 4

/**
 * A read can end inside a character, which then comes as U+FFFD. That character is left for the
 * next read, which begins where it begins. Only when the rest is clean text: in binary data U+FFFD
 * stands everywhere and says nothing.
 */
export function wholeCharacters(
  data: string,
  readBytes: number,
): { text: string; sizeBytes: number } {
  const all = { text: data, sizeBytes: readBytes }
  if (!data.endsWith(replacement)) return all
  const text = data.slice(0, -1)
  const tornAlone = text === '' && readBytes < characterBytesMax
  if (text.includes(replacement) || (text === '' && !tornAlone)) return all
  return { text, sizeBytes: new TextEncoder().encode(text).length }
}

const escape = String.fromCharCode(27)
const escapeSequence = new RegExp(`${escape}\\[[0-9;?]*[ -/]*[@-~]`, 'g')

/** Without colour codes and cursor moves, which a terminal obeys and a page would show as noise. */
export function plainText(text: string): string {
  return text.replace(escapeSequence, '')
}
