/** Calls an app of routes as a browser would, without a server. */
import { type Context, Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

/** `ask("GET /api/tags")`. The app is built once and lives as long as the scope. */
export const serve = (app: Layer.Layer<never, unknown, HttpRouter.HttpRouter>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => HttpRouter.toWebHandler(app, { disableLogger: true })),
      ({ dispose }) => Effect.promise(dispose),
    ),
    ({ handler }) => (line: string, init?: RequestInit): Effect.Effect<Answer> => {
      const [method = "GET", path = "/"] = line.split(" ")
      return Effect.promise(async () => {
        const response = await handler(new Request(`http://llamero${path}`, { method, ...init }))
        return { status: response.status, headers: response.headers, body: await response.text() }
      })
    },
  )

/** A service of which a test uses only a part. */
export const partly = <I, S>(key: Context.Key<I, S>, shape: Partial<S>): Layer.Layer<I> =>
  Layer.succeed(key, shape as S)
