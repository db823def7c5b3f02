// Who is in a group, from the names of its nodes: `label_0000000007`, or the number alone. Pure.
//
// ZooKeeper appends the number, one higher for each node, so that the lowest is the oldest. Whatever else lies there (the log's
// own folder, for one) is nobody's.

export interface MemberName {
  readonly name: string
  readonly label: string | undefined
  readonly sequence: number
}

const MEMBER = /^(?:(.+)_)?(-?\d{10})$/

export function memberName(name: string): MemberName | undefined {
  const [, label, digits] = MEMBER.exec(name) ?? []
  return digits === undefined ? undefined : { name, label, sequence: Number(digits) }
}

/** Those of these nodes that are members, the oldest first, whatever their labels. */
export function memberNames(names: readonly string[]): readonly MemberName[] {
  return names
    .map(memberName)
    .filter(member => member !== undefined)
    .toSorted((a, b) => a.sequence - b.sequence || (a.name < b.name ? -1 : 1))
}
