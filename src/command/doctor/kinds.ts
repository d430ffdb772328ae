/**
 * The kinds of findings: the id of each, how bad it is, and what it means. The documentation prints this table.
 *
 * @since 0.1.0
 */

/**
 * - `error`: requests fail, or the router does not work as it is set.
 * - `warning`: it works, and it is slower, less safe or different from what somebody meant.
 * - `advice`: it works well, and could work better.
 */
export type Severity = "error" | "warning" | "advice"

const kind = (severity: Severity, meaning: string) => ({ severity, meaning })

/** All kinds, in the order in which they are printed. */
export const kinds = {
  "settings-wrong": kind("error", "The settings have a mistake, so the server does not start"),
  "fleet-unreadable": kind("error", "The list of backends cannot be read"),

  "backend-unreachable": kind("error", "A backend does not answer"),
  "backend-refuses": kind("error", "A backend, or a proxy in front of it, asks for other credentials or another host"),
  "not-ollama": kind("error", "Something answers at the address of a backend, and it is not Ollama"),
  "backend-slow": kind("warning", "A backend takes more than a second to tell its version"),
  "clock-skew": kind("warning", "The clock of a backend is more than 5 seconds from the clock here"),
  "ollama-old": kind("error", "Ollama is older than 0.5.4"),
  "ollama-not-current": kind("advice", "Ollama is older than 0.33, with which llamero is tested"),

  "model-missing": kind("error", "No backend has a model that is required, prewarmed or pinned"),
  "model-not-everywhere": kind("warning", "Some backends do not have such a model"),
  "digests-differ": kind("warning", "Backends have different models under one name"),

  "gpu-unreadable": kind("error", "The driver of a GPU is there and does not work"),
  "driver-old": kind("error", "The NVIDIA driver is older than Ollama needs for the GPU"),
  "gpu-old": kind("warning", "Ollama does not support the GPU: its compute capability is below 5.0"),
  "gpu-faulty": kind("error", "The driver reports a fault of a GPU"),
  "gpu-hidden": kind("warning", "CUDA_VISIBLE_DEVICES hides all GPUs from Ollama"),
  "gpu-unused": kind("warning", "Ollama has models in memory, and none of them on a GPU"),
  "cpu-unlabelled": kind("advice", "A backend runs on the CPU, and the router is not told so"),
  "nvml-unused": kind("advice", "GPUs are read with nvidia-smi, because NVML cannot be called"),

  "model-spilled": kind("warning", "A part of a model is in system memory: it is many times slower"),
  "model-too-large": kind("warning", "A planned model does not fit into the GPU memory of any backend"),
  "context-too-large": kind("warning", "A model does not fit with the context that Ollama chooses by itself"),
  "prewarm-too-large": kind("warning", "The planned models do not fit into GPU memory together"),
  "max-loaded-small": kind("warning", "OLLAMA_MAX_LOADED_MODELS is below the number of planned models"),
  "devices-unknown": kind("warning", "LLAMERO_VRAM is on, and the memory of a backend is not known"),
  "reserve-small": kind("warning", "LLAMERO_VRAM_RESERVE leaves too little for what is not counted"),
  "reserve-large": kind("warning", "LLAMERO_VRAM_RESERVE is more than half of a GPU"),
  "fit-target-large": kind("warning", "LLAMA_ARG_FIT_TARGET is above the reserve, so Ollama spills what should fit"),

  "obsolete-variable": kind("warning", "A variable that Ollama does not read any more, or never did"),
  "variable-unreadable": kind("warning", "Ollama cannot read the value of a variable and uses its default"),
  "parallelism-high": kind("warning", "The router sends more streams of a model than Ollama serves at a time"),
  "parallelism-low": kind("advice", "Ollama would serve more streams of a model than the router sends"),
  "parallelism-one": kind("advice", "OLLAMA_NUM_PARALLEL is 1: Ollama serves one stream of a model at a time"),
  "keep-alive-short": kind("warning", "Ollama unloads models after less than a minute"),

  "load-timeout-short": kind("warning", "The router gives up on a load before Ollama does"),
  "timeout-order": kind("warning", "A time-out ends before one that is inside of it"),
  "heartbeat-slow": kind("warning", "Heartbeats come later than most proxies wait"),
  "proxy-timeout-short": kind("error", "The proxy in front cuts streams before the first heartbeat"),
  "client-timeout-short": kind("warning", "Clients give up before the queue tells them to come back"),

  "open-files": kind("warning", "The limit of open files is below what the settings may need"),

  "router-unreachable": kind("error", "The router does not answer at the address that was given"),
  "router-token": kind("error", "The router refuses the admin token"),
  "router-disagrees": kind("warning", "The router counts a backend as unhealthy that answers here"),
  "prewarm-failed": kind("error", "The router could not load a planned model"),
} as const

/** The id of a kind. */
export type Id = keyof typeof kinds

/** The table in Markdown, for the documentation. */
export const table = (): string =>
  [
    "| id | severity | what it means |",
    "| --- | --- | --- |",
    ...Object.entries(kinds).map(([id, { meaning, severity }]) => `| \`${id}\` | ${severity} | ${meaning} |`),
  ].join("\n")
