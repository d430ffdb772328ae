/** One thread, keep-alive to the upstream, every chunk sent on at once. */
export const haproxyCfg = (port: number, upstream: number) => `
global
  maxconn 5000
  nbthread 1
defaults
  mode http
  option http-no-delay
  http-reuse always
  timeout connect 5s
  timeout client 300s
  timeout server 300s
listen ollama
  bind 127.0.0.1:${port} backlog 4096
  server upstream 127.0.0.1:${upstream}
`
