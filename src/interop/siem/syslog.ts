import { createSocket } from 'node:dgram';
import { connect as connectTcp, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { connect as connectTls } from 'node:tls';
import { Refusal } from '../../config/refusal.js';

/**
 * Where events go. `send` resolves when the message was handed to the network, in order. Syslog knows no acknowledgement
 * (RFC 6587, section 3.1): what was under way when a connection broke may be lost, and nobody is told.
 */
export interface EventSink {
  send(message: string, time: string, serious: boolean): Promise<void>;
  close(): Promise<void>;
}

/** Facility 13, log audit (RFC 5424 table 1); severity 6 informational, 4 warning. */
const FACILITY = 13;
const [WARNING, INFORMATIONAL] = [4, 6];
const CONNECT_MILLISECONDS = 10_000;
const LARGEST_DATAGRAM = 8_192;
const PORTS: Readonly<Record<string, number>> = { udp: 514, tcp: 601, tls: 6514 };

/**
 * A message of syslog (RFC 5424): priority, time, host and application, no structured data, then the text in UTF-8.
 * `time` is RFC 3339.
 */
export function syslogMessage(text: string, time: string, serious: boolean): Buffer {
  const priority = FACILITY * 8 + (serious ? WARNING : INFORMATIONAL);
  const host =
    hostname()
      .replace(/[^!-~]/g, '-')
      .slice(0, 255) || '-';
  return Buffer.from(`<${priority}>1 ${time} ${host} custodia ${process.pid} ledger - ${text}`);
}

/**
 * Opens `tcp://host:port`, `tls://host:port` (RFC 6587 octet counting; the certificate is verified) or `udp://host:port`
 * (RFC 5426). A connection that breaks rejects the next `send`: the caller goes on from what it knows to be delivered.
 */
export async function openSyslog(address: string): Promise<EventSink> {
  const { protocol, hostname: host, port } = parsed(address);
  return protocol === 'udp' ? openDatagrams(host, port) : openStream(protocol, host, port);
}

function parsed(address: string): { protocol: string; hostname: string; port: number } {
  const match = /^(udp|tcp|tls):\/\/(\[[0-9a-fA-F:]+\]|[^\s:/@]+)(?::(\d{1,5}))?$/.exec(address);
  const [, protocol = '', host = '', port] = match ?? [];
  const number = port === undefined ? PORTS[protocol] : Number(port);
  if (match === null || number === undefined || number < 1 || number > 65_535) {
    throw new Refusal(
      'This is no address of a syslog server: write tcp://host:601, tls://host:6514 or udp://host:514.',
      2,
    );
  }
  return { protocol, hostname: host.replace(/^\[|\]$/g, ''), port: number };
}

async function openStream(protocol: string, host: string, port: number): Promise<EventSink> {
  const socket: Socket = protocol === 'tls' ? connectTls({ host, port, servername: host }) : connectTcp({ host, port });
  let broken: Error | null = null;
  const ready = protocol === 'tls' ? 'secureConnect' : 'connect';
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), CONNECT_MILLISECONDS);
    socket.once(ready, () => {
      clearTimeout(timer);
      resolve();
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(unreachable(error));
    });
  });
  socket.on('error', (error) => (broken = error));
  socket.on('close', () => (broken ??= new Error('closed')));
  // Syslog servers answer nothing; reading keeps a close from going unnoticed.
  socket.resume();
  return {
    send(text, time, serious) {
      const message = syslogMessage(text, time, serious);
      if (broken !== null) return Promise.reject(unreachable(broken));
      return new Promise((resolve, reject) => {
        socket.write(Buffer.concat([Buffer.from(`${message.length} `), message]), (error) =>
          error ? reject(unreachable(error)) : resolve(),
        );
      });
    },
    close: () => new Promise((resolve) => (broken === null ? socket.end(() => resolve()) : resolve())),
  };
}

async function openDatagrams(host: string, port: number): Promise<EventSink> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  return {
    send(text, time, serious) {
      const message = syslogMessage(text, time, serious).subarray(0, LARGEST_DATAGRAM);
      return new Promise((resolve, reject) => {
        socket.send(message, port, host, (error) => (error ? reject(unreachable(error)) : resolve()));
      });
    },
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function unreachable(cause: Error): Refusal {
  const why = (cause as NodeJS.ErrnoException).code ?? cause.message;
  return new Refusal(`The syslog server does not take the events (${why}): look at its address and certificate.`);
}
