import { Args, Context, Info, Mutation, Parent, ResolveField, Resolver } from '@nestjs/graphql';
import type { GraphQLResolveInfo } from 'graphql';
import { attachFile } from '../domain/attachment/attach-file.js';
import { Attachment } from '../domain/attachment/attachment.js';
import { listAttachments } from '../domain/attachment/list-attachments.js';
import { Patient } from '../domain/patient/patient.js';
import type { Document } from '../operation/document.js';
import { Operations } from '../operation/run.js';
import type { View } from '../operation/view.js';
import { contentPath } from './attachment.controller.js';
import { connectionSelectionOf, selectionOf } from './selection.js';
import { AttachFileInput } from './types/attachment-types.js';
import { connectionType, PageArgumentsType } from './types/connection-types.js';

const AttachmentConnection = connectionType(Attachment);

@Resolver(() => Attachment)
export class AttachmentResolver {
  constructor(private readonly operations: Operations) {}

  @Mutation(() => Attachment)
  attachFile(
    @Context('document') document: Document,
    @Args('input') input: AttachFileInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(attachFile, document, input, selectionOf(info, 'Attachment'));
  }

  @ResolveField(() => String, { description: 'Path to PUT the bytes to while the status is pending.' })
  uploadUrl(@Parent() attachment: View) {
    return contentPath(attachment.id);
  }

  /** The view has the name of the blob here, which leads nowhere; what a caller can use is the path. */
  @ResolveField(() => String, { nullable: true })
  content(@Parent() attachment: View) {
    return attachment['content'] === null ? null : contentPath(attachment.id);
  }
}

/** What a patient has of it. */
@Resolver(() => Patient)
export class PatientAttachmentsResolver {
  constructor(private readonly operations: Operations) {}

  @ResolveField(() => AttachmentConnection, { nullable: true })
  attachments(
    @Context('document') document: Document,
    @Parent() patient: View,
    @Args() page: PageArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    const selection = connectionSelectionOf(info, 'Attachment');
    return this.operations.run(listAttachments, document, { patient, ...page }, selection);
  }
}
