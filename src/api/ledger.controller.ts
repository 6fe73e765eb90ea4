import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type LedgerFile, ledgerFiles } from '../operation/ledger-files.js';
import { Operations } from '../operation/run.js';
import { selectFields } from '../operation/selection.js';
import { GovernedHttp } from './governed-http.js';

/** How long who fetched a file may keep it. Never in a cache that others share: it takes a token to read it. */
const CACHE: Readonly<Record<LedgerFile['lasts'], string>> = {
  grows: 'no-cache',
  immutable: 'private, max-age=31536000, immutable',
  partial: 'private, max-age=60',
  erasable: 'no-store',
};

/** The ledger as the files of c2sp.org/tlog-tiles, for a verifier that needs nothing of ours but them. */
@Controller('ledger')
export class LedgerController {
  constructor(
    private readonly http: GovernedHttp,
    private readonly operations: Operations,
  ) {}

  @Get(':tenant/*')
  fetch(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('tenant') tenant: string,
    @Param('*') path: string,
  ): Promise<void> {
    return this.http.content(request, reply, async (document) => {
      const file = await this.operations.run(ledgerFiles, document, { tenant, path }, selectFields());
      const contentType = file.text ? 'text/plain; charset=utf-8' : 'application/octet-stream';
      return { contentType, cacheControl: CACHE[file.lasts], bytes: file.bytes };
    });
  }
}
