// The form of records on disk, and nothing else: bytes in, records out.
//
//   segment = header, batch, batch, …
//   header  = magic "MESOSLOG" · version u32 · sequence u64 · replica id (16 bytes) · CRC u32        40 bytes
//   batch   = length u32 · CRC u32 · type u8 · payload (`length` bytes)                    9 bytes + payload
//   payload = msgpack: a list of records, each of them a list that begins with its kind
//
// Integers are big-endian. A batch is what one fsync makes durable, and no batch is begun before the one in front of it
// is synced: so after a power loss at most the last one is torn, in whatever order its pages reached the disk. That is
// why one checksum covers a batch, not a record.
// The CRC (that of zlib) starts from the segment's sequence and the batch's offset: bytes that lie anywhere but where
// they were written, such as a piece of a log inside somebody's entry, are not taken for a batch.

import { crc32 } from 'node:zlib'
import { Packr } from 'msgpackr'
import { assert } from '../base/assert.ts'
import type {
  ChosenMembership,
  Membership,
  Position,
  Proposal,
  ReplicaStatus,
  Value,
} from '../messages/log.ts'
import type { Checksums } from './checksums.ts'
import type { Home } from './home.ts'
import { appendOf, type HeldValue, type ReplicaRecord } from './storage.ts'

export const FORMAT_VERSION = 2
export const HEADER_BYTES = 40
export const BATCH_HEADER_BYTES = 9
const MAGIC = Buffer.from('MESOSLOG', 'latin1')
/** Where in a batch its type is. */
const TYPE_AT = 8
const TYPE_RECORDS = 1

/**
 * A record in a file: one of the replica's, or one of the storage itself.
 * - `released`: segments up to `through` need not exist any more.
 * - `closed`: the segment before this one was closed with that many bytes.
 */
export type StoredRecord =
  | ReplicaRecord
  | { readonly type: 'released'; readonly through: number }
  | { readonly type: 'closed'; readonly sizeBytes: number }

export interface SegmentHeader {
  /** 1 for a log's first segment; the next has one more. */
  readonly sequence: number
  /** 32 hexadecimal digits, the same in all segments of one replica. */
  readonly replicaId: string
}

/** The checksum is right but the content is not known: written by another version of this program. */
export class UnknownFormatError extends Error {
  override readonly name = 'UnknownFormatError'
}

// Header

export function encodeHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(bytes, 0)
  bytes.writeUInt32BE(FORMAT_VERSION, 8)
  bytes.writeBigUInt64BE(BigInt(header.sequence), 12)
  bytes.write(header.replicaId, 20, 16, 'hex')
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 36)), 36)
  return bytes
}

/** Undefined if these bytes do not begin with a whole, undamaged header. Throws `UnknownFormatError` for another version. */
export function decodeHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) return undefined
  if (crc32(bytes.subarray(0, 36)) !== bytes.readUInt32BE(36)) return undefined
  const version = bytes.readUInt32BE(8)
  if (version !== FORMAT_VERSION) throw new UnknownFormatError(`its format version is ${version}`)
  return {
    sequence: Number(bytes.readBigUInt64BE(12)),
    replicaId: bytes.toString('hex', 20, 36),
  }
}

// Batch

// Plain msgpack, so that any library can read a log.
const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' })

/** The bytes of a batch that will lie at `offset` of the segment `sequence`. */
export function encodeBatch(
  records: readonly StoredRecord[],
  sequence: number,
  offset: number,
): Buffer {
  const payload = packr.pack(records.map(pack))
  assert(payload.length <= 0xffff_ffff, 'a batch has less than 4 GiB')
  const bytes = Buffer.allocUnsafe(BATCH_HEADER_BYTES + payload.length)
  bytes.writeUInt32BE(payload.length, 0)
  bytes.writeUInt8(TYPE_RECORDS, TYPE_AT)
  payload.copy(bytes, BATCH_HEADER_BYTES)
  bytes.writeUInt32BE(checksum(bytes, sequence, offset), 4)
  return bytes
}

/**
 * How long the batch at `offset` is if its checksum is right; undefined if there is no valid batch there. `checksums` of the
 * segment, for who asks about many offsets: else each time all that the length there says is read.
 */
