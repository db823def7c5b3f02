import { fork } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { systemClock } from '../../src/actors/system-clock.ts'
import { deferred } from '../../src/base/deferred.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { Acceptor } from '../../src/log/acceptor.ts'
import { FileStorage, type FileStorageOptions } from '../../src/log/file-storage.ts'
import { type LogFile, type LogFiles, systemFiles } from '../../src/log/files.ts'
import { lockDirectory } from '../../src/log/lock-file.ts'
import { chosen } from '../../src/log/proposer.ts'
import { type LogEntry, readLog, viewLog } from '../../src/log/read-log.ts'
import { encodeBatch, encodeHeader, HEADER_BYTES, type StoredRecord } from '../../src/log/record.ts'
import { indexName, scanSegment, sequenceOf } from '../../src/log/segment.ts'
import {
  appendOf,
  DamagedLogError,
  type ReplicaRecord,
  type Storage,
  type Written,
} from '../../src/log/storage.ts'
import type { Value } from '../../src/messages/log.ts'
import { surveyLog } from '../../src/log/survey.ts'
import { MemoryDisk } from '../../src/sim/memory-storage.ts'

if (process.argv[2] === 'hold') {
  await lockDirectory(process.argv[3]!)
  process.send!('held')
  await new Promise(() => setInterval(() => {}, 1_000))
}

const text = (read: Written | Value): string => {
  const value = 'value' in read ? read.value : read
  return value.type === 'APPEND' ? Buffer.from(value.bytes).toString() : value.type
}
const write = (position: number, content: string, proposal = 1): ReplicaRecord => ({
  type: 'write',
  position,
  proposal,
  learned: false,
  value: appendOf(Buffer.from(content)),
})
const chosenWrite = (position: number, content: string): ReplicaRecord =>
  ({ ...write(position, content), learned: true }) as ReplicaRecord
const learned = (position: number, proposal = 1): ReplicaRecord => ({
  type: 'learned',
  position,
  proposal,
})
const VOTING = { type: 'metadata', status: 'VOTING', promised: 1 } as const

/** Opens, and returns all records with readable values. */
async function open(storage: Storage) {
  const records: ReplicaRecord[] = []
  const acceptor = new Acceptor()
  const warnings = await openFor(storage, acceptor, record => {
    if (record.type === 'sealed') return
    // The bytes are a view that is valid during the call only.
    records.push(
      record.type === 'write' && record.value.type === 'APPEND'
        ? { ...record, value: appendOf(Buffer.from(record.value.bytes)) }
        : record,
    )
  })
  return { records, warnings, acceptor }
}

async function opened(options: FileStorageOptions): Promise<FileStorage> {
  const storage = new FileStorage(options)
  await openFor(storage, new Acceptor())
  return storage
}

/** Opens it for a replica, which all that is written then is about. */
function openFor(storage: Storage, acceptor: Acceptor, seen?: (record: ReplicaRecord) => void) {
  const persist = storage.persist.bind(storage)
  storage.persist = records => {
    for (const record of records) acceptor.apply(record)
    return persist(records)
  }
  const note = storage.note.bind(storage)
  storage.note = records => {
    for (const record of records) acceptor.apply(record)
    note(records)
  }
  return storage.open(
    record => {
      seen?.(record)
      acceptor.apply(record)
    },
    () => acceptor.snapshot(),
  )
}

/** The system's files. What makes those that are written durable is done `through` this. */
function syncedBy(through: <T>(sync: () => Promise<T>) => Promise<T>): LogFiles {
  return {
    ...systemFiles,
    async open(path, flags, how): Promise<LogFile> {
      const file = await systemFiles.open(path, flags, how)
      if (!how?.isDurable) return file
      return {
        read: (...what) => file.read(...what),
        write: (...what) => through(() => file.write(...what)),
        truncate: sizeBytes => file.truncate(sizeBytes),
        datasync: () => through(() => file.datasync()),
        close: () => file.close(),
      }
    },
  }
}

const segments = (dir: string): string[] =>
  readdirSync(dir).filter(name => /^segment-.*\.log$/.test(name))
const content = (dir: string): string =>
  segments(dir)
    .map(
      name =>
        `${name} ${readFileSync(join(dir, name)).toString('hex')} ${statSync(join(dir, name)).mtimeMs}`,
    )
    .join('\n')

async function collect(entries: AsyncIterable<LogEntry>): Promise<string[]> {
  const out: string[] = []
  for await (const e of entries) {
    out.push(
      `${e.position} ${e.type === 'APPEND' ? Buffer.from(e.bytes!).toString() : e.type}${e.learned ? '' : ' ?'}`,
    )
  }
  return out
}

