import { WebSocket } from 'ws';
import { Refusal } from '../src/config/refusal.js';

export const PEER_CHANNEL = 'peer_change';

const DOCUMENT =
  'subscription($patientId: ID!) { appointmentChanged(patientId: $patientId) { id version status start end department } }';

/** What a server pushed: when it arrived, in milliseconds of performance.now(), and what the ledger calls it. */
export interface Arrival {
  readonly at: number;
  readonly version: number;
  readonly record: string | null;
}

/** One socket with one subscription, by the protocol graphql-transport-ws without a library. */
export class Subscriber {
  readonly arrivals: Arrival[] = [];

  private constructor(private readonly socket: WebSocket) {}

  /** Opens and subscribes. That the server hears the subscription is not acknowledged by the protocol. */
  static open(port: number, headers: Readonly<Record<string, string>>, patientId: string): Promise<Subscriber> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws');
    const subscriber = new Subscriber(socket);
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.once('close', (code) => reject(new Refusal(`A socket was closed with ${code}.`)));
      socket.once('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: headers })));
      socket.on('message', (data: Buffer) => {
        const message = JSON.parse(data.toString()) as { type: string; payload?: Push };
        if (message.type === 'connection_ack') {
          const payload = { query: DOCUMENT, variables: { patientId } };
          socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload }));
          resolve(subscriber);
        } else if (message.type === 'next') subscriber.note(message.payload);
        else if (message.type === 'error') throw new Refusal(`A subscription was refused: ${data.toString()}`);
      });
    });
  }

  close(): void {
    this.socket.removeAllListeners('close');
    this.socket.terminate();
  }

  private note(payload: Push | undefined): void {
    const appointment = payload?.data?.appointmentChanged;
    if (payload === undefined || appointment === undefined || payload.errors !== undefined)
      throw new Refusal('A push carries an error.');
    const record = payload.extensions?.ledger.recordHash ?? null;
    this.arrivals.push({ at: performance.now(), version: appointment.version, record });
  }
}

interface Push {
  readonly data?: { readonly appointmentChanged: { readonly version: number } };
  readonly errors?: unknown;
  readonly extensions?: { readonly ledger: { readonly recordHash: string } };
}