export function batchLength(
  segment: Buffer,
  sequence: number,
  offset: number,
  checksums?: Checksums,
): number | undefined {
  const left = segment.length - offset
  if (left <= BATCH_HEADER_BYTES) return undefined
  const payload = segment.readUInt32BE(offset)
  const length = BATCH_HEADER_BYTES + payload
  if (payload === 0 || length > left || segment[offset + TYPE_AT] !== TYPE_RECORDS) return undefined
  const batch = segment.subarray(offset, offset + length)
  const before = checksumBefore(batch, sequence, offset)
  const crc = checksums
    ? checksums.of(offset + TYPE_AT, offset + length, before)
    : crc32(batch.subarray(TYPE_AT), before)
  return crc === batch.readUInt32BE(4) ? length : undefined
}

/** Whether the checksum of a batch, of the length that its header says, is right for that place. */
export function isWhole(batch: Buffer, sequence: number, offset: number): boolean {
  return checksum(batch, sequence, offset) === batch.readUInt32BE(4)
}

/** The records of a batch whose checksum is right. Byte values are views of `batch`. */
export function decodeBatch(batch: Buffer): StoredRecord[] {
  return (packr.unpack(batch.subarray(BATCH_HEADER_BYTES)) as unknown[][]).map(unpack)
}

function checksum(batch: Buffer, sequence: number, offset: number): number {
  return crc32(batch.subarray(TYPE_AT), checksumBefore(batch, sequence, offset))
}

/** Of what comes before the type. */
function checksumBefore(batch: Buffer, sequence: number, offset: number): number {
  const place = Buffer.allocUnsafe(16)
  place.writeBigUInt64BE(BigInt(sequence), 0)
  place.writeBigUInt64BE(BigInt(offset), 8)
  return crc32(batch.subarray(0, 4), crc32(place))
}

// Records. A number is never given a new meaning; a retired one stays here.

const KIND = {
  metadata: 0,
  promise: 1,
  nop: 2,
  append: 3,
  truncate: 4,
  learned: 5,
  truncated: 6,
  released: 7,
  closed: 8,
  settled: 9,
  held: 10,
  sealed: 11,
  members: 12,
  membership: 13,
  home: 14,
} as const

function pack(record: StoredRecord): unknown[] {
  switch (record.type) {
    case 'metadata':
      return [KIND.metadata, record.status, record.promised]
    case 'promise':
      return [KIND.promise, record.position, record.promised]
    case 'write':
      return packWrite(record)
    case 'learned':
      return [KIND.learned, record.position, record.proposal]
    case 'truncated':
      return [KIND.truncated, record.begin]
    case 'released':
      return [KIND.released, record.through]
    case 'closed':
      return [KIND.closed, record.sizeBytes]
    case 'settled':
      return [KIND.settled, record.below]
    case 'held':
      return packHeld(record)
    case 'membership':
      return [KIND.membership, ...packChosenMembership(record.membership)]
    case 'home': {
      const { self, kind, members, quorum } = record.home
      return [KIND.home, self, kind, members, quorum]
    }
    case 'sealed':
      return [KIND.sealed]
  }
}

function packWrite(record: ReplicaRecord & { type: 'write' }): unknown[] {
  const { position, proposal, learned, value } = record
  switch (value.type) {
    case 'NOP':
      return [KIND.nop, position, proposal, learned, value.tombstone === true, packChosen(value)]
    case 'APPEND':
      return [KIND.append, position, proposal, learned, value.bytes]
    case 'TRUNCATE':
      return [KIND.truncate, position, proposal, learned, value.to, packChosen(value)]
    case 'MEMBERS':
      return [KIND.members, position, proposal, learned, packMembership(value.membership)]
  }
}

function packMembership({ version, members, joined }: Membership): unknown[] {
  return [version, members, joined?.member, joined?.replica]
}

/** Of a truncation: who votes behind it. */
function packChosen({ membership }: { membership?: ChosenMembership | undefined }): unknown {
  return membership ? packChosenMembership(membership) : null
}

function packChosenMembership(membership: ChosenMembership): unknown[] {
  return [membership.at, packMembership(membership), membership.proposal]
}

function unpackChosenMembership(fields: readonly unknown[]): ChosenMembership {
  const [at, membership, proposal = 0] = fields as [Position, unknown, Proposal?]
  return { at, proposal, ...unpackMembership(membership) }
}

