import { Controller, Get, Header, HttpStatus, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Metrics } from '../telemetry/metrics.js';
import { Readiness } from './readiness.js';

/** What an orchestrator and a monitor ask. No personal data, no names of tenants' people. */
@Controller()
export class HealthController {
  constructor(
    private readonly readiness: Readiness,
    private readonly metrics: Metrics,
  ) {}

  /** The process answers. */
  @Get('healthz')
  alive() {
    return { status: 'alive' };
  }

  /** The process can serve: database reachable, ledger sequenced without delay. */
  @Get('readyz')
  async ready(@Res() reply: FastifyReply): Promise<void> {
    const state = await this.readiness.look();
    await reply
      .status(state.ready ? HttpStatus.OK : HttpStatus.SERVICE_UNAVAILABLE)
      .header('cache-control', 'no-store')
      .send(state);
  }

  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  figures(): Promise<string> {
    return this.metrics.text();
  }
}
