/**
 * Numbers that a deployer gives.
 *
 * @since 0.1.0
 */

/**
 * A whole number of at least `least`, or `Infinity`; `otherwise` when it is not given. Throws a `RangeError` at any
 * other number.
 *
 * @category utils
 * @since 0.1.0
 */
export const wholeNumber = (field: string, given: number | undefined, otherwise: number, least = 0): number => {
  const value = given ?? otherwise
  if (value !== Infinity && !(Number.isInteger(value) && value >= least)) {
    throw new RangeError(`${field} must be a whole number of at least ${least}, got ${value}`)
  }
  return value
}
