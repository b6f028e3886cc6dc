import http from 'node:http';
import https from 'node:https';

/**
 * The time of the service, from the head of its answer to a request without a credential: told whatever else is wrong,
 * a signature that the service refuses because of the clock included. Undefined: the answer names no time.
 * Proxies are those of the environment. Rejects with the errors of node:net, node:tls and node:http, or the signal's.
 */
export async function serviceTime(endpoint: string, signal: AbortSignal): Promise<Date | undefined> {
  const plain = new URL(endpoint).protocol === 'http:';
  const agent = new (plain ? http.Agent : https.Agent)({ proxyEnv: process.env });
  try {
    const date = await new Promise<string | undefined>((resolve, reject) => {
      const request = (plain ? http.request : https.request)(`${endpoint}/?comp=list`, {
        ...{ method: 'HEAD', agent, signal },
      });
      request.on('error', reject);
      request.on('response', (answer) => {
        answer.resume();
        resolve(answer.headers.date);
      });
      request.end();
    });
    const time = Date.parse(date ?? '');
    return Number.isNaN(time) ? undefined : new Date(time);
  } finally {
    agent.destroy();
  }
}
