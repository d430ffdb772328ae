/** One process, keep-alive to the upstream, no buffering: a token must not wait for the next one. */
export const nginxConf = (port: number, upstream: number, dir: string) => `
daemon off;
master_process off;
pid ${dir}/nginx.pid;
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  client_max_body_size 64m;
  client_body_temp_path ${dir}/nginx-body;
  proxy_temp_path ${dir}/nginx-proxy;
  fastcgi_temp_path ${dir}/nginx-fastcgi;
  uwsgi_temp_path ${dir}/nginx-uwsgi;
  scgi_temp_path ${dir}/nginx-scgi;
  tcp_nodelay on;
  keepalive_timeout 300s;
  keepalive_requests 100000000;
  upstream ollama {
    server 127.0.0.1:${upstream};
    keepalive 256;
    keepalive_requests 100000000;
    keepalive_timeout 300s;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://ollama;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 300s;
    }
  }
}
`
