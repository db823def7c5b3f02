// Offer constraints: by which attributes of agents a framework restricts its offers, role by role.

import type * as v from 'valibot'
import { choice, mapOf, message, optional, repeated, text } from './schema.ts'

const Value = message({ value: text })
const Regex = message({ regex: text })

/** One constraint on one attribute; exactly one field of each of the two is set (protobuf `oneof`). Regexes are RE2. */
export const AttributeConstraint = message({
  selector: message({
    pseudoattribute_type: choice(['HOSTNAME', 'REGION', 'ZONE']),
    attribute_name: optional(text),
  }),
  predicate: message({
    exists: optional(message({})),
    not_exists: optional(message({})),
    text_equals: optional(Value),
    text_not_equals: optional(Value),
    text_matches: optional(Regex),
    text_not_matches: optional(Regex),
  }),
})
export type AttributeConstraint = v.InferOutput<typeof AttributeConstraint>

/** By role: an agent fits if all constraints of at least one group hold. A role that is not there is not constrained. */
export const OfferConstraints = message({
  role_constraints: mapOf(
    message({
      groups: repeated(message({ attribute_constraints: repeated(AttributeConstraint) })),
    }),
  ),
})
export type OfferConstraints = v.InferOutput<typeof OfferConstraints>
