// Scalars as integers of a thousandth. Three decimals count, as in Mesos (docs/attributes-resources.md), and integers
// add up without the drift that would let 0.1 + 0.2 exceed an offer of 0.3.

/** The nearest thousandth. */
export function toMilli(value: number): number {
  return Math.round(value * 1000)
}

/** Back to a number of units: the double nearest to the decimal. */
export function fromMilli(milli: number): number {
  return milli / 1000
}
