import * as MemoryCoalescer from "../../src/layers/MemoryCoalescer.ts"
import { contract } from "../contracts/Coalescer.ts"

contract("memory", MemoryCoalescer.layer())
