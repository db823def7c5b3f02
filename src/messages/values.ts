// Small values many messages share: scalars, ranges, sets, texts, times, labels, parameters, addresses.

import type * as v from 'valibot'
import {
  bytes,
  choice,
  double,
  doubleOrInfinity,
  idText,
  integer,
  message,
  oneOf,
  optional,
  repeated,
  text,
  unsigned,
} from './schema.ts'

export const VALUE_TYPES = ['SCALAR', 'RANGES', 'SET', 'TEXT'] as const
export const ValueType = oneOf(VALUE_TYPES)
export type ValueType = v.InferOutput<typeof ValueType>

/** A quantity. Three decimals count (see src/resources). */
export const Scalar = message({ value: double })
export type Scalar = v.InferOutput<typeof Scalar>

/** A quantity in `TaskInfo.limits`, where `Infinity` means unlimited. */
export const LimitScalar = message({ value: doubleOrInfinity })
export type LimitScalar = v.InferOutput<typeof LimitScalar>

/** Both ends included. */
export const Range = message({ begin: unsigned, end: unsigned })
export type Range = v.InferOutput<typeof Range>

export const Ranges = message({ range: repeated(Range) })
export type Ranges = v.InferOutput<typeof Ranges>

/** A set of texts. Named so as not to hide JavaScript's `Set`. */
export const ValueSet = message({ item: repeated(text) })
export type ValueSet = v.InferOutput<typeof ValueSet>

export const Text = message({ value: text })
export type Text = v.InferOutput<typeof Text>

/** What an agent says of its machine beside resources; frameworks read it from offers. One field by `type` is set. */
export const Attribute = message({
  name: text,
  type: ValueType,
  scalar: optional(Scalar),
  ranges: optional(Ranges),
  set: optional(ValueSet),
  text: optional(Text),
})
export type Attribute = v.InferOutput<typeof Attribute>

/** Nanoseconds since the epoch. Of a present time a double keeps about 256 ns. */
export const TimeInfo = message({ nanoseconds: double })
export type TimeInfo = v.InferOutput<typeof TimeInfo>

export const DurationInfo = message({ nanoseconds: double })
export type DurationInfo = v.InferOutput<typeof DurationInfo>

/** From when, and for how long (absent: for ever), machines are unavailable. */
export const Unavailability = message({ start: TimeInfo, duration: optional(DurationInfo) })
export type Unavailability = v.InferOutput<typeof Unavailability>

export const Label = message({ key: text, value: optional(text) })
export type Label = v.InferOutput<typeof Label>

/** Free-form pairs; keys may repeat, order is kept. */
export const Labels = message({ labels: repeated(Label) })
export type Labels = v.InferOutput<typeof Labels>

export const Parameter = message({ key: text, value: text })
export type Parameter = v.InferOutput<typeof Parameter>

export const Parameters = message({ parameter: repeated(Parameter) })
export type Parameters = v.InferOutput<typeof Parameters>

/** Where a process listens: `ip` or `hostname`, or both. */
export const Address = message({ hostname: optional(text), ip: optional(text), port: integer })
export type Address = v.InferOutput<typeof Address>

export const URL = message({
  scheme: text,
  address: Address,
  path: optional(text),
  query: repeated(Parameter),
  fragment: optional(text),
})
export type URL = v.InferOutput<typeof URL>

/** A machine of a maintenance schedule; hostname in any case, or ip. */
export const MachineID = message({ hostname: optional(idText), ip: optional(idText) })
export type MachineID = v.InferOutput<typeof MachineID>

/** 16 bytes in base64. */
export const UUID = message({ value: bytes })
export type UUID = v.InferOutput<typeof UUID>

export const Credential = message({ principal: text, secret: optional(text) })
export type Credential = v.InferOutput<typeof Credential>

/** A secret itself, or where to find it. */
export const Secret = message({
  type: choice(['REFERENCE', 'VALUE']),
  reference: optional(message({ name: text, key: optional(text) })),
  value: optional(message({ data: bytes })),
})
export type Secret = v.InferOutput<typeof Secret>
