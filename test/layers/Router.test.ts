import * as MockRouter from "../../src/layers/MockRouter.ts"
import { refuse } from "../../src/services/Refusal.ts"
import { contract } from "../contracts/Router.ts"
import { over } from "../support/routers.ts"

contract("mock", {
  answers: MockRouter.layer({ status: 200, headers: [], chunks: ["{", "}"] }),
  refuses: MockRouter.layer(refuse("ModelNotFound", "no")),
})

contract("pipeline", { answers: over({ a: {} }), refuses: over({ a: { models: [] } }) })
