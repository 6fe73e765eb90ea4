import { registry } from '../../kernel/attribute.js';
import { newId } from '../../kernel/identifier.js';
import type { Scope } from '../../operation/scope.js';
import { StoredRow } from '../../operation/stored-row.js';
import { DAY } from '../../operation/subject-erasure.js';
import type { Database } from '../../persistence/database.js';
import { sealNotice, type NoticeContent } from './notice-content.js';
import type { Person } from './person.js';

/** A task that an erasure leaves to people. */
export interface NewNotice {
  readonly id: string;
  readonly kind: 'RECIPIENT' | 'EXPORT' | 'BACKUP';
  readonly sealedContent: string | null;
  readonly exportId: string | null;
  readonly accountId: string | null;
  readonly dueAt: Date;
}

/** What has to be looked up while the person's key is still there. */
export interface ErasureMaterial {
  /** Which attachments there were, as the database tells it: it compares. */
  readonly attachments: string;
  readonly blobs: readonly string[];
  readonly notices: readonly NewNotice[];
}

interface AttachmentRow {
  readonly state: string;
  readonly rows: readonly { readonly id: string; readonly version: number; readonly sealed: string | null }[] | null;
}
interface DisclosureRow {
  readonly id: string;
  readonly disclosed_at: Date;
  readonly sealed_access: Buffer | null;
}

const NOTICE_DAYS = 30;
/** Backups are pruned after 35 days: see the command that makes them. */
const BACKUP_DAYS = 35;
const MOST_SOURCES = 20;
const PAGE = 500;

/** Opens what names blobs and recipients. Without the person's key there is nothing to open. */
export async function erasureMaterial(scope: Scope, person: Person): Promise<ErasureMaterial> {
  const { actor, services, document, now } = scope;
  await services.vault.loadSubjectKeys(actor.tenant, [person.id], document.keyUse);
  const readable = services.vault.hasSubjectKey(actor.tenant, person.id);
  const { attachments, blobs } = await attachmentsOf(scope, person, readable);
  const recipients = readable ? await recipientsOf(scope, person) : [];
  const after = (days: number) => new Date(now.getTime() + days * DAY);
  const task = { sealedContent: null, exportId: null, accountId: null, dueAt: after(NOTICE_DAYS) };
  const notices: NewNotice[] = recipients.map((content) => {
    const id = newId(now.getTime());
    return { ...task, id, kind: 'RECIPIENT', sealedContent: sealNotice(services.vault, actor.tenant, id, content) };
  });
  for (const { id: exportId, accountId } of await exportsWith(scope, person.reference)) {
    notices.push({ ...task, id: newId(now.getTime()), kind: 'EXPORT', exportId, accountId });
  }
  notices.push({ ...task, id: newId(now.getTime()), kind: 'BACKUP', dueAt: after(BACKUP_DAYS) });
  return { attachments, blobs, notices };
}

async function attachmentsOf(scope: Scope, { id }: Person, readable: boolean) {
  const { tenant } = scope.actor;
  const { database, vault } = scope.services;
  // Both in one statement, so that the state is the one of these very rows.
  const [found] = await database.query<AttachmentRow>(tenant, {
    name: 'erasure_attachments',
    text:
      `SELECT attachment_state($1, $2::uuid) AS state, (SELECT jsonb_agg(jsonb_build_object('id', id, 'version', version, ` +
      `'sealed', encode(sealed_clinical, 'base64'))) FROM attachment WHERE tenant_id = $1 AND patient_id = $2::uuid) AS rows ` +
      `WHERE assert_tenant($1)`,
    values: [tenant, id],
  });
  const blobs: string[] = [];
  for (const { id: rowId, version, sealed } of found?.rows ?? []) {
    if (sealed === null || !readable) continue;
    const address = { tenant, type: 'Attachment', rowId, version, subjectId: id };
    const { content } = vault.open(address, 'clinical', Buffer.from(sealed, 'base64'));
    if (typeof content === 'string') blobs.push(content);
  }
  return { attachments: found?.state ?? '', blobs };
}

