/** What `--demo` sets, so that somebody can look around at once. */
import type { Settings } from "../../layers/Settings.ts"

/** The token of the status page. It protects nothing: all that it opens is simulated. */
export const token = "demo"

/** The settings of a demonstration: the status page works, and shows why each request went where it did. */
export const settings = (given: Settings): Settings => ({
  ...given,
  adminToken: given.adminToken === "" ? token : given.adminToken,
  decisions: given.decisions === 0 ? 1000 : given.decisions,
})
