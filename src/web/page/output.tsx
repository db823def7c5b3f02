// The end of a file, live; from there back to its beginning, step by step.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { formatBytes } from './format.ts'
import { plainText, stepBytes, Tail, type TailView } from './tail.ts'
import type { World } from './world.ts'

export interface OutputProps {
  readonly world: World
  readonly agentId: string
  /** The file, as the master's `/files` routes name it. */
  readonly path: string
}

export function Output({ world, agentId, path }: OutputProps) {
  const { view, earlier } = useTail(world, agentId, path)
  const box = useRef<HTMLPreElement>(null)
  const [atEnd, setAtEnd] = useState(true)
  const heightBefore = useRef(0)

  // At the end one stays at the end; elsewhere what one reads stays where it is, though text comes
  // above or below it.
  useLayoutEffect(() => {
    const pre = box.current
    if (!pre) return
    if (atEnd) pre.scrollTop = pre.scrollHeight
    else if (heightBefore.current > 0) pre.scrollTop += pre.scrollHeight - heightBefore.current
    heightBefore.current = 0
  }, [view?.text, atEnd])

  const onScroll = () => {
    const pre = box.current
    if (pre) setAtEnd(pre.scrollHeight - pre.scrollTop - pre.clientHeight < 24)
  }
  const onEarlier = () => {
    heightBefore.current = box.current?.scrollHeight ?? 0
    setAtEnd(false)
    earlier()
  }

  const text = plainText(view?.text ?? '')
  return (
    <div class="output">
      <div class="output-head">
        <Status view={view} />
        {view && view.startBytes > 0 && (
          <button type="button" class="quiet" onClick={onEarlier}>
            Show {formatBytes(Math.min(stepBytes, view.startBytes))} before
          </button>
        )}
        {!atEnd && (
          <button type="button" class="quiet" onClick={() => setAtEnd(true)}>
            To the end
          </button>
        )}
      </div>
      {/* Scrolls, so it must be reachable by keyboard. */}
      <pre ref={box} tabIndex={0} aria-label={`Text of ${path}`} onScroll={onScroll}>
        {text}
        {text === '' && <span class="none">{view?.status === 'following' ? '(empty)' : ''}</span>}
      </pre>
    </div>
  )
}

function Status({ view }: { readonly view: TailView | undefined }) {
  if (!view) return <span class="output-status">Loading…</span>
  if (view.status === 'failed') {
    return (
      <span class="output-status bad" role="status">
        Cannot read it: {view.problem} … trying again.
      </span>
    )
  }
  const part = view.startBytes > 0 ? `from byte ${view.startBytes.toLocaleString('en-US')} of ` : ''
  return (
    <span class="output-status">
      <span class="fresh live">Following</span> {part}
      {formatBytes(view.endBytes)}
      {view.restarted && ' · the file was cut or written anew, shown from its new beginning'}
    </span>
  )
}

/** Follows while the page is seen. */
function useTail(world: World, agentId: string, path: string) {
  const [view, setView] = useState<TailView | undefined>(undefined)
  const tail = useRef<Tail | undefined>(undefined)
  useEffect(() => {
    const current = new Tail(world, agentId, path, setView)
    tail.current = current
    const follow = () => (document.hidden ? current.stop() : current.start())
    follow()
    document.addEventListener('visibilitychange', follow)
    return () => {
      document.removeEventListener('visibilitychange', follow)
      current.stop()
    }
  }, [world, agentId, path])
  return { view, earlier: () => tail.current?.earlier() }
}
