import { startEmbedded } from '../../src/persistence/embedded.js';

/** Starts the embedded server over the given directory and stays, until it is killed. */
const [directory = '', password = ''] = process.argv.slice(2);
const server = await startEmbedded({ dataDirectory: directory, password });
process.stdout.write(`${JSON.stringify({ port: server.port, pid: server.pid })}\n`);
setInterval(() => undefined, 1_000);
