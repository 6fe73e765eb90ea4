import { Controller, Get, Param, Req, Res, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { CONTENT_TYPES } from '../domain/attachment/content-type.js';
import { openAttachment, OPENING } from '../domain/attachment/open-attachment.js';
import { receiveAttachment } from '../domain/attachment/receive-attachment.js';
import { Failure } from '../kernel/failure.js';
import { Operations } from '../operation/run.js';
import { GovernedHttp } from './governed-http.js';

export function contentPath(id: string): string {
  return `/attachments/${id}/content`;
}

/** The bytes of attachments, in and out, with the headers of a GraphQL request: bearer token and purpose. */
@Controller()
export class AttachmentController implements OnModuleInit {
  constructor(
    private readonly host: HttpAdapterHost,
    private readonly http: GovernedHttp,
    private readonly operations: Operations,
  ) {}

  /**
   * The route for uploads stands apart from Nest's: in here, and in here alone, a body of any media type is left unread for
   * the handler, which takes it as fast as it can be stored.
   */
  onModuleInit(): void {
    const server = this.host.httpAdapter.getInstance<FastifyInstance>();
    void server.register((own, _, done) => {
      own.removeAllContentTypeParsers();
      own.addContentTypeParser('*', (_request, payload, parsed) => parsed(null, payload));
      own.put<{ Params: { id: string } }>(contentPath(':id'), (request, reply) => this.receive(request, reply));
      done();
    });
  }

  @Get(contentPath(':id'))
  open(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('id') id: string): Promise<void> {
    return this.http.download(request, reply, async (document) => {
      const { contentType, size, bytes } = await this.operations.run(openAttachment, document, { id }, OPENING);
      return { contentType, size, bytes, fileName: `${id}.${CONTENT_TYPES.get(contentType) ?? 'bin'}` };
    });
  }

  private async receive(request: FastifyRequest<{ Params: { id: string } }>, reply: FastifyReply): Promise<void> {
    await this.http.answer(request, reply, async (document) => {
      const { id, version, status } = await receiveAttachment(
        this.operations,
        document,
        request.params.id,
        bodyOf(request),
      );
      return { id, version, status };
    });
    // What was refused before its end is read to nowhere, so that the caller can hear why.
    request.raw.resume();
  }
}

/** The body as it arrives. A caller who is gone in the middle of it is no end. */
async function* bodyOf({ raw }: FastifyRequest): AsyncGenerator<Uint8Array> {
  try {
    yield* raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw interrupted(cause);
  }
  if (!raw.complete) throw interrupted(null);
}

function interrupted(cause: unknown): Failure {
  return new Failure('BAD_USER_INPUT', 'The content did not arrive whole.', 'Send it again.', { cause });
}