// Every storage

for (const [name, disk] of [
  ['memory', () => new MemoryDisk()],
  ['file', () => undefined],
] as const) {
  t.test(
    `${name}: what was persisted is there again, in order, with what was noted before`,
    async t => {
      const memory = disk()
      const directory = join(t.testdir(), 'replicated_log')
      const make = (): Storage => memory?.storage(systemClock, 0) ?? new FileStorage({ directory })
      const first = make()
      t.match(await open(first), { records: [], warnings: [] })
      const script = [
        VOTING,
        write(0, 'a'),
        learned(0),
        { type: 'promise', position: 1, promised: 4 } as const,
      ]
      await first.persist([script[0]!, script[1]!])
      first.note([script[2]!])
      await first.persist([script[3]!])
      first.note([write(1, 'b', 4)])
      t.equal(text(await first.read(0)), 'a')
      t.equal(text(await first.read(1)), 'b', 'before it is on disk')
      await first.close()

      const second = make()
      const { records, warnings } = await open(second)
      t.same(records, [...script, write(1, 'b', 4)])
      t.same(warnings, [])
      t.equal(text(await second.read(0)), 'a')
      const before = second.read(1)
      await second.persist([write(1, 'c', 5)])
      t.equal(text(await before), 'b', 'as of the call')
      t.equal(text(await second.read(1)), 'c')
      await second.close()
    },
  )
}

// Files

t.test('records that arrive while a sync is under way share the next', async t => {
  const directory = join(t.testdir(), 'log')
  let syncs = 0
  const started = deferred()
  const held = deferred()
  const storage = await opened({
    directory,
    files: syncedBy(async sync => {
      syncs++
      started.resolve()
      await held.promise
      return sync()
    }),
  })
  const first = storage.persist([VOTING])
  await started.promise
  const rest = Array.from({ length: 100 }, (_, i) => storage.persist([write(i, `${i}`)]))
  held.resolve()
  await first
  t.equal(syncs, 1)
  await Promise.all(rest)
  t.equal(syncs, 2)
  await storage.close()
})

t.test('after a failed sync nothing is taken any more, and nothing is tried again', async t => {
  const failures = [
    { code: 'EIO', what: 'input/output error', hint: /dmesg/ },
    { code: 'ENOSPC', what: 'no space left on device', hint: /Make room/ },
  ]
  for (const { code, what, hint } of failures) {
    const directory = join(t.testdir(), `log-${code}`)
    let fail = false
    let syncs = 0
    const storage = await opened({
      directory,
      files: syncedBy(async sync => {
        syncs++
        if (fail) throw Object.assign(new Error(what), { code })
        return sync()
      }),
    })
    await storage.persist([VOTING])
    fail = true
    const [a, b] = [storage.persist([write(0, 'a')]), storage.persist([write(1, 'b')])]
    await t.rejects(a, { code: 'store_failed', message: new RegExp(what) })
    await t.rejects(b, { code: 'store_failed', hint })
    fail = false
    await t.rejects(storage.persist([write(2, 'c')]), { code: 'store_failed' })
    t.equal(syncs, 2)
    await storage.close()
  }
})

t.test('what is only to be taken up in advance need not fit', async t => {
  const directory = join(t.testdir(), 'log')
  let room = Infinity
  const files: LogFiles = {
    ...systemFiles,
    async open(path, flags, how): Promise<LogFile> {
      const file = await systemFiles.open(path, flags, how)
      return {
        read: (...what) => file.read(...what),
        write: (bytes, offset, length, position) => {
          const fits = Math.min(length, room - position)
          if (fits > 0) return file.write(bytes, offset, fits, position)
          throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
        },
        truncate: sizeBytes => file.truncate(sizeBytes),
        datasync: () => file.datasync(),
        close: () => file.close(),
      }
    },
  }
  const storage = await opened({ directory, files, reserveBytes: 100 })
  await storage.persist([VOTING])
  room = 400
  for (let p = 0; p < 8; p++) await storage.persist([write(p, `value ${p}`)])
  await t.rejects(storage.persist([write(8, 'x'.repeat(400))]), {
    code: 'store_failed',
    hint: /Make room/,
  })
  await storage.close()
  const again = new FileStorage({ directory })
  const { records } = await open(again)
  t.equal(records.filter(({ type }) => type === 'write').length, 8)
  await again.close()
})

