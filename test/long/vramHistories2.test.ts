/** 5,000 histories of memory: the other half of them. The other half runs beside it. */
import { suite } from "../simulation/vramSuite.ts"

suite("vram-2", 2500)
