/**
 * The configuration of each peer: its documented settings for streams and many requests, no access log, no limit on the
 * rate of requests, and connections to the upstream kept open. What is not set is its default.
 */
import { MODEL } from "../wire.ts"

/** The engine is the default, which its documentation recommends for production. */
export const ollaYaml = (port: number, upstream: number) => `
server:
  host: 127.0.0.1
  port: ${port}
  write_timeout: 0s
  request_logging: false
  rate_limits:
    global_requests_per_minute: 0
    per_ip_requests_per_minute: 0
    health_requests_per_minute: 0
proxy:
  engine: olla
  profile: streaming
  load_balancer: least-connections
discovery:
  type: static
  static:
    endpoints:
      - url: http://127.0.0.1:${upstream}
        name: upstream
        type: ollama
        priority: 100
        model_url: /api/tags
        health_check_url: /
        check_interval: 5s
        check_timeout: 2s
`

/** The upstream is a server that llama-swap does not start itself, which it calls a peer. */
export const llamaSwapYaml = (upstream: number) => `
logLevel: error
captureBuffer: 0
performance:
  disabled: true
peers:
  upstream:
    proxy: http://127.0.0.1:${upstream}
    models: ["${MODEL}"]
`

/** The provider that its documentation recommends for chats with Ollama. */
export const litellmYaml = (upstream: number) => `
model_list:
  - model_name: "${MODEL}"
    litellm_params:
      model: "ollama_chat/${MODEL}"
      api_base: http://127.0.0.1:${upstream}
litellm_settings:
  set_verbose: false
`

/** By default it refuses requests that would be more than a few at a time. */
export const ollamaRouterFleet = (upstream: number) => `
version: 1
nodes:
  - id: upstream
    url: http://127.0.0.1:${upstream}
    max_inflight: 100000
    capacity:
      vram_gb: 80
      gpus: 1
`

/** The limits on connections are raised, because the default does not open 500 streams. */
export const ollamaRouterOverlay = (folder: string) => `
upstream:
  max_connections: 10000
  max_keepalive_connections: 256
policy:
  model_warm_enabled: false
health:
  capacity_probe_enabled: false
job_store_path: ${folder}/jobs.sqlite3
`
