/** The settings, in the words of the standard stack. */
import type { Level, Settings } from "../../src/layers/Settings.ts"
import type * as Standard from "../../src/layers/Standard.ts"
import * as AccessLogObserver from "../../src/plugins/AccessLogObserver.ts"
import * as FailoverRetry from "../../src/plugins/FailoverRetry.ts"

const quiet: ReadonlyArray<Level> = ["Warn", "Error", "Fatal", "None"]

export const from = (settings: Settings): Standard.Options => ({
  admission: settings,
  relay: settings,
  breaker: {
    failuresMax: settings.breakerFailures,
    openDuration: settings.breakerOpenMillis,
    openDurationMax: settings.breakerOpenMaxMillis,
  },
  health: { interval: settings.healthMillis, timeout: settings.healthTimeoutMillis },
  residency: { loadTimeout: settings.loadMillis },
  prewarm: settings.prewarm,
  retry: FailoverRetry.make({
    ratio: settings.retryRatio,
    perSecond: settings.retryPerSecond,
    attemptsMax: settings.attemptsMax,
  }),
  // Where single requests are not wanted in the log, the ones that failed still are.
  observers: [AccessLogObserver.make({ statusMin: quiet.includes(settings.logLevel) ? 500 : 0 })],
})