function unpackChosen(fields: unknown): { readonly membership?: ChosenMembership } {
  if (!fields) return {}
  return { membership: unpackChosenMembership(fields as unknown[]) }
}

function unpackMembership(fields: unknown): Membership {
  const [version, members, member, replica] = fields as [number, string[], string?, string?]
  return { version, members, ...(member && replica && { joined: { member, replica } }) }
}

function packHeld({ position, held }: ReplicaRecord & { type: 'held' }): unknown[] {
  const { promised, performed } = held
  if (!performed) return [KIND.held, position, promised]
  const { proposal, learned, value } = performed
  const behind = value.type === 'TRUNCATE' || value.type === 'NOP' ? packChosen(value) : null
  return [
    KIND.held,
    position,
    promised,
    proposal,
    learned,
    value.type,
    packHeldValue(value),
    behind,
  ]
}

function packHeldValue(value: HeldValue): unknown {
  switch (value.type) {
    case 'NOP':
      return value.tombstone === true
    case 'APPEND':
      return null
    case 'TRUNCATE':
      return value.to
    case 'MEMBERS':
      return packMembership(value.membership)
  }
}

function unpackHeldValue(type: HeldValue['type'], about: unknown, behind: unknown): HeldValue {
  switch (type) {
    case 'NOP':
      return about ? { type, tombstone: true, ...unpackChosen(behind) } : { type }
    case 'APPEND':
      return { type }
    case 'TRUNCATE':
      return { type, to: about as Position, ...unpackChosen(behind) }
    case 'MEMBERS':
      return { type, membership: unpackMembership(about) }
  }
}

function unpackHeld(fields: readonly unknown[]): StoredRecord {
  const [, position, promised, proposal, learned, type, about, behind] = fields as [
    number,
    Position,
    Proposal,
    Proposal | undefined,
    boolean,
    HeldValue['type'],
    unknown,
    unknown,
  ]
  if (proposal === undefined) return { type: 'held', position, held: { promised } }
  const value = unpackHeldValue(type, about, behind)
  return { type: 'held', position, held: { promised, performed: { proposal, learned, value } } }
}

// The checksum vouches for what `pack` wrote; only a kind that it did not write yet can be met here.
function unpack(fields: readonly unknown[]): StoredRecord {
  const number = (index: number): number => fields[index] as number
  const write = (value: Value): StoredRecord => ({
    type: 'write',
    position: number(1),
    proposal: number(2),
    learned: fields[3] as boolean,
    value,
  })
  switch (fields[0]) {
    case KIND.metadata:
      return { type: 'metadata', status: fields[1] as ReplicaStatus, promised: number(2) }
    case KIND.promise:
      return { type: 'promise', position: number(1), promised: number(2) }
    case KIND.nop:
      return write(
        fields[4] ? { type: 'NOP', tombstone: true, ...unpackChosen(fields[5]) } : { type: 'NOP' },
      )
    case KIND.append:
      return write(appendOf(fields[4] as Uint8Array))
    case KIND.truncate:
      return write({ type: 'TRUNCATE', to: number(4), ...unpackChosen(fields[5]) })
    case KIND.learned:
      return { type: 'learned', position: number(1), proposal: number(2) }
    case KIND.truncated:
      return { type: 'truncated', begin: number(1) }
    case KIND.released:
      return { type: 'released', through: number(1) }
    case KIND.closed:
      return { type: 'closed', sizeBytes: number(1) }
    case KIND.settled:
      return { type: 'settled', below: number(1) }
    case KIND.held:
      return unpackHeld(fields)
    case KIND.sealed:
      return { type: 'sealed' }
    case KIND.home: {
      const [, self, kind, members, quorum] = fields as [
        number,
        Home['self'],
        Home['kind'],
        Home['members'],
        number,
      ]
      return { type: 'home', home: { self, kind, members, quorum } }
    }
    case KIND.members:
      return write({ type: 'MEMBERS', membership: unpackMembership(fields[4]) })
    case KIND.membership:
      return { type: 'membership', membership: unpackChosenMembership(fields.slice(1)) }
    default:
      throw new UnknownFormatError(`it has a record of the kind ${String(fields[0])}`)
  }
}
