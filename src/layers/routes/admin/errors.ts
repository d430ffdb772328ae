/**
 * The errors of the admin API. Each has its words in `error`, as Ollama's errors have.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import type { TaggedErrorClass } from "../../../services/taggedErrorClass.ts"

type Worded<Self, Tag extends string> = TaggedErrorClass<Self, Tag, { readonly error: Schema.String }>
const words = { error: Schema.String }

const BadCallBase: Worded<BadCall, "BadCall"> = Schema.TaggedError<BadCall>()("BadCall", words, { httpApiStatus: 400 })

/** 400: the call cannot be read. @category errors @since 0.1.0 */
export class BadCall extends BadCallBase {}

const NoTokenBase: Worded<NoToken, "NoToken"> = Schema.TaggedError<NoToken>()("NoToken", words, { httpApiStatus: 401 })

/** 401: there is no token, or it is wrong. @category errors @since 0.1.0 */
export class NoToken extends NoTokenBase {}

const UnknownBase: Worded<Unknown, "Unknown"> = Schema.TaggedError<Unknown>()("Unknown", words, { httpApiStatus: 404 })

/** 404: there is no such backend, model or request. @category errors @since 0.1.0 */
export class Unknown extends UnknownBase {}

const NotNowBase: Worded<NotNow, "NotNow"> = Schema.TaggedError<NotNow>()("NotNow", words, { httpApiStatus: 409 })

/** 409: it cannot be done now. @category errors @since 0.1.0 */
export class NotNow extends NotNowBase {}

const FailedBase: Worded<Failed, "Failed"> = Schema.TaggedError<Failed>()("Failed", words, { httpApiStatus: 502 })

/** 502: a backend was asked to do it, and failed. @category errors @since 0.1.0 */
export class Failed extends FailedBase {}

const TooManyBase: Worded<TooMany, "TooMany"> = Schema.TaggedError<TooMany>()("TooMany", words, { httpApiStatus: 503 })

/** 503: too many clients follow the events. @category errors @since 0.1.0 */
export class TooMany extends TooManyBase {}
