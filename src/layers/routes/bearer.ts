/**
 * A shared secret in `Authorization: Bearer TOKEN`.
 *
 * @since 0.1.0
 */
import { createHash, timingSafeEqual } from "node:crypto"

/** Digests all have one length, so that comparing them takes the same time for every guess. */
const digest = (text: string) => createHash("sha256").update(text).digest()

/**
 * Whether a header holds the token. An empty token is a `RangeError`.
 *
 * @category authorization
 * @since 0.1.0
 */
export const bearer = (token: string): (authorization: string | undefined) => boolean => {
  if (token === "") throw new RangeError("bearer: token must not be empty")
  const expected = digest(`Bearer ${token}`)
  return (authorization) => timingSafeEqual(digest(authorization ?? ""), expected)
}
