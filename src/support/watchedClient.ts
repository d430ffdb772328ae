/**
 * A client of a collector, which may be gone for a while.
 *
 * @since 0.1.0
 */
import { Duration, Effect } from "effect"
import { HttpClient, HttpClientError } from "effect/http"
import * as Outage from "./outage.ts"

/**
 * A client that gives up after a time, and that logs the first failure of an outage and its end. `what` is what cannot
 * be exported meanwhile, such as `traces`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (client: HttpClient.HttpClient, what: string, millis: number): HttpClient.HttpClient => {
  const outage = Outage.make()
  const unreachable = `${what} cannot be exported; they are dropped until the collector answers`
  return HttpClient.transform(client, (response, request) => {
    const late = () =>
      Effect.fail(
        new HttpClientError.HttpClientError({
          reason: new HttpClientError.TransportError({ request, description: `no answer in ${millis} ms` }),
        }),
      )
    return Effect.timeoutOrElse(response, { duration: Duration.millis(millis), orElse: late }).pipe(
      Effect.tap(({ status }) =>
        status < 400
          ? outage.ends(Effect.logInfo(`${what} can be exported again`))
          : outage.begins(String(status), Effect.logWarning(`${unreachable}: status ${status}`))
      ),
      Effect.tapError((error) => outage.begins(error.message, Effect.logWarning(`${unreachable}: ${error.message}`))),
    )
  })
}
