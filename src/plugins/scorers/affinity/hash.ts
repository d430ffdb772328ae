/**
 * Hashes that are the same on every replica and every run.
 *
 * @since 0.1.0
 */

/** The finaliser of MurmurHash3: every bit of the result depends on every bit of the argument. */
const mixed = (hash: number): number => {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** FNV-1a over bytes, mixed. @internal */
export const ofBytes = (bytes: Uint8Array): number => {
  let h = 0x811c9dc5
  for (const byte of bytes) h = Math.imul(h ^ byte, 0x01000193)
  return mixed(h)
}

/** FNV-1a over UTF-16 units, mixed. @internal */
export const ofText = (text: string): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return mixed(h)
}

/**
 * The rank of a node for a key, higher is better, for weighted rendezvous hashing (highest random weight, Thaler and
 * Ravishankar 1996; weights as in Schindelhauer and Schomaker 2005). Each key ranks all nodes. When a node goes, only
 * the keys whose first node it was move.
 *
 * @internal
 */
export const wants = (key: number, node: string, weight: number): number =>
  -weight / Math.log((mixed(key ^ ofText(node)) + 0.5) / 2 ** 32)
