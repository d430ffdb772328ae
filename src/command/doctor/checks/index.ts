/**
 * All checks.
 *
 * @since 0.1.0
 */
import type { Check, Finding } from "../finding.ts"
import { type Id, kinds } from "../kinds.ts"
import type { Observations } from "../observations.ts"
import * as Backends from "./backends.ts"
import * as GpuUse from "./gpuUse.ts"
import * as Gpus from "./gpus.ts"
import * as Memory from "./memory.ts"
import * as Models from "./models.ts"
import * as OpenFiles from "./openFiles.ts"
import * as Reserve from "./reserve.ts"
import * as Router from "./router.ts"
import * as Serving from "./serving.ts"
import * as Settings from "./settings.ts"
import * as Timeouts from "./timeouts.ts"
import * as Variables from "./variables.ts"
import * as Versions from "./versions.ts"

const checks: ReadonlyArray<Check> = [
  Settings.settings,
  Settings.fleet,
  Backends.reachable,
  Backends.clocks,
  Versions.versions,
  Models.presentModels,
  Models.digests,
  Gpus.sources,
  Gpus.drivers,
  Gpus.devices,
  GpuUse.gpuUse,
  Memory.spills,
  Memory.footprints,
  Memory.plan,
  Reserve.devicesKnown,
  Reserve.reserve,
  Reserve.target,
  Variables.obsoleteVariables,
  Variables.unreadableVariables,
  Serving.parallelism,
  Serving.keepAlive,
  Serving.maxLoaded,
  Timeouts.order,
  Timeouts.proxy,
  Timeouts.client,
  Timeouts.loads,
  Router.router,
  OpenFiles.openFiles,
]

const severities = ["error", "warning", "advice"] as const

const order = Object.keys(kinds) as ReadonlyArray<Id>

/** What all checks find: the worst first, then in the order of `kinds`. */
export const examine = (observations: Observations): ReadonlyArray<Finding> =>
  checks.flatMap((check) => check(observations)).sort((one, other) =>
    severities.indexOf(one.severity) - severities.indexOf(other.severity) ||
    order.indexOf(one.id) - order.indexOf(other.id)
  )