t.test(
  'segments roll, are given back below the truncation, and the log is read without them',
  async t => {
    for (const retainBytes of [0, 400, Infinity]) {
      const directory = join(t.testdir(), `log-${retainBytes}`)
      const options = { directory, segmentBytes: 150, retainBytes }
      const storage = await opened(options)
      await storage.persist([VOTING])
      for (let p = 0; p < 14; p++) await storage.persist([chosenWrite(p, `value ${p}`)])
      const before = segments(directory).length
      t.ok(before >= 4)
      storage.note([
        {
          type: 'write',
          position: 14,
          proposal: 1,
          learned: true,
          value: { type: 'TRUNCATE', to: 13 },
        },
      ])
      await storage.persist([])
      const reading = storage.read(12)
      await storage.truncate(13)
      t.equal(text(await reading), 'value 12', 'a read under way is completed')
      const left = segments(directory)
      if (retainBytes === 0) t.equal(left.length, 1)
      else if (retainBytes === Infinity) t.equal(left.length, before)
      else t.ok(left.length > 1 && left.length < before)
      await storage.close()

      const again = new FileStorage(options)
      const { acceptor } = await open(again)
      t.equal(acceptor.metadata.status, 'VOTING')
      t.match(acceptor, { begin: 13, end: 14, learnedBelow: 15 })
      t.equal(text(await again.read(13)), 'value 13')
      await again.close()

      const entries = await collect(readLog(directory))
      if (retainBytes === Infinity) t.equal(entries.length, 15)
      else t.ok(entries.length < 15)
      t.match((await viewLog(directory)).begin, 13)
    }
  },
)

t.test('a replica restarted from segments that rolled and went is the one before', async t => {
  const describe = (a: Acceptor) => ({
    metadata: a.metadata,
    begin: a.begin,
    end: a.end,
    held: Array.from({ length: 100 }, (_, p) => a.at(p)),
    missing: a.missing(0, 99, 100),
  })
  for (let seed = 1; seed <= 3; seed++) {
    const random = new SeededRandom(seed)
    const options = { directory: join(t.testdir(), `log-${seed}`), segmentBytes: 200 }
    let gone = 0
    let acceptor = new Acceptor()
    let storage = new FileStorage(options)
    await storage.open(
      record => acceptor.apply(record),
      () => acceptor.snapshot(),
    )
    const start = acceptor.become('VOTING', 1)
    for (const record of start) acceptor.apply(record)
    await storage.persist(start)
    // Each position is written, and learned a while later: often the one is in a segment that goes, the other is not.
    for (let p = 0; p < 60; p++) {
      const value: Value =
        p % 20 === 19 ? { type: 'TRUNCATE', to: p - 3 } : appendOf(Buffer.from(`value ${p}`))
      await storage.persist(acceptor.write({ proposal: 1, position: p, values: [value] }).persist)
      if (random.next() < 0.2)
        await storage.persist(acceptor.promise({ proposal: 1, position: p + 1 }).persist)
      if (p < 5) continue
      const position = p - 5
      const held = acceptor.at(position)?.performed
      if (!held) continue
      const learnt =
        held.value.type === 'APPEND' ? (await storage.read(position)).value : (held.value as Value)
      await storage.persist(acceptor.learned(chosen(position, 1, learnt)))
      await storage.truncate(acceptor.begin)
      if (random.next() < 0.5) continue

      await storage.close()
      gone = Number(/(\d+)\.log/.exec(segments(options.directory)[0]!)![1]) - 1
      const again = new Acceptor()
      storage = new FileStorage(options)
      await storage.open(
        record => again.apply(record),
        () => again.snapshot(),
      )
      t.same(describe(again), describe(acceptor), `seed ${seed}, after ${p}`)
      const { damages, breaches } = await surveyLog(options.directory)
      t.same([...damages, ...breaches], [], 'nothing of it may not be')
      acceptor = again
    }
    t.ok(gone > 3, `${gone} segments went`)
    await storage.close()
  }
})

t.test('values are found in all segments, after a restart with and without indexes', async t => {
  const options = { directory: join(t.testdir(), 'log'), segmentBytes: 250 }
  let storage = await opened(options)
  await storage.persist([VOTING])
  for (let p = 0; p < 80; p++) await storage.persist([chosenWrite(p, `value ${p}`)])
  const check = async (which: string): Promise<void> => {
    t.ok(segments(options.directory).length > 5)
    for (let p = 0; p < 80; p++)
      t.equal(text(await storage.read((p * 37) % 80)), `value ${(p * 37) % 80}`, which)
  }
  await check('written')
  for (const which of ['indexed', 'without', 'damaged']) {
    await storage.close()
    const indexes = readdirSync(options.directory).filter(name => name.endsWith('.index'))
    t.equal(indexes.length, segments(options.directory).length - 1)
    for (const [i, name] of indexes.entries()) {
      const file = join(options.directory, name)
      if (which === 'without' && i % 2 === 0) rmSync(file)
      if (which === 'damaged') writeFileSync(file, readFileSync(file).subarray(0, 70 - i))
    }
    storage = new FileStorage(options)
    const { records, acceptor } = await open(storage)
    t.ok(records.length < 20, `${records.length} records are read of a log of 80`)
    t.match(acceptor, { end: 79, learnedBelow: 80, metadata: { status: 'VOTING' } })
    await check(which)
  }
  await storage.close()
})

