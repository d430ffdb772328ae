/**
 * The requests that came over the listener for users of this machine (`NodeServer`, option `local`).
 *
 * @since 0.1.0
 */

const marked = new WeakSet<object>()

/** Marks a request by its platform object, which no client can make or send. @internal */
export const mark = (source: object): void => void marked.add(source)

/** Whether a request, given by its platform object, is marked. @internal */
export const isLocal = (source: object): boolean => marked.has(source)
