/**
 * Decides about cross-origin requests as Ollama does: with its built-in origins, and those that the deployer adds.
 *
 * `HttpMiddleware.cors` of `effect/http` does not fit: it runs as an Effect for each request and does not refuse other
 * origins.
 *
 * @since 0.1.0
 */

/**
 * The origins that Ollama allows by itself (`AllowedOrigins` in its `envconfig/config.go`). Browser extensions are not
 * among them: Ollama's `AllowBrowserExtensions` only permits such origins in `OLLAMA_ORIGINS`.
 */
const builtIn = [
  ...["localhost", "127.0.0.1", "0.0.0.0"].flatMap((host) => [
    `http://${host}`,
    `https://${host}`,
    `http://${host}:*`,
    `https://${host}:*`,
  ]),
  "app://*",
  "file://*",
  "tauri://*",
  "vscode-webview://*",
  "vscode-file://*",
]

/** The headers that Ollama and llamero read, and those that the clients of OpenAI and Anthropic send. */
const allowHeaders = [
  "Authorization",
  "Content-Type",
  "User-Agent",
  "Accept",
  "X-Requested-With",
  "X-Request-Id",
  "X-Request-Priority",
  "X-Request-Timeout",
  "traceparent",
  "tracestate",
  "X-Session-Id",
  "X-Api-Key",
  "X-Llamero-Heartbeat",
  "OpenAI-Beta",
  "Anthropic-Version",
  "Anthropic-Beta",
  "Anthropic-Dangerous-Direct-Browser-Access",
  ...[
    "Lang",
    "Package-Version",
    "Os",
    "Arch",
    "Retry-Count",
    "Runtime",
    "Runtime-Version",
    "Async",
    "Helper-Method",
    "Poll-Helper",
    "Custom-Poll-Interval",
    "Timeout",
  ].map((name) => `X-Stainless-${name}`),
]

const exposeHeaders = [
  "X-Request-Id",
  "Retry-After",
  "WWW-Authenticate",
  "X-Should-Retry",
  ...["Batch", "Coalesced", "Estimated-Wait", "Model", "Queue-Depth", "Rewrote", "Simulated"].map((name) =>
    `X-Llamero-${name}`
  ),
  ...["Limit", "Remaining", "Reset"].flatMap((what) =>
    ["Requests", "Tokens"].map((unit) => `X-RateLimit-${what}-${unit}`)
  ),
].join(",")

const normal = (origin: string): ReadonlyArray<string> => [
  "Access-Control-Allow-Origin",
  origin,
  "Access-Control-Expose-Headers",
  exposeHeaders,
  ...(origin === "*" ? [] : ["Vary", "Origin"]),
]

const preflight = (origin: string, headers: string): ReadonlyArray<string> => [
  "Access-Control-Allow-Origin",
  origin,
  "Access-Control-Allow-Methods",
  "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS",
  "Access-Control-Allow-Headers",
  headers,
  "Access-Control-Max-Age",
  "43200",
  "Vary",
  "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
]

/**
 * What follows from an `Origin`. `headers` go with the answer. A `status` is the whole answer: 204 for a preflight, 403
 * for an origin that is not allowed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decision {
  readonly status: 204 | 403 | undefined
  readonly headers: ReadonlyArray<string>
}

/** @category models @since 0.1.0 */
export interface Cors {
  /** Decides about a request with an `Origin`. Do not call it for requests without one. */
  readonly decide: (origin: string, host: string | undefined, method: string) => Decision
}

const matches = (pattern: string, origin: string): boolean => {
  const star = pattern.indexOf("*")
  if (star < 0) return pattern === origin
  const tail = pattern.slice(star + 1)
  return origin.length >= pattern.length - 1 && origin.startsWith(pattern.slice(0, star)) && origin.endsWith(tail)
}

const disallowed: Decision = { status: 403, headers: [] }
const sameOrigin: Decision = { status: undefined, headers: [] }

/**
 * Makes the rules for a list of origins. One `*` in an origin stands for any text; `*` alone allows every origin. Pages
 * may also send `headers`; an empty name counts for nothing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (origins: ReadonlyArray<string> = [], headers: ReadonlyArray<string> = []): Cors => {
  const allowed = [...allowHeaders, ...headers.filter((name) => name !== "")].join(",")
  const anyOrigin = origins.includes("*")
  const patterns = [...builtIn, ...origins].map((origin) => origin.toLowerCase())
  return {
    decide: (origin, host, method) => {
      // As in Ollama, an empty one is none.
      if (origin === "") return sameOrigin
      if (host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)) return sameOrigin
      if (!anyOrigin && !patterns.some((pattern) => matches(pattern, origin))) return disallowed
      const answered = anyOrigin ? "*" : origin
      return method === "OPTIONS"
        ? { status: 204, headers: preflight(answered, allowed) }
        : { status: undefined, headers: normal(answered) }
    },
  }
}
