import * as Standard from "../../../src/layers/Standard.ts"
import { refuse } from "../../../src/services/Refusal.ts"
import { contract, histories } from "../../../src/testing/contracts/Router.ts"
import * as MockRouter from "../../../src/testing/mocks/MockRouter.ts"
import { holds } from "../../support/checks.ts"
import { over } from "../../support/routers.ts"

holds(
  "MockRouter is a Router",
  contract({
    answers: MockRouter.layer({ status: 200, headers: [], chunks: ["{", "}"] }),
    refuses: MockRouter.layer(refuse("ModelNotFound", "no")),
  }),
)

holds(
  "PipelineRouter is a Router",
  contract({ answers: over({ a: {} }), refuses: over({ a: { models: [] } }) }),
)

holds("the standard stack", histories(Standard.layer()))
