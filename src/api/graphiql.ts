import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';

const PAGE = path.resolve('src/api/graphiql');
const PACKAGES = path.resolve('node_modules');

/** Every file of the page by its address, from this machine's disk only. The packages' files are their own browser builds. */
const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  '/graphiql': [path.join(PAGE, 'page.html'), 'text/html'],
  '/graphiql/page.css': [path.join(PAGE, 'page.css'), 'text/css'],
  '/graphiql/page.js': [path.join(PAGE, 'page.js'), 'text/javascript'],
  '/graphiql/react.js': [path.join(PACKAGES, 'react/umd/react.production.min.js'), 'text/javascript'],
  '/graphiql/react-dom.js': [path.join(PACKAGES, 'react-dom/umd/react-dom.production.min.js'), 'text/javascript'],
  '/graphiql/graphiql.js': [path.join(PACKAGES, 'graphiql/graphiql.min.js'), 'text/javascript'],
  '/graphiql/graphiql.css': [path.join(PACKAGES, 'graphiql/graphiql.min.css'), 'text/css'],
};

/** No inline script, nothing from elsewhere, no frame around it: what the page shows is what patients' records hold. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "font-src 'self' data:",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Serves GraphiQL with a sign-in box. For trying out: the production profile has no such page. */
export function serveGraphiql(server: FastifyInstance): void {
  for (const [url, [file, type]] of Object.entries(FILES)) {
    server.get(url, async (_, reply) => {
      void reply.headers({
        'content-type': `${type}; charset=utf-8`,
        'content-security-policy': CONTENT_SECURITY_POLICY,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-cache',
      });
      if (existsSync(file)) return readFile(file);
      return reply.status(404).type('text/plain; charset=utf-8').send('The development packages are not installed.');
    });
  }
}