t.test('that the last segment is missing is known by the index of the one before it', async t => {
  const options = { directory: join(t.testdir(), 'log'), segmentBytes: 400 }
  const storage = await opened(options)
  for (let p = 0; p < 20; p++) await storage.persist([chosenWrite(p, `value ${p}`)])
  await storage.close()
  const last = join(options.directory, segments(options.directory).at(-1)!)
  const bytes = readFileSync(last)
  rmSync(last)
  await t.rejects(opened(options), {
    code: 'data_damaged',
    message: /segment behind it is missing/,
  })
  bytes[60]! ^= 1
  writeFileSync(last, bytes.subarray(0, 200))
  await t.rejects(opened(options), { code: 'data_damaged', message: /begins with has a wrong/ })
})

t.test('what is damaged is put aside, also by the second who tries', async t => {
  const options = { directory: join(t.testdir(), 'log'), segmentBytes: 400 }
  const storage = await opened(options)
  for (let p = 0; p < 20; p++) await storage.persist([chosenWrite(p, `value ${p}`)])
  await storage.close()
  const names = segments(options.directory)
  const before = readFileSync(join(options.directory, names[0]!))
  // A process that died when the mark was there, and one that died before the mark was gone.
  for (const died of ['at first', 'at last']) {
    writeFileSync(join(options.directory, 'starting-over'), '')
    const again = new FileStorage(options)
    await t.rejects(open(again), { code: 'data_damaged', message: /being put aside/ }, died)
    await again.startOver()
    const { acceptor, records } = await open(again)
    t.same(records, [{ type: 'metadata', status: 'RECOVERING', promised: 0 }])
    t.equal(acceptor.metadata.status, 'RECOVERING')
    await again.persist([chosenWrite(7, 'new')])
    t.equal(text(await again.read(7)), 'new')
    await again.close()
    t.same(segments(join(options.directory, 'damaged')), names)
    t.same(readFileSync(join(options.directory, 'damaged', names[0]!)), before)
  }
})

t.test('of a log that was put aside nothing is true of the one that takes its place', async t => {
  const options = { directory: join(t.testdir(), 'log'), segmentBytes: 300 }
  const storage = await opened(options)
  for (let p = 0; p < 40; p++) await storage.persist([chosenWrite(p, `value ${p}`)])
  await storage.truncate(30)
  for (let p = 40; p < 57; p++) await storage.persist([chosenWrite(p, `value ${p}`)])
  await storage.close()
  const name = segments(options.directory).at(-1)!
  const last = join(options.directory, name)
  const bytes = readFileSync(last)
  const offsets: number[] = []
  scanSegment(last, bytes, sequenceOf(name)!, true, (_, offset) => offsets.push(offset))
  t.ok(offsets.length > 2, 'what was restated is read before the damage')
  bytes[offsets[1]! + 10]! ^= 1
  writeFileSync(last, bytes)

  const again = new FileStorage(options)
  await t.rejects(open(again), { code: 'data_damaged' })
  await again.startOver()
  await open(again)
  for (let p = 0; p < 20; p++) await again.persist([chosenWrite(p, `value ${p}`)])
  await again.truncate(0)
  t.equal(text(await again.read(0)), 'value 0', 'the old one began at 30')
  await again.close()
  rmSync(join(options.directory, segments(options.directory)[0]!))
  // The old one had released more than that.
  await t.rejects(opened(options), { code: 'data_damaged', message: /missing though it was still/ })
})

t.test('what is marked learned, but was written in a segment that went, stops nobody', async t => {
  const options = { directory: join(t.testdir(), 'log'), segmentBytes: 200 }
  const storage = await opened(options)
  await storage.persist([VOTING, write(0, 'x'.repeat(200))])
  await storage.persist([learned(0), write(1, 'y')])
  await storage.truncate(1)
  t.equal(segments(options.directory).length, 1)
  await storage.close()
  const acceptor = new Acceptor()
  const again = new FileStorage(options)
  await openFor(again, acceptor)
  t.match(acceptor, { begin: 1, end: 1, metadata: { status: 'VOTING' } })
  await again.close()
})

