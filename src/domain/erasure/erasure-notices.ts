import { Failure, notFound } from '../../kernel/failure.js';
import { isId } from '../../kernel/identifier.js';
import { Cursors } from '../../operation/cursor.js';
import { defineOperation } from '../../operation/operation.js';
import { pageSize, type PageArguments } from '../../operation/reader.js';
import type { Scope } from '../../operation/scope.js';
import { noticeRow, noticeRows, stageCompletion, type NoticeRow } from './erasure-notice.store.js';
import { openNotice, type NoticeContent } from './notice-content.js';
import { personOf } from './person.js';

export enum ErasureNoticeState {
  OPEN = 'OPEN',
  OVERDUE = 'OVERDUE',
  DONE = 'DONE',
}

/** Somebody who has to be told of an erasure, or a backup that has to be gone. */
export interface ErasureNoticeView extends Partial<NoticeContent> {
  readonly id: string;
  readonly erasureId: string;
  readonly patientId: string;
  readonly kind: 'RECIPIENT' | 'EXPORT' | 'BACKUP';
  readonly state: ErasureNoticeState;
  readonly exportId: string | null;
  /** The account that asked for the export. */
  readonly accountId: string | null;
  /** RFC 3339, UTC. */
  readonly dueAt: string;
  readonly completedAt: string | null;
}

export interface ErasureNoticeConnection {
  readonly edges: readonly { readonly node: ErasureNoticeView; readonly cursor: string }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

export interface ErasureNoticesArguments extends PageArguments {
  readonly state?: ErasureNoticeState | null;
}

const TYPE = 'ErasureNotice';
const STANDARD_PAGE = 20;
const SHOWN = Object.freeze({ notice: 'CLEAR' } as const);
const WRITTEN = Object.freeze({ completedAt: 'WRITTEN', content: 'ERASED' } as const);
/** The tasks that erasures left, the one that is due first before the others. */
export const erasureNotices = defineOperation<ErasureNoticesArguments, ErasureNoticeConnection>({
  name: 'erasureNotices',
  kind: 'READ',
  action: 'erase',
  type: 'Patient',
  mode: 'read',
  continues: true,
  handler: async (scope, { state, first, after }) => {
    const { actor, services, document, now } = scope;
    const size = pageSize(first, STANDARD_PAGE);
    const binding = { account: actor.id, purpose: scope.purpose, policy: services.policy.hash };
    const cursors = new Cursors(services.vault, { ...binding, list: [TYPE, state ?? null] });
    const [due, id] = after == null ? [null, null] : cursors.open(after, 2);
    const position = { state: state ?? null, due, id };
    const rows = await noticeRows(services.database, actor.tenant, now, position, size + 1);
    const shown = rows.slice(0, size);
    const subjects = [...new Set(shown.map(({ subject }) => subject))];
    document.note({ type: TYPE, rows: shown.length, fields: SHOWN, subjects });
    const edges = shown.map((row) => ({
      node: viewOf(scope, row),
      cursor: cursors.seal([row.dueAt.toISOString(), row.id]),
    }));
    return {
      edges,
      pageInfo: {
        hasNextPage: rows.length > size,
        hasPreviousPage: after != null,
        startCursor: edges[0]?.cursor ?? null,
        endCursor: edges.at(-1)?.cursor ?? null,
      },
    };
  },
});

/** Notes that somebody was told, and forgets by what. A backup is gone when its time is over, not before. */
export const completeErasureNotice = defineOperation<{ readonly id: string }, ErasureNoticeView>({
  name: 'completeErasureNotice',
  kind: 'UPDATE',
  action: 'erase',
  type: 'Patient',
  mode: 'write',
  continues: true,
  handler: async (scope, { id }) => {
    const { actor, now, services, write } = scope;
    const row = isId(id) ? await noticeRow(services.database, actor.tenant, id) : undefined;
    if (row === undefined) throw notFound();
    const { decision } = await personOf(scope, row.patientId);
    if (row.completedAt !== null) return viewOf(scope, row);
    if (row.kind === 'BACKUP' && row.dueAt > now) {
      throw new Failure(
        'BAD_USER_INPUT',
        `The last backup is pruned by ${row.dueAt.toISOString()}.`,
        'Complete the notice when it is gone.',
      );
    }
    stageCompletion(write.unit, { tenant: actor.tenant, id, by: actor.id, at: now });
    write.record.noteOther({ type: TYPE, rows: 1, fields: WRITTEN, subjects: [row.subject] }, decision);
    return viewOf(scope, { ...row, completedAt: now, sealed: null });
  },
});

function viewOf({ actor, services, now }: Scope, row: NoticeRow): ErasureNoticeView {
  const { id, erasureId, patientId, kind, exportId, accountId } = row;
  const content = row.sealed === null ? {} : openNotice(services.vault, actor.tenant, id, row.sealed);
  const waiting = row.dueAt <= now ? ErasureNoticeState.OVERDUE : ErasureNoticeState.OPEN;
  return {
    ...{ id, erasureId, patientId, kind, exportId, accountId, ...content },
    state: row.completedAt === null ? waiting : ErasureNoticeState.DONE,
    dueAt: row.dueAt.toISOString(),
    completedAt: row.completedAt?.toISOString() ?? null,
  };
}
