import type { Access, RecordDraft } from '../../ledger/record.js';
import { APPLICATION, FORMS, type AuditEventForm, type Coding } from './audit-event-form.js';

/** An entry of the ledger, as far as its AuditEvents say it. */
export interface AuditedEntry {
  readonly index: number;
  readonly record: Readonly<Record<string, unknown>>;
  /** Hexadecimal. */
  readonly recordHash: string;
  readonly leaf: string;
}

type Recorded = RecordDraft & { readonly writer: string; readonly time: string };
type Json = Readonly<Record<string, unknown>>;

const ENTITY = 'http://terminology.hl7.org/CodeSystem/audit-entity-type';
const OBJECT_ROLE = 'http://terminology.hl7.org/CodeSystem/object-role';
const BALP_ENTITY = 'https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType';
const ACT_REASON = 'http://terminology.hl7.org/CodeSystem/v3-ActReason';
const ABSENT = 'http://hl7.org/fhir/StructureDefinition/data-absent-reason';
const SERVER_FAULTS = ['INTERNAL_SERVER_ERROR', 'AUDIT_UNAVAILABLE', 'REQUEST_TIMEOUT', 'INTEGRITY_FAILED'];
/** FHIR R4 network types. */
const IP_ADDRESS = '2';
const URI = '5';

/**
 * An entry as FHIR R4 AuditEvents in the form of IHE Basic Audit Log Patterns, JSON texts: one for each patient that it
 * names, as PatientQuery demands, or one where it names none. Patients, accounts and sessions are the references of the
 * ledger; the address of the client and the text of a search are sealed elsewhere and marked as masked here.
 *
 * @param origin names this installation, as checkpoints do
 */
export function auditEvents(entry: AuditedEntry, origin: string): readonly string[] {
  const record = entry.record as unknown as Recorded;
  const subjects = [...new Set(record.accesses.flatMap((access) => access.subjects))];
  const one = (subject: string | null, id: string) =>
    JSON.stringify(new Mapping(entry, record, origin, subject).event(id));
  if (subjects.length === 0) return [one(null, `entry-${entry.index}`)];
  return subjects.map((subject, number) => one(subject, `entry-${entry.index}-${number + 1}`));
}

class Mapping {
  private readonly form: AuditEventForm;
  private readonly space: string;
  /** Who recorded it: the process of the server that wrote the record. */
  private readonly observer: Json;

  constructor(
    private readonly entry: AuditedEntry,
    private readonly record: Recorded,
    private readonly origin: string,
    private readonly subject: string | null,
  ) {
    this.form = FORMS[record.kind];
    this.space = `https://${origin}/${record.log}`;
    this.observer = this.identified('writer', record.writer);
  }

  event(id: string): Json {
    const { form, record } = this;
    const failed = record.outcome !== 'success';
    const profile = failed ? null : ((this.subject === null ? form.profile?.plain : form.profile?.patient) ?? null);
    return {
      resourceType: 'AuditEvent',
      id,
      ...(profile === null ? {} : { meta: { profile: [profile] } }),
      ...(failed ? { contained: [this.operationOutcome()] } : {}),
      type: form.type,
      ...(form.subtype.length === 0 ? {} : { subtype: form.subtype }),
      action: form.action,
      recorded: record.time,
      outcome: this.outcome(),
      ...(record.code === null ? {} : { outcomeDesc: record.code }),
      ...(record.purpose === null ? {} : { purposeOfEvent: [purposeOf(record.purpose)] }),
      agent: this.agents(),
      source: {
        site: this.origin,
        observer: this.observer,
        type: [
          {
            system: 'http://terminology.hl7.org/CodeSystem/security-source-type',
            code: '4',
            display: 'Application Server',
          },
        ],
      },
      entity: this.entities(failed),
    };
  }

  /** 4: refused or not possible as asked; 8: the server's own fault. */
  private outcome(): string {
    if (this.record.outcome === 'success') return '0';
    return SERVER_FAULTS.includes(this.record.code ?? '') ? '8' : '4';
  }

  private operationOutcome(): Json {
    const { outcome, code } = this.record;
    return {
      resourceType: 'OperationOutcome',
      id: 'outcome',
      issue: [
        {
          severity: 'error',
          code: outcome === 'denied' ? 'forbidden' : this.outcome() === '8' ? 'exception' : 'processing',
          details: { text: code ?? outcome },
        },
      ],
    };
  }