/** Everybody to whom data of the person was disclosed, once, with what such a recipient needs to find the person. */
async function recipientsOf(scope: Scope, { id, row }: Person): Promise<NoticeContent[]> {
  const { tenant } = scope.actor;
  const { database, vault } = scope.services;
  const stored = new StoredRow(vault, tenant, registry.noun('Patient'), row);
  const text = (value: unknown) => (typeof value === 'string' ? value : null);
  const person = { personName: text(stored.value('name')), personBirthDate: text(stored.value('birthDate')) };
  const rows = await database.query<DisclosureRow>(tenant, {
    name: 'erasure_disclosures',
    text:
      `SELECT id, disclosed_at, sealed_access FROM disclosure ` +
      `WHERE tenant_id = $1 AND patient_id = $2::uuid AND assert_tenant($1) ORDER BY disclosed_at DESC, id`,
    values: [tenant, id],
  });
  const recipients = new Map<string, NoticeContent & { sourceReferences: string[] }>();
  for (const { id: rowId, disclosed_at, sealed_access } of rows) {
    if (sealed_access === null) continue;
    const address = { tenant, type: 'Disclosure', rowId, version: 0, subjectId: id };
    const opened = vault.open(address, 'access', sealed_access);
    const recipient = {
      recipientName: text(opened['recipientName']) ?? '',
      recipientAddress: text(opened['recipientAddress']),
    };
    const key = JSON.stringify(recipient);
    const known = recipients.get(key) ?? {
      ...recipient,
      ...person,
      disclosedAt: disclosed_at.toISOString(),
      sourceReferences: [],
    };
    const source = text(opened['sourceReference']);
    if (source !== null && known.sourceReferences.length < MOST_SOURCES) known.sourceReferences.push(source);
    recipients.set(key, known);
  }
  return [...recipients.values()];
}

/** The exports in which the person was, as the ledger says, with the accounts that asked for them. */
async function exportsWith(scope: Scope, subject: string): Promise<{ id: string; accountId: string }[]> {
  const { actor, services } = scope;
  const { ledgerReader } = services;
  const requests = new Set<string>();
  const filter = { subject, kind: 'EXPORT', outcome: 'success' };
  for (let before: number | null = await ledgerReader.end(actor.tenant); before !== null;) {
    const page = await ledgerReader.entries(actor.tenant, filter, before, PAGE);
    for (const { record } of page.entries) requests.add(String(record['request']));
    ({ before } = page);
  }
  if (requests.size === 0) return [];
  return services.database.query<{ id: string; accountId: string }>(actor.tenant, {
    name: 'erasure_exports',
    text:
      `SELECT id, account_id AS "accountId" FROM export_job ` +
      `WHERE tenant_id = $1 AND id::text = ANY($2::text[]) AND assert_tenant($1) ORDER BY id`,
    values: [actor.tenant, [...requests]],
  });
}

/** What stands against an erasure: a hold, or a term of which `until` is the end. */
export interface Obstacle {
  readonly code: 'LEGAL_HOLD' | 'RETENTION_MINIMUM';
  readonly class: string;
  readonly clause: string;
  readonly until: Date;
}

/** The one that stands longest; undefined where nothing does. */
export async function firstObstacle(
  database: Database,
  tenant: string,
  { id, reference }: Pick<Person, 'id' | 'reference'>,
  now: Date,
): Promise<Obstacle | undefined> {
  const [obstacle] = await database.query<Obstacle>(tenant, {
    name: 'erasure_obstacles',
    text: `SELECT * FROM erasure_obstacles($1, $2::uuid, $3, $4::timestamptz) WHERE assert_tenant($1) LIMIT 1`,
    values: [tenant, id, reference, now],
  });
  return obstacle;
}
