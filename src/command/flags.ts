/**
 * Flags that several commands have. The code behind a command is loaded only when it runs, so this file loads little.
 *
 * @since 0.1.0
 */
import { Config, Duration, Effect, Option, type Redacted } from "effect"
import { CliError, Flag } from "effect/cli"
import { withoutPasswords } from "../services/BackendAccess.ts"
import * as GoDuration from "../wire/goDuration.ts"

/** A flag without a value. @category flags @since 0.1.0 */
export const toggle = (name: string, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(Flag.withoutNegation, Flag.withDescription(description), Flag.withDefault(false))

/** @category flags @since 0.1.0 */
export const json: Flag.Flag<boolean> = toggle("json", "Print one JSON value, and nothing else")

/** A time as settings have it: `30s`, `5m`, `1h30m`. @category flags @since 0.1.0 */
export const duration = (name: string, description: string): Flag.Flag<Duration.Duration> =>
  Flag.String(name).pipe(
    Flag.withMetavar("TIME"),
    Flag.withDescription(description),
    Flag.filterMap(
      (text) => Option.map(Option.fromUndefinedOr(GoDuration.millis(text)), Duration.millis),
      () => "a duration with its unit, such as 30s or 5m",
    ),
  )

/** How many rows of a list, newest first. @category flags @since 0.1.0 */
export const last = (what: string): Flag.Flag<number> =>
  Flag.Int("last").pipe(
    Flag.withAlias("n"),
    Flag.withMetavar("N"),
    Flag.withDescription(`How many ${what} to list, newest first; 20 by default`),
    Flag.filter((last) => last >= 1, () => "a whole number of at least 1"),
    Flag.withDefault(20),
  )

/** Which router is meant, and who asks. @category models @since 0.1.0 */
export interface Connection {
  readonly url: string
  readonly token: Option.Option<Redacted.Redacted<string>>
}

/** @category constants @since 0.1.0 */
export const defaultUrl = "http://127.0.0.1:11435"

/** The origin of a router and the path that it is under, without a slash at its end. */
const urlOf = (text: string): Effect.Effect<string, CliError.CliError> => {
  const spelled = /^[a-z][a-z\d+.-]*:\/\//i.test(text.trim()) ? text.trim() : `http://${text.trim()}`
  const wrong = (why: string) =>
    Effect.fail(new CliError.ValidationError({ message: `--url: ${JSON.stringify(withoutPasswords(text))} ${why}` }))
  if (!URL.canParse(spelled)) return wrong("is no URL")
  const url = new URL(spelled)
  if (url.protocol !== "http:" && url.protocol !== "https:") return wrong("is no http or https URL")
  if (url.username + url.password !== "") return wrong("has a user; the router asks for a token: --token")
  return Effect.succeed(url.origin + url.pathname.replace(/\/+$/, ""))
}

/** Where the router is, and the token of operators. @category flags @since 0.1.0 */
export const connection = {
  url: Flag.String("url").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription(`Where the router is; else LLAMERO_URL, else ${defaultUrl}`),
    Flag.withFallbackConfig(Config.String("LLAMERO_URL")),
    Flag.withDefault(defaultUrl),
    Flag.mapEffect(urlOf),
  ),
  token: Flag.Redacted("token").pipe(
    Flag.withMetavar("TOKEN"),
    Flag.withDescription(
      "The admin token; better in LLAMERO_ADMIN_TOKEN, where other users of the machine do not see it",
    ),
    Flag.withFallbackConfig(Config.Redacted("LLAMERO_ADMIN_TOKEN")),
    Flag.optional,
  ),
}

/** The flags of a command that asks a router. @category flags @since 0.1.0 */
export const asking = { ...connection, json }

/** The values of those flags. @category models @since 0.1.0 */
export interface Asking extends Connection {
  readonly json: boolean
}