t.test('a tombstone that went with its segment still counts for the end', async t => {
  const options = { directory: join(t.testdir(), 'log'), segmentBytes: 200 }
  const storage = await opened(options)
  const tombstone: ReplicaRecord = {
    type: 'write',
    position: 8,
    proposal: 1,
    learned: true,
    value: { type: 'NOP', tombstone: true },
  }
  await storage.persist([VOTING, write(0, 'x'.repeat(200)), tombstone])
  await storage.persist([{ type: 'metadata', status: 'VOTING', promised: 2 }])
  await storage.truncate(9)
  t.equal(segments(options.directory).length, 1)
  await storage.close()
  const acceptor = new Acceptor()
  const again = new FileStorage(options)
  await openFor(again, acceptor)
  t.match(acceptor, { begin: 9, end: 8 })
  await again.close()
})

t.test(
  'a promise survives a first batch torn at any byte, and the truncation after it',
  async t => {
    const promise: ReplicaRecord = { type: 'metadata', status: 'VOTING', promised: 7 }
    const make = async (directory: string): Promise<FileStorageOptions> => {
      const options = { directory, segmentBytes: 200 }
      const storage = await opened(options)
      await storage.persist([promise, write(0, 'x'.repeat(200))])
      await storage.persist([write(1, 'torn')])
      await storage.close()
      return options
    }
    const first = await make(join(t.testdir(), 'whole'))
    const whole = readFileSync(join(first.directory, segments(first.directory)[1]!)).length
    for (let length = 0; length <= whole; length++) {
      const options = await make(join(t.testdir(), `log-${length}`))
      const { directory } = options
      const second = join(directory, segments(directory)[1]!)
      writeFileSync(second, readFileSync(second).subarray(0, length))
      // It is made when the first batch is on disk.
      rmSync(join(directory, indexName(1)))
      const storage = await opened(options)
      await storage.persist([write(1, 'again')])
      await storage.truncate(1)
      t.equal(segments(directory).length, 1)
      await storage.close()
      const { records } = await open(new FileStorage(options))
      t.same(
        records.find(r => r.type === 'metadata'),
        promise,
        `${length} bytes`,
      )
    }
  },
)

t.test(
  'a crash left the last segment empty, and all before it can go: nothing is forgotten',
  async t => {
    const options = { directory: join(t.testdir(), 'log'), segmentBytes: 300 }
    const storage = await opened(options)
    await storage.persist([{ ...VOTING, promised: 7 }])
    for (let p = 0; p < 9; p++) await storage.persist([chosenWrite(p, `value ${p}`)])
    await storage.persist([{ type: 'truncated', begin: 9 }])
    await storage.close()
    const before = segments(options.directory).length
    const next = `segment-${String(before + 1).padStart(20, '0')}.log`
    writeFileSync(join(options.directory, next), '')

    const again = await opened(options)
    await again.truncate(9)
    t.same(segments(options.directory), [next])
    await again.close()
    const last = new FileStorage(options)
    const { acceptor } = await open(last)
    t.match(acceptor, { metadata: { status: 'VOTING', promised: 7 }, begin: 9, end: 8 })
    await last.close()
  },
)

t.test('segments go one by one, the oldest first, each synced before the next', async t => {
  const directory = join(t.testdir(), 'log')
  const seen: string[][] = []
  const storage = await opened({
    directory,
    segmentBytes: 150,
    files: {
      ...systemFiles,
      syncDirectory: async path => {
        if (path === directory) seen.push(segments(directory))
      },
    },
  })
  for (let p = 0; p < 20; p++) await storage.persist([chosenWrite(p, `value ${p}`)])
  const before = segments(directory)
  t.ok(before.length > 4)
  seen.length = 0
  await Promise.all([storage.truncate(12), storage.truncate(20)])
  await storage.close()
  t.same(
    seen.filter(names => names.length < before.length),
    before.slice(1).map((_, i) => before.slice(i + 1)),
  )
})

t.test('closing waits for a truncation: afterwards nothing goes any more', async t => {
  const directory = join(t.testdir(), 'log')
  const storage = await opened({ directory, segmentBytes: 150 })
  for (let p = 0; p < 40; p++) await storage.persist([chosenWrite(p, `value ${p}`)])
  let ended = false
  void storage.truncate(40).then(() => (ended = true))
  await storage.close()
  t.ok(ended)
  t.equal(segments(directory).length, 1)
})

