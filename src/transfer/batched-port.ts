/** The part of a MessagePort or a Worker that is used here. */
export interface Port {
  postMessage(message: unknown): void;
  on(event: string, listener: (message: readonly unknown[]) => void): unknown;
}

/**
 * Sends what is said in one turn of the event loop as one message: a small file costs four messages, whose own price is
 * more than that of what they say.
 */
export class BatchedPort<Out, In> {
  readonly #port: Port;
  #batch: Out[] = [];

  constructor(port: Port, onMessage: (message: In) => void) {
    this.#port = port;
    port.on('message', (batch) => {
      for (const message of batch) onMessage(message as In);
    });
  }

  send(message: Out): void {
    this.#batch.push(message);
    if (this.#batch.length === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const batch = this.#batch;
    this.#batch = [];
    this.#port.postMessage(batch);
  }
}
