/**
 * One inference request of a web `fetch` handler, from its head to the end of its answer.
 *
 * @since 0.1.0
 */
import { Effect, type Exit } from "effect"
import type { Endpoint } from "../../services/RoutedRequest.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { Routing } from "../../services/Router.ts"
import type { Bag, Slotted } from "../../support/bag.ts"
import * as Requests from "../../wire/request.ts"
import { isPlain } from "./decode.ts"
import * as Exchange from "./exchange.ts"
import { Held } from "./held.ts"
import * as Refused from "./refused.ts"
import { readWebBody } from "./webBody.ts"
import { targetOf } from "./webMessage.ts"
import { WebReply } from "./WebReply.ts"

/** What all exchanges of a handler share. @internal */
export interface Shared extends Exchange.Shared {
  readonly active: Bag<WebExchange>
}

/** @internal */
export class WebExchange implements Slotted {
  slot = -1
  private readonly shared: Shared
  private readonly request: Request
  private readonly endpoint: Endpoint
  private readonly address: string | undefined
  private readonly reply: WebReply
  private readonly held: Held
  private readonly arrivedAt: number
  private readonly onAbort = () => this.leave()
  /** What is under way: the decoding of the body, then the routing of the request. */
  private running: Routing | undefined = undefined
  private left = false
  private over = false

  constructor(
    shared: Shared,
    request: Request,
    endpoint: Endpoint,
    id: string,
    cors: ReadonlyArray<string>,
    address: string | undefined,
  ) {
    this.shared = shared
    this.arrivedAt = shared.clock.currentTimeMillisUnsafe()
    this.request = request
    this.endpoint = endpoint
    this.address = Exchange.plainAddress(address)
    this.held = new Held(shared.uploads)
    this.reply = new WebReply(endpoint, id, cors, shared.clock, this.onAbort)
  }

  /** Answers the request. `raw` has its headers, and `headers` those that were read from it. */
  start(raw: ReadonlyArray<string>, headers: Requests.RequestHeaders): Promise<Response> {
    const { signal } = this.request
    this.shared.active.add(this)
    signal.addEventListener("abort", this.onAbort)
    if (signal.aborted) this.leave()
    else this.answer(raw, headers).catch(() => this.fail())
    return this.reply.response
  }

  /** Ends it because the client has left. */
  leave(): void {
    if (this.over) return
    this.left = true
    this.reply.leave()
    if (this.running === undefined) this.end()
    else this.running.interrupt()
  }

  private async answer(raw: ReadonlyArray<string>, headers: Requests.RequestHeaders): Promise<void> {
    const { reply, endpoint } = this
    const { bodyBytesMax, clock, tenantHeader } = this.shared
    const read = await readWebBody(this.request, bodyBytesMax, headers.contentLength, this.held)
    // The client may have left meanwhile. Then nothing is counted any more.
    if (this.over) return this.held.release()
    const body = "_tag" in read || isPlain(headers.contentEncoding)
      ? read
      : await this.decoded(headers.contentEncoding, read)
    if (body === undefined || reply.closed) return
    const made = "_tag" in body ? body : Requests.make(
      reply.id,
      endpoint,
      raw,
      headers,
      body,
      clock.currentTimeMillisUnsafe(),
      tenantHeader,
      this.address,
      this.arrivedAt,
    )
    if ("_tag" in made) {
      reply.refuse(made)
      const { method, url } = this.request
      const head = { id: reply.id, method, target: targetOf(url), headers: raw, arrivedAt: this.arrivedAt }
      Refused.call(this.shared, head, endpoint, made)
      return this.end()
    }
    this.running = Exchange.nothing
    const routing = Exchange.begin(this.shared, made, reply, () => this.settled())
    // It can have ended in the call.
    if (this.over) return
    this.running = routing
    if (this.left) routing.interrupt()
  }

  /** The decoded body; `undefined` where the client has left. */
  private async decoded(encoding: string, body: Uint8Array): Promise<Uint8Array | Refusal | undefined> {
    const fiber = Effect.runFork(Exchange.decoded(this.shared, encoding, body, this.held))
    this.running = Exchange.inFiber(fiber)
    const exit = await new Promise<Exit.Exit<Uint8Array | Refusal>>((resolve) => fiber.addObserver(resolve))
    this.running = undefined
    if (exit._tag === "Success") return exit.value
    this.fail()
    return undefined
  }

  private settled(): void {
    // A router that ends without an answer has a fault. Its client must not wait for ever.
    if (!this.reply.closed) this.reply.refuse(Exchange.unanswered)
    this.end()
  }

  private fail(): void {
    this.reply.refuse(Exchange.unanswered)
    this.end()
  }

  private end(): void {
    if (this.over) return
    this.over = true
    this.running = undefined
    this.held.release()
    this.request.signal.removeEventListener("abort", this.onAbort)
    this.shared.active.remove(this)
  }
}
