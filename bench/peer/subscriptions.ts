// The bare server of the subscription figure: graphql-ws and ws as their manuals put them together. Each notice of
// PostgreSQL is one published event; every subscriber's document is executed over it and sent. PEER_DATABASE_URL names its
// database. Prints `ready <url>` and serves until SIGTERM.
import { EventEmitter, on } from 'node:events';
import { createServer } from 'node:http';
import { buildSchema, type ExecutionArgs } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import pg from 'pg';
import { WebSocketServer } from 'ws';
import { PEER_CHANNEL } from '../subscribers.js';

const schema = buildSchema(`
  type Appointment { id: ID!  version: Int  status: String  start: String  end: String  department: String }
  type Query { none: Boolean }
  type Subscription { appointmentChanged(patientId: ID!): Appointment! }
`);
const events = new EventEmitter().setMaxListeners(0);
const client = new pg.Client({ connectionString: process.env['PEER_DATABASE_URL'] });
client.on('error', () => process.exit(1));
client.on('notification', ({ payload }) => events.emit('change', JSON.parse(payload ?? '')));
await client.connect();
await client.query(`LISTEN ${PEER_CHANNEL}`);

const field = schema.getSubscriptionType()?.getFields()['appointmentChanged'];
if (field === undefined) throw new Error('The schema has no subscription.');
field.subscribe = async function* () {
  for await (const [appointment] of on(events, 'change')) yield { appointmentChanged: appointment as unknown };
};

const server = createServer();
useServer<Record<string, unknown>, { readonly args?: ExecutionArgs }>(
  { schema },
  new WebSocketServer({ server, path: '/graphql' }),
);
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`ready http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/graphql\n`);
});
process.once('SIGTERM', () => process.exit(0));