t.test(
  'what a process wrote but did not sync is synced by the next, before it is used',
  async t => {
    const directory = join(t.testdir(), 'log')
    const storage = await opened({ directory })
    await storage.persist([VOTING])
    await storage.close()
    const synced: string[] = []
    const again = new FileStorage({
      directory,
      files: {
        ...syncedBy(sync => {
          synced.push('file')
          return sync()
        }),
        syncDirectory: async path => void synced.push(path),
      },
    })
    await openFor(again, new Acceptor())
    t.same(synced.sort(), [directory, 'file'].sort())
    await again.close()
  },
)

// Damage. A small log: four batches, of which the second has two records.

const batches: readonly (readonly StoredRecord[])[] = [
  [VOTING],
  [write(0, 'first'), write(1, 'second')],
  [learned(0), learned(1)],
  [write(2, 'third')],
]

function segment(sequence: number, content: readonly (readonly StoredRecord[])[] = batches) {
  let bytes: Buffer = encodeHeader({ sequence, replicaId: 'ab'.repeat(16) })
  const offsets: number[] = []
  for (const records of content) {
    offsets.push(bytes.length)
    bytes = Buffer.concat([bytes, encodeBatch(records, sequence, bytes.length)])
  }
  return { bytes, offsets }
}

/** How many batches are read, and how the reading ends. */
function scan(bytes: Buffer, last: boolean) {
  let read = 0
  try {
    const { validBytes, warning } = scanSegment('f', bytes, 3, last, () => read++)
    return { read, end: warning ? 'torn' : 'clean', at: warning?.offset ?? validBytes }
  } catch (error) {
    if (!(error instanceof DamagedLogError)) throw error
    return { read, end: 'damaged', at: error.offset }
  }
}

t.test('a flipped bit: damage, but in the last batch of the last segment a torn tail', async t => {
  const { bytes, offsets } = segment(3)
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[at]! ^= 1 << bit
      const hit = offsets.filter(offset => offset <= at).length - 1
      const start = hit < 0 ? 0 : offsets[hit]!
      const read = Math.max(0, hit)
      const where = `byte ${at}, bit ${bit}`
      t.strictSame(scan(flipped, false), { read, end: 'damaged', at: start }, where)
      const end = hit === offsets.length - 1 ? 'torn' : 'damaged'
      t.strictSame(scan(flipped, true), { read, end, at: start }, where)
    }
  }
})

t.test('cut short: a torn tail at the end of the log, damage before it', async t => {
  const { bytes, offsets } = segment(3)
  const ends = [...offsets, bytes.length]
  for (let length = 0; length < bytes.length; length++) {
    const cut = bytes.subarray(0, length)
    const read = Math.max(0, ends.filter(end => end <= length).length - 1)
    const whole = length < HEADER_BYTES ? 0 : ends[read]!
    // What follows may be zeros that were to be overwritten.
    const clean = cut.subarray(whole).every(byte => byte === 0)
    t.strictSame(
      scan(cut, true),
      { read, end: clean ? 'clean' : 'torn', at: whole },
      `${length} bytes`,
    )
    if (!clean || whole === 0) {
      t.strictSame(
        scan(cut, false),
        { read, end: 'damaged', at: whole },
        `${length} bytes, not the last`,
      )
    }
    // What a power loss can leave beside that: the file has its length, but not its content.
    const zeros = Buffer.concat([cut, Buffer.alloc(bytes.length - length)])
    t.strictSame(scan(zeros, true).read, zeros.equals(bytes) ? batches.length : read)
  }
})

t.test('a piece of a log inside an entry is not taken for a batch behind a torn one', async t => {
  const inner = segment(3).bytes
  const outer = segment(3, [
    [VOTING],
    [{ ...write(0, ''), value: appendOf(inner) } as ReplicaRecord],
  ])
  t.match(scan(outer.bytes.subarray(0, outer.bytes.length - 1), true), { read: 1, end: 'torn' })
})

t.test('a torn entry that looks like batches everywhere is cut as soon as any other', async t => {
  const header = encodeHeader({ sequence: 1, replicaId: '0'.repeat(32) })
  // At every fifth byte there is a length of 2 MiB, and the type where it has to be.
  const entry = Buffer.alloc(4 * 1024 * 1024, Buffer.from([0x00, 0x20, 0x00, 0x01, 0xff]))
  const torn = encodeBatch([write(0, '')], 1, HEADER_BYTES).subarray(0, 12)
  const bytes = Buffer.concat([header, torn, entry])
  const started = performance.now()
  t.match(
    scanSegment('a', bytes, 1, true, () => t.fail()),
    { warning: { cutBytes: 12 + entry.length } },
  )
  t.ok(performance.now() - started < 20_000)
  // A batch in the midst of it is found all the same.
  const at = HEADER_BYTES + 12 + 3_000_001
  encodeBatch([write(1, 'x'.repeat(700))], 1, at).copy(bytes, at)
  t.throws(() => scanSegment('a', bytes, 1, true, () => t.fail()), {
    code: 'data_damaged',
    message: new RegExp(`at byte ${at} valid`),
  })
})

