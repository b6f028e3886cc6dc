import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TEST_CA, TEST_CERTIFICATE, TEST_KEY } from '../support/tls.ts';
import type { BenchFile } from './workload.ts';

export const ACCOUNT = 'account';
export const CONTAINER = 'container';
/** Looks like a SAS; nobody checks it. */
export const SAS = 'sv=2021-08-06&sr=c&sp=racwdl&se=2126-01-01T00%3A00%3A00Z&sig=bm90aGluZw%3D%3D';
export const ETAG = '"0x8DC0000000000000"';

export interface BenchEndpoint {
  /** Of the account. */
  readonly http: string;
  readonly https: string;
  /** A file with the authority of the certificate. */
  readonly authority: string;
  readonly version: string;
  stop(): Promise<void>;
}

/**
 * An nginx that answers as the Blob service does, as far as uploads and downloads go: it throws bodies away, and serves
 * the files of a directory by ranges (`x-ms-range`), their properties and one listing. Endpoint of both tools alike, and
 * much cheaper than either: what is measured is the tools.
 */
export async function startEndpoint(
  scratch: string,
  source: string,
  files: readonly BenchFile[],
): Promise<BenchEndpoint> {
  const directory = join(scratch, 'nginx');
  await mkdir(join(directory, 'root', ACCOUNT), { recursive: true });
  await symlink(source, join(directory, 'root', ACCOUNT, CONTAINER));
  await writeFile(join(directory, 'list.xml'), listing(files));
  await writeFile(join(directory, 'certificate.pem'), TEST_CERTIFICATE);
  await writeFile(join(directory, 'key.pem'), TEST_KEY, { mode: 0o600 });
  const authority = join(directory, 'authority.pem');
  await writeFile(authority, TEST_CA);
  const ports = { http: await freePort(), https: await freePort() };
  const configuration = join(directory, 'nginx.conf');
  await writeFile(configuration, configurationOf(directory, ports));
  const server = spawn('nginx', ['-c', configuration, '-p', directory, '-e', join(directory, 'error.log')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  await listening(server, ports.http, join(directory, 'error.log'));
  return {
    http: `http://127.0.0.1:${ports.http}/${ACCOUNT}`,
    https: `https://127.0.0.1:${ports.https}/${ACCOUNT}`,
    authority,
    version: await nginxVersion(),
    async stop() {
      if (server.exitCode !== null) return;
      server.kill('SIGTERM');
      await once(server, 'exit');
    },
  };
}

/** `nginx/1.22.1`, or why it can't be used. */
export async function nginxVersion(): Promise<string> {
  const child = spawn('nginx', ['-v'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.on('data', (data: Buffer) => {
    text += data.toString('utf8');
  });
  const failed = await once(child, 'close').then(
    () => false,
    () => true,
  );
  if (failed) throw new Error('nginx is missing: apt-get install nginx-light (or nginx)');
  return /nginx\/[\d.]+/.exec(text)?.[0] ?? 'nginx';
}

// Static files know no x-ms-range: a second server behind the first gets it as Range.
function configurationOf(directory: string, ports: { http: number; https: number }): string {
  const inner = `unix:${join(directory, 'inner.sock')}`;
  return `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${join(directory, 'pid')};
events { worker_connections 4096; }
http {
  access_log off;
  client_max_body_size 0;
  client_body_buffer_size 1m;
  client_body_temp_path ${join(directory, 'body')};
  proxy_temp_path ${join(directory, 'proxy')};
  fastcgi_temp_path ${join(directory, 'fastcgi')};
  uwsgi_temp_path ${join(directory, 'uwsgi')};
  scgi_temp_path ${join(directory, 'scgi')};
  keepalive_requests 100000000;
  keepalive_timeout 300s;
  sendfile on;
  tcp_nodelay on;
  default_type application/octet-stream;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:s:1m;
  upstream inner { server ${inner}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen ${inner};
    root ${join(directory, 'root')};
    etag off;
    location / { }
  }
  server {
    listen 127.0.0.1:${ports.http};
    listen 127.0.0.1:${ports.https} ssl;
    ssl_certificate ${join(directory, 'certificate.pem')};
    ssl_certificate_key ${join(directory, 'key.pem')};
    add_header ETag '${ETAG}' always;
    add_header x-ms-request-id 00000000-0000-0000-0000-000000000000 always;
    add_header x-ms-version 2024-08-04 always;
    add_header x-ms-blob-type BlockBlob always;
    add_header x-ms-request-server-encrypted true always;
    location = /${ACCOUNT}/${CONTAINER} {
      root ${directory};
      default_type application/xml;
      try_files /list.xml =404;
    }
    location / {
      if ($request_method = PUT) { return 201; }
      proxy_pass http://inner;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Range $http_x_ms_range;
      proxy_set_header If-Match "";
      proxy_set_header If-None-Match "";
      proxy_set_header If-Modified-Since "";
      proxy_set_header If-Unmodified-Since "";
      proxy_buffer_size 16k;
      proxy_buffers 8 256k;
      proxy_busy_buffers_size 1m;
      proxy_max_temp_file_size 0;
      proxy_hide_header ETag;
    }
  }
}
`;
}

function listing(files: readonly BenchFile[]): string {
  const blobs = files.map(
    ({ name, size }) =>
      `<Blob><Name>${name}</Name><Properties><Creation-Time>Sun, 01 Jan 2023 00:00:00 GMT</Creation-Time>` +
      '<Last-Modified>Sun, 01 Jan 2023 00:00:00 GMT</Last-Modified>' +
      `<Etag>0x8DC0000000000000</Etag><Content-Length>${size}</Content-Length>` +
      '<Content-Type>application/octet-stream</Content-Type><BlobType>BlockBlob</BlobType>' +
      '<AccessTier>Hot</AccessTier><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>' +
      '<ServerEncrypted>true</ServerEncrypted></Properties></Blob>',
  );
  return `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="${CONTAINER}"><Blobs>${blobs.join('')}</Blobs><NextMarker /></EnumerationResults>`;
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function listening(server: ChildProcess, port: number, errorLog: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (server.exitCode !== null) throw new Error(`nginx left:\n${await readFile(errorLog, 'utf8').catch(() => '')}`);
    const socket = net.connect(port, '127.0.0.1');
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return;
    await sleep(50);
  }
  throw new Error('nginx does not listen');
}
