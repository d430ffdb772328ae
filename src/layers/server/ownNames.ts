/**
 * The names by which this machine calls itself.
 *
 * @since 0.1.0
 */
import { hostname, networkInterfaces } from "node:os"

/**
 * Whether a name, in lower case, is the machine's host name, or an address is one of its own. Read at every call, as
 * Ollama does it: a laptop changes its addresses.
 *
 * @internal
 */
export const isOwn = (name: string): boolean =>
  name === hostname().toLowerCase() ||
  Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === name) === true)
