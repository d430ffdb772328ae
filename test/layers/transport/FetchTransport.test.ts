import * as FetchTransport from "../../../src/layers/transport/FetchTransport.ts"
import * as Contract from "../../../src/testing/contracts/Transport.ts"
import { holds } from "../../support/checks.ts"
import { behave } from "../server/sockets.ts"

holds("FetchTransport is a Transport", Contract.contract({ layer: FetchTransport.layer(), behave }))