  private agents(): Json[] {
    const { form, record } = this;
    const hidden = { extension: [{ url: ABSENT, valueCode: 'masked' }] };
    const machine = {
      who:
        record.session === null
          ? { display: 'a command or a job of the server' }
          : this.identified('session', record.session),
      requestor: record.actor === null,
      network: { _address: hidden, type: IP_ADDRESS },
    };
    const server = {
      type: concept(form.server),
      who: this.observer,
      requestor: false,
      network: { address: this.origin, type: URI },
    };
    // Who receives a disclosure stands in its own register: the record does not name him.
    const others =
      record.kind === 'DISCLOSE'
        ? [
            { type: concept(APPLICATION), ...machine },
            {
              type: concept(form.client),
              who: { display: 'the recipient of the disclosure' },
              requestor: false,
              network: { _address: hidden },
            },
          ]
        : [{ type: concept(form.client), ...machine }];
    return [...others, server, ...this.user()];
  }

  private user(): Json[] {
    const { actor, role, purpose } = this.record;
    if (actor === null) return [];
    return [
      {
        type: concept(this.form.user),
        ...(role === null ? {} : { role: [concept({ system: `${this.space}/role`, code: role })] }),
        who: this.identified('actor', actor),
        requestor: true,
        ...(purpose === null ? {} : { purposeOfUse: [purposeOf(purpose)] }),
      },
    ];
  }

  private entities(failed: boolean): Json[] {
    const { subject, record, entry } = this;
    const patient = subject === null ? [] : [this.patient(subject)];
    const outcome = failed
      ? [
          {
            what: { reference: '#outcome' },
            type: { system: 'http://hl7.org/fhir/resource-types', code: 'OperationOutcome' },
          },
        ]
      : [];
    return [
      this.form.content === 'query' ? this.query() : this.data(),
      ...patient,
      { what: { identifier: { value: record.request } }, type: { system: BALP_ENTITY, code: 'XrequestId' } },
      {
        what: this.identified('entry', String(entry.index)),
        type: { system: ENTITY, code: '4', display: 'Other' },
        role: { system: OBJECT_ROLE, code: '13', display: 'Security Resource' },
        description: `Record SHA-256 ${entry.recordHash}, leaf ${entry.leaf}`,
        ...this.decided(),
      },
      ...outcome,
    ];
  }

  /** What the policy decided by, where the record says it. */
  private decided(): Json {
    const { decision, acr, consents = [], obligations = [] } = this.record;
    const said = { decision, acr, consents: consents.join(' '), obligations: obligations.join(' ') };
    const detail = Object.entries(said).flatMap(([type, value]) => (value ? [{ type, valueString: value }] : []));
    return detail.length === 0 ? {} : { detail };
  }

  private patient(subject: string): Json {
    return {
      what: { type: 'Patient', ...this.identified('subject', subject) },
      type: { system: ENTITY, code: '1', display: 'Person' },
      role: { system: OBJECT_ROLE, code: '1', display: 'Patient' },
    };
  }

  private data(): Json {
    const detail = this.accesses().map((access) => ({ type: access.type, valueString: fieldsOf(access) }));
    return {
      what: { display: this.record.operation },
      type: { system: ENTITY, code: '2', display: 'System Object' },
      role: { system: OBJECT_ROLE, code: '4', display: 'Domain Resource' },
      // The profile of deletions has no details.
      ...(detail.length === 0 || this.record.kind === 'DELETE' ? {} : { detail }),
    };
  }

  private query(): Json {
    const { operation, document } = this.record;
    const request = `POST /graphql\n${operation}${document === null ? '' : `\nsha256:${document}`}`;
    const seen = this.accesses().map((access) => `${access.type}: ${fieldsOf(access)}`);
    return {
      type: { system: ENTITY, code: '2', display: 'System Object' },
      role: { system: OBJECT_ROLE, code: '24', display: 'Query' },
      description: [operation, ...seen].join('; '),
      query: Buffer.from(request).toString('base64'),
    };
  }

  /** What of the record concerns this patient. */
  private accesses(): readonly Access[] {
    const { subject } = this;
    return this.record.accesses.filter((access) => subject === null || access.subjects.includes(subject));
  }

  private identified(what: string, value: string): Json {
    return { identifier: { system: `${this.space}/${what}`, value } };
  }
}

function concept(coding: Coding): Json {
  return { coding: [coding] };
}

/** The part before a dot is a code of HL7; what a client invented is kept as text. */
function purposeOf(purpose: string): Json {
  const [, code] = /^([A-Z]+)(\.[A-Z]+)?$/.exec(purpose) ?? [];
  return code === undefined ? { text: purpose } : { coding: [{ system: ACT_REASON, code }] };
}

function fieldsOf({ fields }: Access): string {
  const states = Object.entries(fields).map(([field, state]) => `${field} ${state}`);
  return states.join(', ') || 'no fields';
}
