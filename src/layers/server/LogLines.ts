/**
 * Loggers that write one line for each event: JSON for programs, or a short text for people.
 *
 * @since 0.1.0
 */
import { Array, Cause, Context, Effect, type Fiber, Formatter, Layer, Logger, LogLevel, References } from "effect"
import type { LogControl } from "../../services/LogControl.ts"
import { escaped } from "../../support/jsonLine.ts"

/** @category models @since 0.1.0 */
export type Format = "json" | "pretty"

/** All formats, for settings. @category constants @since 0.1.0 */
export const formats: ReadonlyArray<Format> = ["pretty", "json"]

/**
 * The format that a text names, in any case. For every other text: pretty on a terminal, else JSON.
 *
 * @category constructors
 * @since 0.1.0
 */
export const formatOf = (text: string | undefined, isTerminal: boolean): Format =>
  formats.find((format) => format === text?.trim().toLowerCase()) ?? (isTerminal ? "pretty" : "json")

const asText = (value: unknown): string => typeof value === "string" ? value : Formatter.format(value)

const messageOf = (message: unknown): string => Array.ensure(message).map(asText).join(" ")

const annotationsOf = (fiber: Fiber.Fiber<unknown, unknown>): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries(fiber.getRef(References.CurrentLogAnnotations))

/**
 * A JSON object in one line: `time`, `level` and `message`, then the annotations, and `cause` where there is one.
 *
 * @category loggers
 * @since 0.1.0
 */
export const json: Logger.Logger<unknown, string> = Logger.make(({ cause, date, fiber, logLevel, message }) => {
  const head = { time: date.toISOString(), level: logLevel.toLowerCase(), message: messageOf(message) }
  const rest = annotationsOf(fiber).filter(([name]) => !Object.hasOwn(head, name))
  const why = cause.reasons.length === 0 ? {} : { cause: Cause.pretty(cause) }
  return escaped(Formatter.formatJson({ ...head, ...Object.fromEntries(rest), ...why }))
})

/** A value between blanks. Clients choose some values. */
const word = (value: unknown): string => {
  const text = asText(value)
  return /^[\w.:/@+*,-]+$/.test(text) ? text : escaped(JSON.stringify(text))
}

const colours: Readonly<Record<string, number>> = { Trace: 90, Debug: 90, Info: 32, Warn: 33, Error: 31, Fatal: 31 }

/**
 * `12:30:05.123 INFO  request id=… model=llama3.1:8b status=200`, in local time. The stack of a cause follows in lines
 * of its own.
 *
 * @category loggers
 * @since 0.1.0
 */
export const pretty = (options?: {
  /** Defaults to no colours. */
  readonly colours?: boolean | undefined
}): Logger.Logger<unknown, string> =>
  Logger.make(({ cause, date, fiber, logLevel, message }) => {
    const paint = (text: string, code: number) => options?.colours === true ? `\x1b[${code}m${text}\x1b[0m` : text
    const two = (value: number, width = 2) => String(value).padStart(width, "0")
    const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map((value) => two(value)).join(":")
    const line = [
      paint(`${time}.${two(date.getMilliseconds(), 3)}`, 90),
      paint(logLevel.toUpperCase().padEnd(5), colours[logLevel] ?? 0),
      escaped(messageOf(message).replaceAll(/\s*\n\s*/g, " ")),
      ...annotationsOf(fiber).map(([name, value]) => `${paint(`${name}=`, 36)}${word(value)}`),
    ].join(" ")
    return cause.reasons.length === 0 ? line : `${line}\n${Cause.pretty(cause)}`
  })

/** Lines that are written together. @category models @since 0.1.0 */
export interface Lines {
  /** Adds a line, without its end. */
  readonly write: (line: string) => void
  /** Writes the lines that wait. */
  readonly flush: () => void
}

/** Node and Deno have it; serverless hosts need not. */
const host: { readonly process?: { readonly once?: (event: "exit", run: () => void) => unknown } | undefined } =
  globalThis

/** Characters of lines that wait. */
const waitingMax = 64 * 1024
/** Longest wait of a line, in milliseconds. */
const waitMillis = 100

/**
 * Lines that wait for others: to write each by itself costs more than to make it. They wait until there are 64 KiB of
 * them, for at most 100 milliseconds, or until the process ends. A process that is killed loses those that wait.
 *
 * @category constructors
 * @since 0.1.0
 */
export const together = (options: {
  /** Writes lines, with ends between them and not after the last one. */
  readonly write: (text: string) => void
  /** Runs a function after so many milliseconds. Defaults to a timer that does not keep the process alive. */
  readonly later?: ((run: () => void, millis: number) => void) | undefined
}): Lines => {
  const { later = unhurried, write } = options
  let text = ""
  let isDue = false
  let isKept = false
  const flush = (): void => {
    if (text === "") return
    const whole = text
    text = ""
    write(whole)
  }
  const due = (): void => {
    isDue = false
    flush()
  }
  return {
    write: (line) => {
      text = text === "" ? line : `${text}\n${line}`
      if (text.length >= waitingMax) return flush()
      if (isDue) return
      isDue = true
      if (!isKept) host.process?.once?.("exit", flush)
      isKept = true
      later(due, waitMillis)
    },
    flush,
  }
}

const unhurried = (run: () => void, millis: number): void => {
  const timer: unknown = setTimeout(run, millis)
  ;(timer as { readonly unref?: () => void }).unref?.()
}

/** The console of this process, for lines that are written together. @category constants @since 0.1.0 */
export const console: Lines = together({ write: (text) => globalThis.console.log(text) })

/** The lines of requests that still wait come before the event. */
const inOrder = (logger: Logger.Logger<unknown, void>): Logger.Logger<unknown, void> =>
  Logger.make((options) => {
    console.flush()
    logger.log(options)
  })

/**
 * Writes the log to the console in a format, in place of the loggers there are.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerOf = (format: Format, options?: {
  /** Colours of the pretty format. Defaults to none. */
  readonly colours?: boolean | undefined
}): Layer.Layer<never> => Logger.layer([inOrder(Logger.withConsoleLog(format === "json" ? json : pretty(options)))])

/**
 * Lets operators change the log level while the program runs. The loggers of the layer below stay, and this layer hands
 * on to them what the level allows.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerControlled = (control: LogControl): Layer.Layer<never> =>
  Layer.effectContext(
    Effect.map(Effect.service(Logger.CurrentLoggers), (loggers) => {
      const filtered = Array.fromIterable(loggers).map((logger) =>
        Logger.make<unknown, unknown>((options) =>
          LogLevel.isGreaterThanOrEqualTo(options.logLevel, control.level()) ? logger.log(options) : undefined
        )
      )
      return Context.make(Logger.CurrentLoggers, new Set(filtered)).pipe(
        // The loggers decide.
        Context.add(References.MinimumLogLevel, "All"),
      )
    }),
  )
