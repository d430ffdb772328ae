/**
 * Lets operators in by token, and says who they are.
 *
 * @since 0.1.0
 */
import { Effect, Layer, Option, Redacted } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import { Access, Operator, Readable } from "../AdminApi.ts"
import { bearer } from "../bearer.ts"
import * as Respond from "../respond.ts"
import { BadCall } from "./errors.ts"

/** Tokens by the name under which their changes are recorded. @category models @since 0.1.0 */
export type Tokens = Readonly<Record<string, Redacted.Redacted<string>>>

/** Throws a `RangeError` where a token is empty. @category layers @since 0.1.0 */
export const access = (tokens: Tokens): Layer.Layer<Access> => {
  const known = Object.entries(tokens).map(([who, token]) => ({ who, allowed: bearer(Redacted.value(token)) }))
  return Layer.succeed(Access, {
    token: (handler, { credential }) => {
      const authorization = `Bearer ${Redacted.value(credential)}`
      // All tokens are compared, so that the time does not tell which one is near.
      const found = known.filter(({ allowed }) => allowed(authorization))[0]
      if (found === undefined) return Effect.succeed(Respond.error(401, "a token is needed"))
      return Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ remoteAddress }) => {
        const operator = { who: found.who, address: Option.getOrUndefined(remoteAddress) }
        return Effect.map(
          Effect.provideService(handler, Operator, operator),
          HttpServerResponse.setHeader("cache-control", "no-store"),
        )
      })
    },
  })
}

/** @category layers @since 0.1.0 */
export const readable: Layer.Layer<Readable> = HttpApiMiddleware.layerSchemaErrorTransform(
  Readable,
  (error) =>
    error.kind === "Body" || error.kind === "ResponseHeaders"
      ? Effect.fail(error)
      : Effect.fail(new BadCall({ error: error.cause.message.replaceAll(/\s*\n\s*/g, ", ") })),
)
