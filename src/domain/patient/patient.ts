import { Unique } from '@mikro-orm/decorators/legacy';
import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';
import { nameTokens } from './name-tokens.js';
import { normaliseNationalId, normalisePhone, phoneSuffix } from './normalise.js';

/** A person under care: the subject of every other clinical noun. FHIR R4 Patient. */
@Unique({ properties: ['tenantId', 'id'] })
@TenantIndex('createdAt', 'id')
@TenantIndex('phone_index')
@TenantIndex('national_id_index')
@Noun({
  table: 'patient',
  subject: 'self',
  imported: true,
  description: 'A person under care (FHIR Patient). Masked and hidden fields are named in fieldAccess.',
  interfaces: () => [Governed],
  order: { field: 'createdAt', direction: 'DESC' },
  facts: [
    { name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' },
    { name: 'status', source: 'column', column: 'status', kind: 'text' },
    { name: 'isRepresented', source: 'listed', column: 'id', actorAttribute: 'patientIds' },
    { name: 'isEmergency', source: 'listed', column: 'id', actorAttribute: 'emergencyPatientIds' },
    { name: 'consent', source: 'consent', column: 'consents' },
    { name: 'isAdult', source: 'age', column: 'birth_year', years: 18 },
    { name: 'inCareTeam', source: 'overlap', column: 'care_team_ids', actorAttribute: 'careTeamIds' },
    {
      name: 'hasVisitToday',
      source: 'today',
      table: 'visit',
      foreignKey: 'patient_id',
      column: 'start_at',
      only: { column: 'compartment', equals: 'NONE' },
    },
  ],
})
export class Patient {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'count', group: 'public', level: 'L2', required: true })
  version: number;

  @Attribute({
    kind: 'text',
    group: 'identity',
    level: 'L4',
    mask: 'M_NAME',
    sealed: true,
    index: { tokens: nameTokens },
  })
  name: string | null;

  @Attribute({ kind: 'code', group: 'identity', level: 'L3', mask: 'M_NULL', filter: 'equality', sortable: true })
  gender: string | null;

  @Attribute({ kind: 'date', group: 'identity', level: 'L4', mask: 'M_DOB', sealed: true })
  birthDate: string | null;

  @Attribute({
    kind: 'year',
    group: 'identity',
    level: 'L3',
    mask: 'M_DOB',
    derivedFrom: ['birthDate'],
    computed: 'birthYear',
    column: 'birth_year',
    filter: 'range',
    sortable: true,
  })
  birthYear: number | null;

  @Attribute({
    kind: 'text',
    group: 'identity',
    level: 'L3',
    derivedFrom: ['birthDate'],
    computed: 'ageBand',
    description: 'Five-year age band; 90+ above 89.',
  })
  ageBand: string | null;

  @Attribute({
    kind: 'text',
    group: 'contact',
    level: 'L2',
    derivedFrom: ['address'],
    computed: 'region',
    column: 'region',
    filter: 'equality',
    sortable: true,
    description: 'Province or State of the address.',
  })
  region: string | null;

  @Attribute({
    kind: 'text',
    group: 'contact',
    level: 'L4',
    mask: 'M_PHONE',
    sealed: true,
    index: { exact: normalisePhone, suffix: { of: phoneSuffix, values: 10_000 } },
    maximum: 40,
  })
  phone: string | null;

  @Attribute({ kind: 'text', group: 'contact', level: 'L4', mask: 'M_EMAIL', sealed: true, maximum: 254 })
  email: string | null;

  @Attribute({ kind: 'text', group: 'contact', level: 'L4', mask: 'M_ADDR', sealed: true, maximum: 500 })
  address: string | null;

  @Attribute({
    kind: 'text',
    group: 'government',
    level: 'L4',
    mask: 'M_ID4',
    sealed: true,
    index: { exact: normaliseNationalId },
    maximum: 40,
  })
  nationalId: string | null;

  @Attribute({ kind: 'text', group: 'government', level: 'L4', mask: 'M_ID4', sealed: true, maximum: 40 })
  insuranceNumber: string | null;

  @Attribute({ kind: 'text', group: 'notes', level: 'L4', mask: 'M_TEXT', sealed: true, maximum: 4000 })
  notes: string | null;

  @Attribute({ kind: 'code', group: 'public', level: 'L2', required: true, filter: 'equality', sortable: true })
  status: string;

  @Attribute({ kind: 'instant', group: 'public', level: 'L2', required: true, filter: 'range', sortable: true })
  createdAt: string;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  /** The patient's name in the ledger: random, so that destroying this row makes the ledger's mentions meaningless. */
  @Internal('text')
  subjectReference: string;

  /** Care teams with a living assignment; kept in the transaction that changes an assignment. */
  @Internal('uuid[]', { default: `'{}'` })
  careTeamIds: string[];

  /**
   * What the patient decided, by purpose: `{"CAREMGT": {"decision": "PERMIT", "until": null, "at": "…", "id": "…"}}`. Repeats
   * the newest consent of each purpose; kept in the statement that records or withdraws one.
   */
  @Internal('jsonb', { default: `'{}'` })
  consents: Readonly<Record<string, object>>;
}
