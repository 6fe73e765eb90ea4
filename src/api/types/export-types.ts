import { Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import type { ExportJobView, RequestExportArguments } from '../../domain/patient/export-request.js';
import { Patient } from '../../domain/patient/patient.js';
import type { Filter } from '../../operation/criteria.js';
import { filterType } from './criteria-types.js';

export enum ExportType {
  PATIENTS = 'PATIENTS',
}
registerEnumType(ExportType, { name: 'ExportType' });

export enum ExportFormat {
  CSV = 'CSV',
  NDJSON = 'NDJSON',
}
registerEnumType(ExportFormat, {
  name: 'ExportFormat',
  description:
    'CSV: RFC 4180, UTF-8, field names first; a cell that begins like a formula is preceded by an apostrophe. NDJSON: one object a line.',
});

export enum ExportStatus {
  PENDING = 'PENDING',
  RUNNING = 'RUNNING',
  READY = 'READY',
  FAILED = 'FAILED',
  CANCELLED = 'CANCELLED',
  DOWNLOADED = 'DOWNLOADED',
  EXPIRED = 'EXPIRED',
}
registerEnumType(ExportStatus, { name: 'ExportStatus' });

@InputType()
export class RequestExportInput implements RequestExportArguments {
  @Field(() => ExportType)
  type: ExportType;

  @Field(() => filterType(Patient), { nullable: true })
  filter?: Filter | null;

  @Field(() => ExportFormat)
  format: ExportFormat;

  @Field(() => ID, { nullable: true, description: 'The satisfied challenge of an earlier STEP_UP_REQUIRED.' })
  challengeId?: string | null;
}

@ObjectType({ description: 'A list that is being written to a sealed file. Seen by its requester only.' })
export class ExportJob implements ExportJobView {
  @Field(() => ID)
  id: string;

  @Field(() => ExportStatus)
  status: ExportStatus;

  @Field(() => Int, { nullable: true, description: 'Rows of the file; null until it is finished.' })
  rowCount: number | null;

  @Field(() => String, { nullable: true, description: 'SHA-256 of the bytes of the download, as its records say.' })
  sha256: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Path on this server, for one GET with the same bearer token within 24 hours; a second one is 410.',
  })
  downloadUrl: string | null;

  @Field(() => Float, { description: 'From 0 to 1.' })
  progress: number;
}
