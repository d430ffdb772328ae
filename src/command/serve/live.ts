/**
 * What a reload replaces: the settings that can change, and the keys. The parts of the server that depend on them read
 * them anew for each request, so one assignment changes them all at once.
 */
import type * as FileApiKeys from "../../layers/keys/FileApiKeys.ts"
import type { Fixed, Settings } from "../../layers/Settings.ts"
import * as Live from "../../services/Live.ts"

export interface Running {
  readonly settings: Live.Settable<Settings>
  /** Empty where there is no file of keys. */
  readonly keys: Live.Settable<FileApiKeys.Read>
}

const noKeys: FileApiKeys.Read = {
  keys: { find: () => undefined, named: () => undefined, size: () => 0 },
  text: "",
}

export const running = (settings: Settings): Running => ({ settings: Live.make(settings), keys: Live.make(noKeys) })

const isEmpty = (values: object): boolean => Object.keys(values).length === 0

/** Whether nothing has a limit of its own now: with keys, each key may have one. */
export const isUnlimited = ({ keysFile }: Fixed, { settings }: Running): Live.Live<boolean> =>
  Live.map(settings, ({ rateLimit }) => keysFile === "" && isEmpty(rateLimit))

export const hasNoAliases = ({ settings }: Running): Live.Live<boolean> =>
  Live.map(settings, ({ aliases }) => isEmpty(aliases))

/** The options of `FailoverRetry`. */
export const retryOf = ({ attemptsMax, retryPerSecond, retryRatio }: Settings) => ({
  attemptsMax,
  perSecond: retryPerSecond,
  ratio: retryRatio,
})
