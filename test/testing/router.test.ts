/** Wrong routers are caught by the exported contract. */
import { describe } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Standard from "../../src/layers/Standard.ts"
import { refuse } from "../../src/services/Refusal.ts"
import { Router } from "../../src/services/Router.ts"
import { RouterContract } from "../../src/testing/index.ts"
import { caught } from "./caught.ts"

type Service = Router["Service"]

/** A right stack with some methods of its router replaced. */
const wrong = (spoil: (right: Service) => Partial<Service>) =>
  RouterContract.histories(
    Layer.effect(Router, Effect.map(Router, (right) => ({ ...right, ...spoil(right) }))).pipe(
      Layer.provideMerge(Standard.layer()),
    ),
  )
const by = "every request has one answer, and nothing of it is left behind, whatever the history"

describe("a wrong router", () => {
  caught(
    "that answers no request",
    wrong(() => ({ route: () => Effect.never })),
    by,
    /never got an answer:\n {2}route of h\d+ \(.*, model tiny-\w+, tenant default\)/,
  )
  caught(
    "that dies where it should refuse",
    wrong((right) => ({
      route: (request, reply) =>
        Effect.tap(
          right.route(request, reply),
          ({ result }) => result === "refused" ? Effect.die("refused") : Effect.void,
        ),
    })),
    by,
    /h\d+ ended as/,
  )
  caught(
    "that sends a second answer",
    wrong((right) => ({
      route: (request, reply) =>
        Effect.tap(right.route(request, reply), () => Effect.sync(() => reply.refuse(refuse("Internal", "again")))),
    })),
    by,
    /ended twice/,
  )
  caught(
    "that goes on counting clients that left",
    wrong((right) => {
      let gone = 0
      return {
        active: () => right.active() + gone,
        route: (request, reply) => Effect.onInterrupt(right.route(request, reply), () => Effect.sync(() => gone++)),
      }
    }),
    by,
    /"?active"?/,
  )
})
