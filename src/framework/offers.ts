// What a scheduler may hand over where offers are wanted.

import type { OfferID } from '../messages/ids.ts'
import type { Offer } from '../messages/offer.ts'

/** One offer, or several of one agent. */
export type Offers = Offer | readonly (Offer | OfferID)[]

export function idsOf(offers: Offers): OfferID[] {
  const list = 'id' in offers ? [offers] : offers
  return list.map(offer => ('id' in offer ? offer.id : offer))
}
