/**
 * The envelope while the scanner fills it.
 *
 * @since 0.1.0
 */
import type { RunnerOption, Span } from "../services/RoutedRequest.ts"

/** An `Envelope` whose fields can still change. @internal */
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
  cuts: boolean
}

/** Shared by all bodies without runner options, which is nearly every body. */
const noRunnerOptions: ReadonlyArray<RunnerOption> = []

/** An empty draft. @internal */
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
  cuts: false,
})
