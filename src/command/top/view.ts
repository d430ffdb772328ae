/**
 * What `llamero top` knows at one moment.
 *
 * @since 0.1.0
 */
import type { State } from "../../layers/routes/AdminApi.ts"
import type { History } from "../state/rates.ts"
import type { Glyphs } from "./glyphs.ts"

/** Whether the state comes live, is asked for at intervals, or is not heard of. @category models @since 0.1.0 */
export type Link = "live" | "polling" | "reconnecting"

/** @category models @since 0.1.0 */
export interface View {
  readonly url: string
  readonly link: Link
  readonly state: State
  readonly history: History
  /** The time of day to show, in milliseconds. */
  readonly now: number
  /** What the keys do; empty where there are none. */
  readonly keys: string
  readonly glyphs: Glyphs
}
