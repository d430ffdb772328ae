/**
 * The methods that the paths of the admin API take.
 *
 * @since 0.1.0
 */
import { HttpRouter, HttpServerResponse } from "effect/http"

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const

type AnyRoute = HttpRouter.Route<unknown, unknown>

/** HEAD where there is GET, and 405 with `Allow` for every other method. */
const others = (routes: ReadonlyArray<AnyRoute>): ReadonlyArray<AnyRoute> => {
  const byPath = new Map<HttpRouter.PathInput, Map<string, AnyRoute>>()
  for (const route of routes) {
    const known = byPath.get(route.path) ?? new Map<string, AnyRoute>()
    byPath.set(route.path, known.set(route.method, route))
  }
  return Array.from(byPath).flatMap(([path, known]) => {
    const get = known.get("GET")
    const allow = [...get === undefined ? [] : ["HEAD"], ...known.keys()].join(", ")
    const refused = HttpServerResponse.text("405 method not allowed", { status: 405, headers: { allow } })
    return methods.filter((method) => !known.has(method)).map((method): AnyRoute =>
      method === "HEAD" && get !== undefined
        ? HttpRouter.route("HEAD", path, get.handler)
        : HttpRouter.route(method, path, refused)
    )
  })
}

/** An `HttpRouter` that gets these routes, too, with those that are added. @category combinators @since 0.1.0 */
export const strict = (http: HttpRouter.HttpRouter): HttpRouter.HttpRouter => ({
  ...http,
  addAll: (routes) => http.addAll([...routes, ...others(routes)]) as ReturnType<typeof http.addAll<typeof routes>>,
})
