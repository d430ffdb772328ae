/**
 * Follows the state of a router by its server-sent events, for as long as it takes: when the router restarts, it
 * connects again.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Result, Stream } from "effect"
import * as Sse from "effect/encoding/Sse"
import type { State } from "../../layers/routes/AdminApi.ts"
import * as Connection from "../connection.ts"
import { type CommandFailed, failed } from "../failed.ts"
import { type Change, changed } from "../state/state.ts"
import type { Link } from "./view.ts"

/** The router sends something at least every 15 seconds. */
const silenceMax = Duration.seconds(40)
/** Times between two tries, in milliseconds. */
const retryMillis = [500, 1000, 2000, 4000] as const
/** Time between two questions for the state, where too many others follow the events. */
const pollEvery = Duration.seconds(1)
/** A snapshot has every backend and every model in memory. */
const eventBytesMax = 512 * 1024 * 1024

/** @category models @since 0.1.0 */
export interface Follower {
  readonly onLink: (link: Link) => Effect.Effect<void>
  readonly onState: (state: State) => Effect.Effect<void>
}

type Followed<A> = Effect.Effect<A, CommandFailed>

/** Reads one stream of events to its end. */
const events = (to: Connection.Connection, { onLink, onState }: Follower): Followed<void> =>
  Effect.gen(function* () {
    const response = yield* Connection.ask(to, (client) => client.state.events({ responseMode: "response-only" }))
    yield* onLink("live")
    let state: State | undefined
    const due: Array<State> = []
    const parser = Sse.makeParser((message) => {
      if (message._tag !== "Event") return
      if (message.event === "snapshot") state = JSON.parse(message.data) as State
      else if (message.event === "change" && state !== undefined) {
        state = changed(state, JSON.parse(message.data) as Change)
      } else return
      due.push(state)
    }, { maxEventSize: eventBytesMax })
    const take = (text: string) =>
      Effect.suspend(() => {
        parser.feed(text)
        const newest = due.at(-1)
        due.length = 0
        return newest === undefined ? Effect.void : onState(newest)
      })
    yield* response.stream.pipe(
      Stream.timeout(silenceMax),
      Stream.decodeText,
      Stream.runForEach(take),
      Effect.mapError(() => failed("the connection broke")),
    )
  })

/** Asks for the state again and again, until it fails. */
const polled = (to: Connection.Connection, { onLink, onState }: Follower): Followed<never> =>
  Connection.ask(to, (client) => client.state.state()).pipe(
    Effect.flatMap((state) => Effect.andThen(onLink("polling"), onState(state))),
    Effect.andThen(Effect.sleep(pollEvery)),
    Effect.forever,
  )

/**
 * Never ends. It fails when the router does not take the token any more.
 *
 * @category calls
 * @since 0.1.0
 */
export const follow = (to: Connection.Connection, follower: Follower): Followed<never> =>
  Effect.gen(function* () {
    let tries = 0
    const heard: Follower = {
      ...follower,
      onState: (state) => {
        tries = 0
        return follower.onState(state)
      },
    }
    const once = Effect.catchIf(events(to, heard), ({ status }) => status === 503, () => polled(to, heard))
    while (true) {
      const ended = yield* Effect.result(once)
      if (Result.isFailure(ended) && ended.failure.status === 401) return yield* ended.failure
      yield* follower.onLink("reconnecting")
      yield* Effect.sleep(Duration.millis(retryMillis[Math.min(tries++, retryMillis.length - 1)]!))
    }
  })
