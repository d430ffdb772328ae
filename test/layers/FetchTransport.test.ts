import * as FetchTransport from "../../src/layers/FetchTransport.ts"
import * as Contract from "../contracts/Transport.ts"
import { behave } from "./edge/sockets.ts"

Contract.suite({ name: "Fetch", layer: FetchTransport.layer(), behave })