t.test('a torn tail is cut with a warning, and writing goes on behind what is whole', async t => {
  const { bytes, offsets } = segment(1)
  const directory = t.testdir({
    [`segment-${'1'.padStart(20, '0')}.log`]: bytes.subarray(0, bytes.length - 3),
  })
  const [name] = segments(directory)

  const before = content(directory)
  const view = await viewLog(directory)
  t.equal(view.warnings.length, 1)
  t.same(await collect(view.entries()), ['0 first', '1 second'])
  t.equal(content(directory), before, 'a reader changes nothing')

  const storage = new FileStorage({ directory })
  const { records, warnings } = await open(storage)
  t.same(records, batches.slice(0, 3).flat())
  const cutBytes = bytes.length - 3 - offsets[3]!
  t.match(warnings, [{ file: join(directory, name!), offset: offsets[3], cutBytes }])
  t.match(warnings[0]!.message, `from byte ${offsets[3]} on`)
  await storage.persist([write(2, 'again')])
  await storage.close()
  t.same(await collect(readLog(directory)), ['0 first', '1 second', '2 again ?'])
})

t.test('a log that ends in half a header, or in an empty segment, goes on', async t => {
  for (const length of [0, 1, HEADER_BYTES - 1, HEADER_BYTES]) {
    const directory = join(t.testdir(), `log-${length}`)
    const storage = await opened({ directory })
    await storage.persist([VOTING])
    await storage.persist([write(0, 'a')])
    await storage.close()
    writeFileSync(
      join(directory, `segment-${'2'.padStart(20, '0')}.log`),
      encodeHeader({ sequence: 2, replicaId: 'cd'.repeat(16) }).subarray(0, length),
    )
    if (length === HEADER_BYTES) {
      await t.rejects(opened({ directory }), /belongs to another replica/)
      continue
    }
    const again = new FileStorage({ directory })
    const { records, warnings } = await open(again)
    t.equal(records.length, 2)
    t.equal(warnings.length, length === 0 ? 0 : 1)
    await again.persist([write(1, 'b')])
    await again.close()
    t.same(await collect(readLog(directory)), ['0 a ?', '1 b ?'])
  }
})

t.test(
  'damage stops the opening, naming file, byte and what to do; readers get what is before it',
  async t => {
    const make = async (name: string): Promise<string> => {
      const directory = join(t.testdir(), name)
      const storage = await opened({ directory, segmentBytes: 150 })
      await storage.persist([VOTING])
      for (let p = 0; p < 14; p++) await storage.persist([chosenWrite(p, `value ${p}`)])
      await storage.close()
      t.equal(segments(directory).length, 4)
      return directory
    }
    const file = (directory: string, n: number): string =>
      join(directory, segments(directory)[n - 1]!)
    // What is done to it, what is said, and how many entries a reader gets (negative: how many at the front it does not).
    const cases: Record<string, [(directory: string) => void, RegExp, number]> = {
      'bit in a closed segment': [
        d => {
          const bytes = readFileSync(file(d, 2))
          bytes[100]! ^= 1
          writeFileSync(file(d, 2), bytes)
          rmSync(join(d, indexName(2)))
        },
        /segment-0+2\.log is damaged at byte \d+: .*later segments exist/,
        5,
      ],
      'closed segment cut between two batches': [
        d => {
          const bytes = readFileSync(file(d, 2))
          const { offsets } = scanOffsets(bytes, 2)
          writeFileSync(file(d, 2), bytes.subarray(0, offsets.at(-1)))
        },
        /segment-0+2\.log is damaged at byte \d+: it has \d+ bytes but had \d+ when it was closed/,
        7,
      ],
      'segment missing in the middle': [
        d => rmSync(file(d, 3)),
        /before it, segment-0+3\.log, is missing/,
        8,
      ],
      'segment missing at the front': [
        d => rmSync(file(d, 1)),
        /before it, segment-0+1\.log, is missing though/,
        -4,
      ],
      'segment under another name': [
        d => {
          copyFileSync(file(d, 2), `${d}/x`)
          renameSync(`${d}/x`, file(d, 3))
        },
        /its name says segment 3, its header segment 2/,
        8,
      ],
      'written by a later version': [
        d => {
          const header = readFileSync(file(d, 1))
          header.writeUInt32BE(9, 8)
          header.writeUInt32BE(crc32(header.subarray(0, 36)), 36)
          writeFileSync(file(d, 1), header)
        },
        /format version is 9, which this version does not know/,
        0,
      ],
    }
    for (const [name, [damage, message, entries]] of Object.entries(cases)) {
      const directory = await make(name.replaceAll(' ', '-'))
      damage(directory)
      const before = content(directory)
      const error = await new FileStorage({ directory })
        .open(
          () => {},
          () => [],
        )
        .then(
          () => t.fail(`${name}: it opened`),
          (e: unknown) => e,
        )
      t.ok(error instanceof DamagedLogError, name)
      t.match(
        error,
        { code: 'data_damaged', message, hint: /backup.*other replicas.*mesos-log read/s },
        name,
      )
      t.equal(content(directory), before, 'nothing is changed')
      t.notOk(
        readdirSync(directory).some(entry => entry.startsWith('lock')),
        'nor locked',
      )

      const seen: string[] = []
      await t.rejects(
        async () => {
          for await (const e of readLog(directory))
            if (e.type === 'APPEND') seen.push(text(e as Value))
        },
        { code: 'data_damaged' },
      )
      const all = Array.from({ length: 14 }, (_, p) => `value ${p}`)
      t.same(seen, entries < 0 ? all.slice(-entries) : all.slice(0, entries), name)
    }
  },
)

