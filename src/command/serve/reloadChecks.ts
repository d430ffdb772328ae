/** What may be wrong with settings that a running server reads again. */
import { Equal, Result, Schema } from "effect"
import * as BoundedAdmission from "../../layers/admission/BoundedAdmission.ts"
import { changeable, type Settings, variables } from "../../layers/Settings.ts"
import * as AliasGuard from "../../plugins/guards/AliasGuard.ts"
import * as FailoverRetry from "../../plugins/retry/FailoverRetry.ts"
import { retryOf } from "./live.ts"

/** A reload that has changed nothing, since something is wrong. */
export class ReloadRefused extends Schema.TaggedError<ReloadRefused>()("ReloadRefused", {
  flaws: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return `reload refused, nothing has changed: ${this.flaws.join("; ")}`
  }
}

/** The message is one line, whatever the flaws are. */
export const refused = (flaws: ReadonlyArray<string>): ReloadRefused =>
  new ReloadRefused({ flaws: flaws.map((flaw) => flaw.replaceAll(/\s*\n\s*/g, " ")) })

/** The flaws in a message that has a line for each, perhaps with a heading. */
export const linesOf = (message: string): ReadonlyArray<string> =>
  message.split("\n").map((line) => line.trim()).filter((line) =>
    line !== "" && !/^\d+ settings are wrong:$/.test(line)
  )

const isSame = (one: Settings, other: Settings) => (key: string): boolean =>
  Equal.equals(one[key as keyof Settings], other[key as keyof Settings])

const namesOf = (keys: ReadonlyArray<string>): ReadonlyArray<string> =>
  keys.map((key) => variables[key as keyof Settings].name)

const differing = (one: Settings, other: Settings): ReadonlyArray<string> => {
  const same = isSame(one, other)
  return Object.keys(variables).filter((key) => !same(key))
}

/** Names of the settings with another value. */
export const changed = (before: Settings, after: Settings): ReadonlyArray<string> => namesOf(differing(before, after))

/** The settings that would need a restart. */
export const needingRestart = (before: Settings, after: Settings): ReadonlyArray<string> => {
  const names = namesOf(differing(before, after).filter((key) => !changeable.has(key)))
  if (names.length === 0) return []
  return [`${names.join(", ")}: only a restart can change ${names.length === 1 ? "it" : "them"}`]
}

/** The setting that says which backends there are. */
export const fleetSetting = ({ backends, fleetFile }: Settings): string =>
  backends.length > 0 ? "LLAMERO_BACKENDS" : fleetFile !== "" ? "LLAMERO_FLEET_FILE" : "OLLAMA_HOST"

/** What the parts say of their options. They are made here only to be asked: the running ones read the settings. */
const makers: ReadonlyArray<(settings: Settings) => unknown> = [
  (settings) => BoundedAdmission.layer(settings),
  ({ aliases }) => AliasGuard.make(aliases),
  (settings) => FailoverRetry.make(retryOf(settings)),
]

export const partFlaws = (settings: Settings): ReadonlyArray<string> =>
  makers.flatMap((make) => {
    const made = Result.try(() => make(settings))
    return Result.isSuccess(made) ? [] : [made.failure instanceof Error ? made.failure.message : String(made.failure)]
  })
