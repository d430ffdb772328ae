/**
 * Makes the endpoints of the admin API, and names their types.
 *
 * @since 0.1.0
 */
import type { Context, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as OpenApi from "effect/http-api/OpenApi"

/** A part of a request: its value, and any text or JSON that it is made from. */
type Part<In, Name extends string> = In extends { readonly [K in Name]: infer A } ? Schema.Codec<A, unknown> : never

/** `In` has what a call takes: its `params`, `query` and `payload`. */
type Call<
  Method extends "GET" | "POST",
  Name extends string,
  Path extends string,
  Success extends Schema.Top,
  Error,
  In,
> = HttpApiEndpoint.HttpApiEndpoint<
  Name,
  Method,
  Path,
  Part<In, "params">,
  Part<In, "query">,
  Part<In, "payload">,
  never,
  Success,
  [Error] extends [never] ? never : Schema.Codec<Error, unknown>
>

/** A read that answers `A`. @category models @since 0.1.0 */
export type Get<Name extends string, Path extends string, A, Error = never, In = unknown> = Call<
  "GET",
  Name,
  Path,
  Schema.Codec<A, unknown>,
  Error,
  In
>

/** A read whose answer is not JSON. @category models @since 0.1.0 */
export type GetRaw<Name extends string, Path extends string, Success extends Schema.Top, Error> = Call<
  "GET",
  Name,
  Path,
  Success,
  Error,
  unknown
>

/** A change that answers `A`. @category models @since 0.1.0 */
export type Post<Name extends string, Path extends string, A, Error = never, In = unknown> = Call<
  "POST",
  Name,
  Path,
  Schema.Codec<A, unknown>,
  Error,
  In
>

/** The id in the path of a call. @category models @since 0.1.0 */
export interface OfId {
  readonly params: { readonly id: string }
}

/** @category constructors @since 0.1.0 */
export const get: typeof HttpApiEndpoint.get = HttpApiEndpoint.get

/** @category constructors @since 0.1.0 */
export const post: typeof HttpApiEndpoint.post = HttpApiEndpoint.post

/** The words of an endpoint or a group in the OpenAPI document. @category constructors @since 0.1.0 */
export const says = (summary: string, description?: string): Context.Context<never> =>
  OpenApi.annotations({ summary, description })
