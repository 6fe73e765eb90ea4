import { Field, ID, InputType, Int } from '@nestjs/graphql';
import type { AttachFileArguments } from '../../domain/attachment/attach-file.js';

@InputType()
export class AttachFileInput implements AttachFileArguments {
  @Field(() => ID)
  patientId: string;

  @Field(() => String)
  title: string;

  @Field(() => String, {
    description:
      'application/pdf, image/png, image/jpeg, image/tiff, text/plain (UTF-8) or application/dicom. The bytes must be of it.',
  })
  contentType: string;

  @Field(() => Int, { description: 'Exact size in bytes.' })
  size: number;

  @Field(() => String, {
    nullable: true,
    description:
      'laboratory, imaging, report, correspondence, consent, identity, insurance or other; other unless stated.',
  })
  category?: string | null;
}
