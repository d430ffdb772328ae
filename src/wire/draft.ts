/**
 * The envelope while it is read.
 *
 * @since 0.1.0
 */
import type { RunnerOption, Span } from "../services/RoutedRequest.ts"

/** As `Envelope`, but every field may still change. @internal */
export interface Draft {
  model: string
  modelSpan: Span | undefined
  stream: boolean | undefined
  streamSpan: Span | undefined
  keepAlive: string | undefined
  keepAliveSpan: Span | undefined
  numCtx: number | undefined
  numCtxSpan: Span | undefined
  runnerOptions: ReadonlyArray<RunnerOption>
  deterministic: boolean
  promptBytes: number
  images: number
  imageBytes: number
  emptyPrompt: boolean
}

/** Of nearly every body, so that it is made once. */
const noRunnerOptions: ReadonlyArray<RunnerOption> = []

/** @internal */
export const draft = (): Draft => ({
  model: "",
  modelSpan: undefined,
  stream: undefined,
  streamSpan: undefined,
  keepAlive: undefined,
  keepAliveSpan: undefined,
  numCtx: undefined,
  numCtxSpan: undefined,
  runnerOptions: noRunnerOptions,
  deterministic: false,
  promptBytes: 0,
  images: 0,
  imageBytes: 0,
  emptyPrompt: true,
})
