/**
 * Ids of requests: the one that the client offers when it is safe to use, or else a new one.
 *
 * @since 0.1.0
 */

const lengthMax = 128

/** Whether an id is short and visible ASCII only. It is written to headers and logs. */
const isSafe = (id: string): boolean => {
  if (id.length === 0 || id.length > lengthMax) return false
  for (let i = 0; i < id.length; i++) {
    const code = id.charCodeAt(i)
    if (code < 0x21 || code > 0x7e) return false
  }
  return true
}

/**
 * Makes a function from the id that a client offers to the id of the request. A new id is `prefix` and a counter. The
 * prefix must differ between processes. A random id for each request (a UUID) would cost more.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (prefix: string): (offered: string | undefined) => string => {
  let count = 0
  return (offered) => offered !== undefined && isSafe(offered) ? offered : `${prefix}-${(++count).toString(36)}`
}
