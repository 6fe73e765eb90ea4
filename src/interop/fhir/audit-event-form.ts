import type { RecordKind } from '../../ledger/record.js';

/** FHIR Coding. */
export interface Coding {
  readonly system: string;
  readonly code: string;
  readonly display?: string;
}

/** How the entries of one kind look as AuditEvent. */
export interface AuditEventForm {
  readonly type: Coding;
  readonly subtype: readonly Coding[];
  readonly action: 'C' | 'R' | 'U' | 'D' | 'E';
  /** The BALP profile of a success, without and with a patient; null where BALP has none. */
  readonly profile: { readonly plain: string | null; readonly patient: string } | null;
  /** DICOM roles of the two machines; the data of a read flows from the server to the client. */
  readonly client: Coding;
  readonly server: Coding;
  readonly user: Coding;
  /** Which entity says what it was about. */
  readonly content: 'data' | 'query';
}

const DCM = 'http://dicom.nema.org/resources/ontology/DCM';
const LIFECYCLE = 'http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle';
const PARTICIPATION = 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType';
const PROFILE = 'https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.';

const dicom = (code: string, display: string): Coding => ({ system: DCM, code, display });
const interaction = (code: string): Coding => ({ system: 'http://hl7.org/fhir/restful-interaction', code });
const REST: Coding = {
  system: 'http://terminology.hl7.org/CodeSystem/audit-event-type',
  code: 'rest',
  display: 'Restful Operation',
};
/** The role of who sends, and of who receives. */
const SOURCE = dicom('110153', 'Source Role ID');
const DESTINATION = dicom('110152', 'Destination Role ID');
export const APPLICATION = dicom('110150', 'Application');
const AUTHOR: Coding = { system: PARTICIPATION, code: 'AUT', display: 'author (originator)' };
const RECIPIENT: Coding = { system: PARTICIPATION, code: 'IRCP', display: 'information recipient' };
const CUSTODIAN: Coding = {
  system: 'http://terminology.hl7.org/CodeSystem/provenance-participant-type',
  code: 'custodian',
  display: 'Custodian',
};

const profiles = (name: string) => ({ plain: `${PROFILE}${name}`, patient: `${PROFILE}Patient${name}` });
const rest = (
  code: string,
  action: AuditEventForm['action'],
  profile: AuditEventForm['profile'],
): Pick<AuditEventForm, 'type' | 'subtype' | 'action' | 'profile'> => {
  return { type: REST, subtype: [interaction(code)], action, profile };
};
const inward = { client: SOURCE, server: DESTINATION, user: AUTHOR, content: 'data' } as const;
const outward = { client: DESTINATION, server: SOURCE, user: RECIPIENT, content: 'data' } as const;
const search: AuditEventForm = {
  ...rest('search', 'E', profiles('Query')),
  client: SOURCE,
  server: DESTINATION,
  user: RECIPIENT,
  content: 'query',
};
const plain = (type: Coding, subtype: Coding | null, action: AuditEventForm['action']): AuditEventForm => {
  return { ...inward, type, subtype: subtype === null ? [] : [subtype], action, profile: null };
};
const AUTHENTICATION = dicom('110114', 'User Authentication');
const ALERT = dicom('110113', 'Security Alert');
const ACTIVITY = dicom('110100', 'Application Activity');

/**
 * Kinds of record as AuditEvents: the patterns of IHE BALP 1.1 where it has one, else DICOM PS3.16 (CID 400 and 401) and
 * ISO 21089, from which FHIR R4 draws the types of audit events.
 */
export const FORMS: Readonly<Record<RecordKind, AuditEventForm>> = {
  READ: { ...rest('read', 'R', profiles('Read')), ...outward },
  SEARCH: search,
  LOOKUP: search,
  CREATE: { ...rest('create', 'C', profiles('Create')), ...inward },
  UPDATE: { ...rest('update', 'U', profiles('Update')), ...inward },
  DELETE: { ...rest('delete', 'D', profiles('Delete')), ...inward, client: APPLICATION, server: CUSTODIAN },
  EXPORT: {
    ...outward,
    type: dicom('110106', 'Export'),
    subtype: [interaction('operation')],
    action: 'R',
    profile: null,
  },
  DISCLOSE: {
    ...outward,
    type: dicom('110106', 'Export'),
    subtype: [{ system: LIFECYCLE, code: 'disclose', display: 'Disclose Record Lifecycle Event' }],
    action: 'R',
    profile: { plain: null, patient: `${PROFILE}PrivacyDisclosure.Source` },
  },
  LOGIN: plain(AUTHENTICATION, dicom('110122', 'Login'), 'E'),
  LOGOUT: plain(AUTHENTICATION, dicom('110123', 'Logout'), 'E'),
  POLICY: plain(ALERT, dicom('110129', 'Security Configuration'), 'E'),
  KEY: plain(ALERT, dicom('110135', 'Object Security Attributes Changed'), 'U'),
  LEDGER_READ: { ...plain(dicom('110101', 'Audit Log Used'), null, 'R'), ...outward },
  ERASE: plain({ system: LIFECYCLE, code: 'destroy', display: 'Destroy/Delete Record Lifecycle Event' }, null, 'D'),
  ARCHIVE: plain({ system: LIFECYCLE, code: 'archive', display: 'Archive Record Lifecycle Event' }, null, 'E'),
  VOID: plain(ACTIVITY, null, 'E'),
  WRITER: plain(ACTIVITY, dicom('110120', 'Application Start'), 'E'),
  START: plain(ACTIVITY, dicom('110134', 'Audit Recording Started'), 'E'),
};