function scanOffsets(bytes: Buffer, sequence: number) {
  const offsets: number[] = []
  scanSegment('f', bytes, sequence, true, (_, offset) => offsets.push(offset))
  return { offsets }
}

// Locks

t.test('one process at a time writes; who is refused is told who has it', async t => {
  const directory = join(t.testdir(), 'log')
  const storage = await opened({ directory })
  await storage.persist([VOTING])
  await t.rejects(opened({ directory }), { code: 'path_in_use', message: `pid ${process.pid}` })
  t.equal((await viewLog(directory)).metadata.status, 'VOTING', 'a reader needs no lock')
  await storage.close()

  const child = fork(fileURLToPath(import.meta.url), ['hold', directory], { stdio: 'ignore' })
  // The test runner speaks on this channel, too.
  await new Promise<void>(resolve => child.on('message', said => said === 'held' && resolve()))
  await t.rejects(opened({ directory }), { code: 'path_in_use', message: `pid ${child.pid}` })
  child.kill('SIGSTOP')
  await t.rejects(
    opened({ directory }),
    { message: `pid ${child.pid}` },
    'a stopped process still has it',
  )
  child.kill('SIGKILL')
  await once(child, 'exit')
  await (await opened({ directory })).close()
  t.same(readdirSync(directory), segments(directory), 'no lock is left behind')
})

t.test('of a lock of another host nobody can say here that it is dead', async t => {
  const directory = join(t.testdir(), 'log')
  await (await opened({ directory })).close()
  const [one, two] = [
    { boot: 'aaaaaaaa', id: '11111111', name: 'host1', isShared: true },
    { boot: 'bbbbbbbb', id: '22222222', name: 'host2', isShared: true },
  ]
  await lockDirectory(directory, one)
  const [name] = readdirSync(directory).filter(n => n.startsWith('lock-'))
  // As another host sees it: a socket on which nobody listens.
  rmSync(join(directory, name!))
  writeFileSync(join(directory, name!), '')
  await t.rejects(lockDirectory(directory, two), {
    code: 'path_in_use',
    message: new RegExp(`another host, host1, .* pid ${process.pid}`),
    hint: `rm ${join(directory, name!)}`,
  })
  t.ok(readdirSync(directory).includes(name!), 'it is left alone')
  const lock = await lockDirectory(directory, { ...one, boot: 'cccccccc' })
  t.notOk(readdirSync(directory).includes(name!), 'the same host, started again, takes it')
  lock.release()
  writeFileSync(join(directory, name!), '')
  const alone = await lockDirectory(directory, { ...two, isShared: false })
  t.notOk(readdirSync(directory).includes(name!), 'so does any that alone can have the directory')
  alone.release()
})

t.test('directories that cannot be used', async t => {
  const root = t.testdir({ file: '' })
  await t.rejects(opened({ directory: join(root, 'no/log') }), {
    code: 'path_missing',
    hint: `mkdir -p ${join(root, 'no')}`,
  })
  await t.rejects(opened({ directory: join(root, 'file') }), { code: 'not_a_directory' })
  await t.rejects(viewLog(join(root, 'no')), { code: 'path_missing', hint: /work_dir/ })
  await t.rejects(viewLog(root), { code: 'not_found', message: /no log in/ })
})
