/** 5,000 histories of memory: one half of them. The other half runs beside it. */
import { suite } from "../simulation/vramSuite.ts"

suite("vram-1", 2500)
