#!/usr/bin/env node
/**
 * A witness (c2sp.org/tlog-witness): remembers the newest checkpoint of each log that it watches and cosigns only what
 * goes on from it. Whoever runs it, and not the log's operator, holds its key. Imports nothing but what lies beside it and
 * Node's own modules: copy the folder anywhere and run it with Node 20 or later.
 *
 * @module
 */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { witnessVkey } from './cosignature.mjs';
import { Cosigner } from './cosigner.mjs';
import { WitnessState } from './witness-state.mjs';

const LARGEST_BODY = 64 * 1024;
const CHECKPOINT_PATH = /^\/([0-9a-f]{64})\/checkpoint$/;

/**
 * @param {Cosigner} cosigner
 * @returns {import('node:http').Server} not yet listening
 */
export function witnessServer(cosigner) {
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000, keepAliveTimeout: 65_000 });
  server.maxConnections = 256;
  server.on('request', (request, response) => {
    handle(cosigner, request).then(
      ({ status, body, type, ...rest }) => {
        if (status === 413) response.setHeader('connection', 'close');
        if ('allow' in rest) response.setHeader('allow', String(rest.allow));
        response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
      },
      (error) => {
        console.error(error instanceof Error ? error.message : error);
        response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' }).end('The witness failed.\n');
      },
    );
  });
  return server;
}

/**
 * @param {Cosigner} cosigner
 * @param {import('node:http').IncomingMessage} request
 * @returns {Promise<import('./cosigner.mjs').Answer & {allow?: string}>}
 */
async function handle(cosigner, request) {
  const path = (request.url ?? '').split('?')[0] ?? '';
  if (path === '/add-checkpoint') {
    if (request.method !== 'POST') return { ...answer(405, 'Use POST.'), allow: 'POST' };
    const body = await textOf(request);
    if (typeof body !== 'string') return answer(body.status, body.message);
    return cosigner.addCheckpoint(body);
  }
  const [, log] = CHECKPOINT_PATH.exec(path) ?? [];
  if (log === undefined) return answer(404, 'There is nothing here.');
  if (request.method !== 'GET') return { ...answer(405, 'Use GET.'), allow: 'GET' };
  const note = await cosigner.checkpoint(log);
  return note === null ? answer(404, 'Nothing of that log was cosigned here.') : { ...answer(200, ''), body: note };
}

/**
 * @param {import('node:http').IncomingMessage} request
 * @returns {Promise<string | {status: number, message: string}>}
 */
async function textOf(request) {
  /** @type {Buffer[]} */
  const chunks = [];
  let length = 0;
  // Without this the answer to a request that is too large would not get out.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += chunk.length;
    if (length > LARGEST_BODY) return { status: 413, message: `A request has at most ${LARGEST_BODY} bytes.` };
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch {
    return { status: 400, message: 'The request is not UTF-8.' };
  }
}

/**
 * @param {number} status
 * @param {string} sentence
 * @returns {import('./cosigner.mjs').Answer}
 */
function answer(status, sentence) {
  return { status, type: 'text/plain; charset=utf-8', body: `${sentence}\n` };
}

const USAGE = `Usage: node witness.mjs --key <file> --name <name> --state <directory> --log <vkey> [options]
       node witness.mjs --generate-key <file> --name <name>

Cosigns the checkpoints of logs (c2sp.org/tlog-witness): POST /add-checkpoint, and
GET /<SHA-256 of the origin in hexadecimal>/checkpoint for what was cosigned last.

  --generate-key <file>  makes an Ed25519 key, writes it to the file and prints its verifier key
  --key <file>           the witness's private key (PEM)
  --name <name>          the witness's name, such as witness.example.org/w1; a part of its verifier key
  --state <directory>    where the newest checkpoints are remembered. It must exist, and must never be set back to an
                         older copy: a witness that forgets cosigns a second history.
  --log <vkey or file>   the verifier key of a log to watch, or a file with such keys; may be repeated
  --port <port>          7380 without it
  --host <address>       127.0.0.1 without it
  --help                 this text
`;

/**
 * @param {readonly string[]} argv
 * @returns {import('node:http').Server | undefined} the running witness; undefined after a command that has ended
 */
export function main(argv) {
  const flags = /** @type {const} */ ({
    'generate-key': { type: 'string' },
    key: { type: 'string' },
    name: { type: 'string' },
    state: { type: 'string' },
    log: { type: 'string', multiple: true },
    port: { type: 'string', default: '7380' },
    host: { type: 'string', default: '127.0.0.1' },
    help: { type: 'boolean' },
  });
  try {
    const { values } = parseArgs({ args: [...argv], options: flags });
    if (values.help) {
      process.stdout.write(USAGE);
      return undefined;
    }
    const { key, name, state, host, port } = values;
    if (name === undefined) throw new Error('Give the name of the witness with --name.');
    if (values['generate-key'] !== undefined) {
      generateKey(values['generate-key'], name);
      return undefined;
    }
    if (key === undefined || state === undefined || values.log === undefined) {
      throw new Error('A witness needs --key, --state and at least one --log.');
    }
    if (!statSync(state).isDirectory()) throw new Error(`${state} is not a directory.`);
    const cosigner = new Cosigner({
      name,
      privateKey: createPrivateKey(readFileSync(key, 'utf8')),
      logs: values.log.flatMap(keysFrom),
      state: new WitnessState(state),
    });
    return serve(cosigner, host, Number(port));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    process.exitCode = 2;
    return undefined;
  }
}

/**
 * @param {Cosigner} cosigner
 * @param {string} host
 * @param {number} port
 * @returns {import('node:http').Server}
 */
function serve(cosigner, host, port) {
  const server = witnessServer(cosigner);
  server.once('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  });
  server.listen(port, host, () => {
    const address = server.address();
    const open = typeof address === 'object' && address !== null ? address.port : port;
    process.stdout.write(`${cosigner.vkey}\nhttp://${host.includes(':') ? `[${host}]` : host}:${open}\n`);
  });
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => {
      server.close();
      server.closeIdleConnections();
    });
  }
  return server;
}

/**
 * @param {string} file must not exist
 * @param {string} name
 * @returns {void}
 */
function generateKey(file, name) {
  const { privateKey } = generateKeyPairSync('ed25519');
  const key = witnessVkey(name, privateKey);
  writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), { flag: 'wx', mode: 0o600, flush: true });
  process.stdout.write(`${key}\n`);
}

/**
 * @param {string} keyOrFile
 * @returns {string[]}
 */
function keysFrom(keyOrFile) {
  const isKey = /^[^+\s]+\+[0-9a-f]{8}\+\S+$/u.test(keyOrFile);
  const lines = (isKey ? keyOrFile : readFileSync(keyOrFile, 'utf8')).split('\n').map((line) => line.trim());
  const keys = lines.filter((line) => line !== '');
  if (keys.length === 0) throw new Error(`${keyOrFile} holds no key.`);
  return keys;
}

const program = process.argv[1];
if (program !== undefined && import.meta.url === pathToFileURL(realpathSync(program)).href) main(process.argv.slice(2));
