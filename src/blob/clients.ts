import type { PipelineRequest, PipelineResponse } from '@azure/core-rest-pipeline';
import type { BlobAccess } from './credential.ts';
import { HotRequests } from './hot-requests.ts';
import type { LeanHttpClient } from './http-client.ts';
import type { SdkClients } from './sdk-clients.ts';

export interface ClientOptions {
  /** Of the account, without a slash at its end. */
  readonly endpoint: string;
  readonly container: string;
  readonly http: LeanHttpClient;
}

/** The ways to one container with one credential. */
export class BlobClients {
  /** The requests of the data path. */
  readonly hot: HotRequests;
  readonly #url: string;
  readonly #http: LeanHttpClient;
  readonly #access: BlobAccess;
  #sdk: Promise<SdkClients> | undefined;

  constructor({ endpoint, container, http }: ClientOptions, access: BlobAccess) {
    this.#url = `${endpoint}/${container}`;
    this.#http = http;
    this.#access = access;
    this.hot = new HotRequests({
      url: this.#url,
      query: access.kind === 'sas' ? access.sas.reveal() : undefined,
      // A SAS is in the URL: nothing is left to sign.
      send: access.kind === 'sas' ? (request) => http.sendRequest(request) : (request) => this.#signed(request),
    });
  }

  /** The SDK's clients, for everything else. Loading them costs as much as a thousand uploads: a thread may never need them. */
  sdk(): Promise<SdkClients> {
    this.#sdk ??= import('./sdk-clients.ts').then((sdk) => new sdk.SdkClients(this.#url, this.#http, this.#access));
    return this.#sdk;
  }

  async #signed(request: PipelineRequest): Promise<PipelineResponse> {
    return (await this.sdk()).signing.sendRequest(this.#http, request);
  }
}
