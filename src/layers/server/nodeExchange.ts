/**
 * One inference request of a `node:http` server, from its head to the last byte of its answer.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { Refusal } from "../../services/Refusal.ts"
import type { Endpoint, RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Routing } from "../../services/Router.ts"
import type { Bag, Slotted } from "../../support/bag.ts"
import { isLocal } from "../../support/localRequests.ts"
import * as Request from "../../wire/request.ts"
import { BodyReader } from "./body.ts"
import { isPlain } from "./decode.ts"
import * as Exchange from "./exchange.ts"
import { NodeReply } from "./NodeReply.ts"
import * as Refused from "./refused.ts"

/** What all exchanges of one server share. @internal */
export interface Shared extends Exchange.Shared {
  readonly active: Bag<NodeExchange>
  /** Called when the last exchange has ended. */
  readonly onIdle: () => void
  /** Whether the listener is the one for users of this machine. */
  readonly local: boolean
}

/** @internal */
export class NodeExchange implements Slotted {
  slot = -1
  readonly response: ServerResponse
  private readonly shared: Shared
  private readonly incoming: IncomingMessage
  private readonly endpoint: Endpoint
  private readonly headers: Request.RequestHeaders
  private readonly reply: NodeReply
  private readonly body: BodyReader
  private readonly arrivedAt: number
  /** Whether the body is still being received. */
  private receiving = true
  /** What is under way: the decoding of the body, then the routing of the request. */
  private running: Routing | undefined = undefined
  /** Whether the response is closed: the client has its answer, or has left. */
  private over = false
  /** Bytes that the sweeper saw when it last looked. */
  private seen = -1
  /** How often in a row the sweeper saw the same bytes. */
  private still = 0

  constructor(
    shared: Shared,
    incoming: IncomingMessage,
    response: ServerResponse,
    endpoint: Endpoint,
    headers: Request.RequestHeaders,
    id: string,
    cors: ReadonlyArray<string>,
  ) {
    this.shared = shared
    this.arrivedAt = shared.clock.currentTimeMillisUnsafe()
    this.incoming = incoming
    this.response = response
    this.endpoint = endpoint
    this.headers = headers
    this.reply = new NodeReply(response, endpoint, id, cors, shared.clock)
    shared.active.add(this)
    response.on("close", () => this.closed())
    if (response.socket === null) this.closeWith(incoming.socket)
    const { contentEncoding, contentLength } = headers
    // The reader listens before the length is checked: a refused body must be read, too (see `discardedMax`).
    this.body = new BodyReader(
      incoming,
      shared.bodyBytesMax,
      shared.uploads,
      (body) => isPlain(contentEncoding) ? this.received(body) : this.decoded(contentEncoding, body),
    )
    this.body.expect(contentLength)
  }

  /** Whether an upload, or a client that has to read, has not moved for `limit` calls. The sweeper calls it. */
  isStuck(limit: number): boolean {
    const waitsForClient = this.receiving || this.reply.blocked || this.reply.closed
    const moved = this.receiving ? this.body.received : this.response.writableLength
    this.still = waitsForClient && moved === this.seen ? this.still + 1 : 0
    this.seen = moved
    return this.still >= limit
  }

  /** Ends it at once. */
  cut(): void {
    this.response.destroy()
    this.closed()
  }

  private decoded(encoding: string, body: Uint8Array | Refusal): void {
    if ("_tag" in body || this.over) return this.received(body)
    this.receiving = false
    const fiber = Effect.runFork(Exchange.decoded(this.shared, encoding, body, this.body.held))
    this.running = Exchange.inFiber(fiber)
    fiber.addObserver((exit) => {
      this.running = undefined
      if (exit._tag === "Success") this.received(exit.value)
      else this.settled()
      this.leave()
    })
  }

  private received(body: Uint8Array | Refusal): void {
    this.receiving = false
    if (this.over) return
    if ("_tag" in body) return this.refuse(body)
    const { clock } = this.shared
    const request = Request.make(
      this.reply.id,
      this.endpoint,
      this.incoming.rawHeaders,
      this.headers,
      body,
      clock.currentTimeMillisUnsafe(),
      this.shared.tenantHeader,
      Exchange.plainAddress(this.incoming.socket.remoteAddress),
      this.arrivedAt,
    )
    if ("_tag" in request) return this.refuse(request)
    this.route(this.shared.local && isLocal(this.incoming) ? { ...request, local: true } : request)
  }

  /** Refuses it before there is a request to route. */
  private refuse(why: Refusal): void {
    const { method, rawHeaders, url = "" } = this.incoming
    const head = { id: this.reply.id, method, target: url, headers: rawHeaders, arrivedAt: this.arrivedAt }
    this.reply.refuse(why)
    Refused.call(this.shared, head, this.endpoint, why)
  }

  private route(request: RoutedRequest): void {
    this.running = Exchange.nothing
    const routing = Exchange.begin(this.shared, request, this.reply, () => this.settled())
    // It can have ended in the call.
    if (this.running === undefined) return
    this.running = routing
    if (this.over) routing.interrupt()
  }

  private settled(): void {
    this.running = undefined
    // A router that ends without an answer has a fault. Its client must not wait for ever.
    if (!this.over && !this.reply.closed) this.reply.refuse(Exchange.unanswered)
    this.leave()
  }

  /** Deno does not close a response that waits behind another one on its connection. */
  private closeWith(socket: Socket): void {
    const gone = () => this.closed()
    // A client may send any number of requests at once.
    socket.setMaxListeners(0).once("close", gone)
    this.response.once("close", () => socket.off("close", gone))
  }

  private closed(): void {
    if (this.over) return
    this.over = true
    this.receiving = false
    this.reply.leave()
    this.running?.interrupt()
    this.leave()
  }

  /** Frees what the exchange holds, once the response is closed and the router has ended. */
  private leave(): void {
    if (!this.over || this.running !== undefined) return
    this.body.held.release()
    const { active, onIdle } = this.shared
    active.remove(this)
    if (active.size === 0) onIdle()
  }
}
