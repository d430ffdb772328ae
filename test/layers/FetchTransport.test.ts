import * as FetchTransport from "../../src/layers/FetchTransport.ts"
import * as Contract from "../../src/testing/contracts/Transport.ts"
import { behave } from "./edge/sockets.ts"
import { holds } from "../support/checks.ts"

holds("FetchTransport is a Transport", Contract.contract({ layer: FetchTransport.layer(), behave }))
