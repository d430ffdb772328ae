/**
 * The errors of the admin API. Each has its words in `error`, as Ollama's errors have.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

const words = { error: Schema.String }

/** 400: the call cannot be read. @category errors @since 0.1.0 */
export class BadCall extends Schema.TaggedError<BadCall>()("BadCall", words, { httpApiStatus: 400 }) {}

/** 401: there is no token, or it is wrong. @category errors @since 0.1.0 */
export class NoToken extends Schema.TaggedError<NoToken>()("NoToken", words, { httpApiStatus: 401 }) {}

/** 404: there is no such backend, model or request. @category errors @since 0.1.0 */
export class Unknown extends Schema.TaggedError<Unknown>()("Unknown", words, { httpApiStatus: 404 }) {}

/** 409: it cannot be done now. @category errors @since 0.1.0 */
export class NotNow extends Schema.TaggedError<NotNow>()("NotNow", words, { httpApiStatus: 409 }) {}

/** 502: a backend was asked to do it, and failed. @category errors @since 0.1.0 */
export class Failed extends Schema.TaggedError<Failed>()("Failed", words, { httpApiStatus: 502 }) {}

/** 503: too many clients follow the events. @category errors @since 0.1.0 */
export class TooMany extends Schema.TaggedError<TooMany>()("TooMany", words, { httpApiStatus: 503 }) {}
