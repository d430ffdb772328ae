/**
 * Who may call: Ollama's rules on `Origin` and `Host`.
 *
 * @since 0.1.0
 */

const origins =
  /^(https?:\/\/(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(:\d+)?|(app|file|tauri|vscode-webview|vscode-file|chrome-extension|moz-extension|safari-web-extension):\/\/.*)$/i

/**
 * Whether a page of this origin may call.
 *
 * @category guards
 * @since 0.1.0
 */
export const allowsOrigin = (origin: string, host: string | undefined): boolean =>
  origins.test(origin) || (host !== undefined && (origin === `http://${host}` || origin === `https://${host}`))

const privateHost =
  /^(localhost|.*\.(localhost|local|internal)|127\.[\d.]+|10\.[\d.]+|192\.168\.[\d.]+|172\.(1[6-9]|2\d|3[01])\.[\d.]+|169\.254\.[\d.]+|0\.0\.0\.0|\[[\da-f:]*\]|)$/i

/**
 * Whether this `Host` may be asked for, on a server that listens on loopback.
 *
 * @category guards
 * @since 0.1.0
 */
export const allowsHost = (host: string): boolean => privateHost.test(host.replace(/:\d+$/, ""))

/**
 * Whether an URL is on loopback: only there Ollama looks at `Host`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isLoopback = (url: string): boolean => {
  const host = URL.canParse(url) ? new URL(url).hostname : ""
  return host === "localhost" || host.startsWith("127.") || host === "[::1]"
}

/**
 * Answers to a preflight from an allowed origin.
 *
 * @category models
 * @since 0.1.0
 */
export const preflight: ReadonlyArray<string> = [
  "Access-Control-Allow-Headers",
  "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,OpenAI-Beta,X-Stainless-Arch,X-Stainless-Async,X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,X-Stainless-Os,X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,X-Stainless-Runtime,X-Stainless-Runtime-Version,X-Stainless-Timeout",
  "Access-Control-Allow-Methods",
  "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS",
  "Access-Control-Max-Age",
  "43200",
]
