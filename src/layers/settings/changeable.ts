/**
 * Which settings the reference server changes while it runs. The server is built from two types: what is built once
 * cannot read a setting of this list, and what reads one of them reads it anew each time.
 *
 * @since 0.1.0
 */

/** @internal */
export const changeable = [
  "backends",
  "fleetFile",
  "fleetMillis",
  "ollamaHost",
  "ignored",
  "parallelism",
  "streamsPerBackend",
  "scorers",
  "picker",
  "zone",
  "queueCapacity",
  "queueBytes",
  "queueMillis",
  "tenantWeights",
  "decisions",
  "writeMillis",
  "firstByteMillis",
  "gapMillis",
  "answerMillis",
  "totalMillis",
  "attemptsMax",
  "retryRatio",
  "retryPerSecond",
  "prewarm",
  "pinned",
  "rateLimit",
  "aliases",
  "contextGuard",
  "logLevel",
] as const

/** Settings that name a file whose content is read again, while its name stays. */
const contents: ReadonlyArray<string> = ["keysFile"]

/** What a server that runs takes of a setting: a new value, the new content of its file, or nothing. @internal */
export const takes = (key: string): "yes" | "content" | "no" =>
  changeable.some((one) => one === key) ? "yes" : contents.includes(key) ? "content" : "no"
