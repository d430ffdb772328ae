/**
 * Finds a member of the fleet by its id.
 *
 * @since 0.1.0
 */
import type { Member } from "../services/Fleet.ts"

/** A fleet gives the same array until it changes, so that one table serves all look-ups in between. */
const tables = new WeakMap<ReadonlyArray<Member>, ReadonlyMap<string, Member>>()

/**
 * The member with this id. The first look-up in an array makes a table of it, so that a look-up does not become slower
 * with the size of the fleet.
 *
 * @category accessors
 * @since 0.1.0
 */
export const memberOf = (members: ReadonlyArray<Member>, id: string): Member | undefined => {
  let table = tables.get(members)
  if (table === undefined) tables.set(members, table = new Map(members.map((member) => [member.backend.id, member])))
  return table.get(id)
}
