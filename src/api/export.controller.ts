import { Controller, Get, Head, Header, HttpCode, HttpStatus, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { deliverExport } from '../domain/patient/export-delivery.js';
import type { ExportFormat } from '../operation/export.store.js';
import { Exports } from '../operation/exports.js';
import { Operations } from '../operation/run.js';
import { GovernedHttp } from './governed-http.js';

const FILES: Readonly<Record<ExportFormat, { readonly contentType: string; readonly ending: string }>> = {
  CSV: { contentType: 'text/csv; charset=utf-8; header=present', ending: 'csv' },
  NDJSON: { contentType: 'application/x-ndjson; charset=utf-8', ending: 'ndjson' },
};

/** The file of an export, once, for the account that asked for it. */
@Controller('exports')
export class ExportController {
  constructor(
    private readonly http: GovernedHttp,
    private readonly operations: Operations,
    private readonly exports: Exports,
  ) {}

  /** Before the GET, which would else answer it too, and so take the one download for the sake of its headers. */
  @Head(':id')
  @HttpCode(HttpStatus.METHOD_NOT_ALLOWED)
  @Header('allow', 'GET')
  describe(): void {}

  @Get(':id')
  fetch(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('id') id: string): Promise<void> {
    return this.http.download(request, reply, async (document) => {
      const { job, bytes } = await deliverExport(this.operations, this.exports, document, id);
      const { contentType, ending } = FILES[job.format];
      return { contentType, size: job.plainBytes, fileName: `export-${job.id}.${ending}`, bytes };
    });
  }
}
