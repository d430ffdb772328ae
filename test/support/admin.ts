/** An operator who calls the admin API of the router in the context, without sockets and on its clock. */
import { Effect, Layer, Redacted } from "effect"
import * as AdminRoutes from "../../src/layers/routes/AdminRoutes.ts"
import * as SynchronousRouterEvents from "../../src/layers/events/SynchronousRouterEvents.ts"
import * as WebServer from "../../src/layers/server/WebServer.ts"
import { type AdminChanged, RouterEvents } from "../../src/services/RouterEvents.ts"

export const token = "secret-of-operators"

/** Events that go to the listeners at once. */
export const events = SynchronousRouterEvents.layer

export interface Told {
  readonly status: number
  readonly headers: Headers
  // deno-lint-ignore no-explicit-any
  readonly json: any
  readonly text: string
}

/** `call("POST /admin/backends/a/drain")`, by default with the token. */
export const operator = (options?: Partial<AdminRoutes.Options>) =>
  Effect.map(
    WebServer.make(AdminRoutes.layer({ token: Redacted.make(token), ...options })),
    ({ fetch }) => {
      const request = (line: string, body?: unknown, authorization = `Bearer ${token}`, accept?: string) => {
        const [method = "GET", path = "/"] = line.split(" ")
        return new Request(`http://llamero${path}`, {
          method,
          headers: {
            ...(authorization === "" ? {} : { authorization }),
            ...(body === undefined ? {} : { "content-type": "application/json" }),
            ...(accept === undefined ? {} : { accept }),
          },
          ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
        })
      }
      const call = (...args: Parameters<typeof request>): Effect.Effect<Told> =>
        Effect.promise(async () => {
          const response = await fetch(request(...args))
          const text = await response.text()
          const isJson = response.headers.get("content-type")?.includes("json") === true
          return {
            status: response.status,
            headers: response.headers,
            text,
            json: isJson && text !== "" ? JSON.parse(text) : undefined,
          }
        })
      return { call, fetch, request }
    },
  )

/** The audit events, oldest first. */
export const changes = Effect.map(
  RouterEvents,
  (events) =>
    events.recent(1000).filter((event): event is AdminChanged => event._tag === "AdminChanged").toReversed()
      .map(({ action, backend, model, result, who }) => [who, action, backend, model, result]),
)

export const quiet = Layer.empty
