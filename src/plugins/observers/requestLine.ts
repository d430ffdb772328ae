/**
 * The line of a request as JSON.
 *
 * @since 0.1.0
 */
import type { RequestSettled } from "../../services/RouterEvents.ts"
import { quoted } from "../../support/jsonLine.ts"

/** The last text and its JSON: of a route, a model, a tenant and a backend, mostly the one before. */
class Quoted {
  private text = ""
  private json = `""`

  of(text: string): string {
    if (text !== this.text) {
      this.text = text
      this.json = quoted(text)
    }
    return this.json
  }
}

/** A model that no backend has is named as the client wrote it, and that may be as long as a request body. */
const modelMax = 200

/** A model's name as the log has it. @internal */
export const shortModel = (model: string): string => model.length > modelMax ? model.slice(0, modelMax) : model

/**
 * Makes the function that writes the line of a request: as `LogLines.json` does, but without the objects in between.
 * That takes a tenth of the time.
 *
 * @internal
 */
export const make = (): (event: RequestSettled, level: "info" | "warn") => string => {
  const [backends, models, routes, tenants] = [new Quoted(), new Quoted(), new Quoted(), new Quoted()]
  let at = NaN
  let time = ""
  return (event, level) => {
    if (event.at !== at) {
      at = event.at
      time = new Date(at).toISOString()
    }
    const { attempts, backend, outcome, queuedMillis, refusal, result, status } = event.settled
    let line = `{"time":"${time}","level":"${level}","message":"request","id":${quoted(event.id)},"route":${
      routes.of(event.route)
    },"model":${models.of(shortModel(event.model))},"tenant":${
      tenants.of(event.tenant)
    },"status":${status},"result":"${result}"`
    if (backend !== undefined) line += `,"backend":${backends.of(backend)},"attempts":${attempts}`
    if (outcome !== undefined) {
      line += `,"outcome":${quoted(outcome.cause)}`
      if (outcome.firstByteMillis !== undefined) line += `,"first_byte_ms":${outcome.firstByteMillis}`
    }
    if (event.trace?.sampled === true) line += `,"trace_id":"${event.trace.traceId}"`
    if (refusal !== undefined) line += `,"refusal":"${refusal.reason}"`
    return `${line},"queued_ms":${queuedMillis},"total_ms":${event.totalMillis},"bytes_in":${event.bytesIn},"bytes_out":${event.bytesOut}}`
  }
}
