/**
 * Names of requests: the client's own where it is sane, else made here.
 *
 * @since 0.1.0
 */

const lengthMax = 128

/** Visible ASCII only: an id goes into headers and logs. */
const isSane = (id: string): boolean => {
  if (id.length === 0 || id.length > lengthMax) return false
  for (let i = 0; i < id.length; i++) {
    const code = id.charCodeAt(i)
    if (code < 0x21 || code > 0x7e) return false
  }
  return true
}

/**
 * Takes what a client offers, or makes an id: a prefix that differs between processes and a counter, since nothing random is needed to tell requests of one
 * process apart.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (prefix: string): (offered: string | undefined) => string => {
  let count = 0
  return (offered) => offered !== undefined && isSane(offered) ? offered : `${prefix}-${(++count).toString(36)}`
}
