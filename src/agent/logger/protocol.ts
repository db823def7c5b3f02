// What an agent and its log writer say to each other: lines of JSON, on the writer's standard input and output.
//
//   agent                                  log writer
//   ─────                                  ──────────
//                           ◀── ready      these containers an agent before had opened: they are written on
//   open ──▶                               makes two FIFOs, opens them to read
//                           ◀── opened, or failed
//   opens them, for the container
//   start ─▶                               reads; their end is that of the last process that has them
//                           ◀── ended      all is in the files, and the FIFOs are gone
//
// `open` is kept as a file as well, from which the next writer goes on.

import * as v from 'valibot'

const Count = v.pipe(v.number(), v.integer(), v.minValue(0))
const Rotation = v.object({ maxBytes: v.pipe(Count, v.minValue(1)), keep: Count })
const Id = v.pipe(v.string(), v.regex(/^[\w-][\w.-]*$/), v.maxLength(255))

/** Where one container's output goes. */
export const Destination = v.object({
  id: Id,
  /** The directory of the files. */
  directory: v.string(),
  owner: v.optional(v.object({ uid: Count, gid: Count })),
  stdout: Rotation,
  stderr: Rotation,
})
export type Destination = v.InferOutput<typeof Destination>

export const Request = v.union([v.object({ open: Destination }), v.object({ start: Id })])
export type Request = v.InferOutput<typeof Request>

export const Report = v.union([
  v.object({ ready: v.array(v.string()) }),
  v.object({ opened: v.string() }),
  v.object({ failed: v.string(), why: v.string() }),
  v.object({ ended: v.string() }),
  v.object({ warning: v.string(), of: v.string() }),
])
export type Report = v.InferOutput<typeof Report>

/** Calls `act` with each line of a stream of bytes, without its end. */
export function lineReader(act: (line: string) => void): (bytes: Buffer | string) => void {
  let rest = ''
  return bytes => {
    const lines = (rest + bytes.toString()).split('\n')
    rest = lines.pop()!
    for (const line of lines) act(line)
  }
}

/** A line as one of these messages; undefined if it is none. */
export function parseLine<T>(schema: v.GenericSchema<unknown, T>, line: string): T | undefined {
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch {
    return undefined
  }
  const parsed = v.safeParse(schema, json)
  return parsed.success ? parsed.output : undefined
}

export const pipesDir = (directory: string): string => `${directory}/containers`
export const pipeDir = (directory: string, id: string): string => `${pipesDir(directory)}/${id}`
