import type { Queryable, Statement } from '../persistence/statement.js';
import { LedgerFault } from './fault.js';
import { SYSTEM_LOG } from './logs.js';

/**
 * What the sequencer would stumble over: leaves and nodes above the head of their log, and entries after the position that
 * have a leaf. Only somebody who put them there, or set the position back, brings that about. $1: a log, or null for all.
 */
const STRAY =
  'SELECT head.log, leaf.idx AS index FROM ledger_head AS head CROSS JOIN LATERAL (SELECT idx FROM ledger_leaf ' +
  'WHERE ledger_leaf.log = head.log AND idx >= head.size ORDER BY idx LIMIT 1) AS leaf WHERE $1::text IS NULL OR head.log = $1 ' +
  'UNION ALL SELECT head.log, head.size FROM ledger_head AS head CROSS JOIN generate_series(1, 7) AS tiles (level) ' +
  'CROSS JOIN LATERAL (SELECT 1 FROM ledger_node AS node WHERE node.log = head.log AND node.level = tiles.level ' +
  'AND idx >= head.size >> (8 * tiles.level) LIMIT 1) AS node WHERE $1::text IS NULL OR head.log = $1 ' +
  'UNION ALL SELECT again.log, again.idx FROM ledger_sequence CROSS JOIN LATERAL (SELECT leaf.log, leaf.idx FROM ledger_entry AS entry ' +
  'JOIN ledger_leaf AS leaf ON leaf.entry_id = entry.id WHERE (entry.xid, entry.id) > (last_xid, last_id) AND entry.id > restored_id ' +
  'AND ($1::text IS NULL OR leaf.log = $1) ORDER BY entry.xid, entry.id LIMIT 1) AS again';

/**
 * Why a statement of the sequencer met a row that was there before; null where two leaders met, which nobody is to blame for.
 * To be asked after the rollback.
 */
export async function strayFault(session: Queryable): Promise<LedgerFault | null> {
  const [stray] = await session.query<{ log: string; index: string }>(strays(null));
  if (stray === undefined) return null;
  const { log, index } = stray;
  return new LedgerFault(
    log,
    Number(index),
    'consistency',
    `Log ${log} holds what its sequencer did not put there, or the position of the sequencer was set back.`,
  );
}

function strays(log: string | null): Statement {
  return { name: 'ledger_strays', text: `${STRAY} ORDER BY 1, 2 LIMIT 1`, values: [log] };
}

/** A hole among the nodes of a level; what is missing at its end is made by the next leader. */
const HOLES: Statement['text'] =
  'SELECT level, count(*) <> max(idx) + 1 AS holed FROM ledger_node WHERE log = $1 GROUP BY level ORDER BY level';
const FIRST_HOLE =
  'SELECT place << (8 * $2) AS index FROM generate_series(0, (SELECT max(idx) FROM ledger_node WHERE log = $1 AND level = $2)) AS place ' +
  'WHERE NOT EXISTS (SELECT 1 FROM ledger_node WHERE log = $1 AND level = $2 AND idx = place) ORDER BY place LIMIT 1';

/**
 * The sequencer stands where its last entry is, as far as that is known; a restore leaves it at the id 0. The position belongs
 * to all logs together: it is told once, with the log ($2) of what belongs to no tenant.
 */
const MISPLACED =
  'SELECT ($1 = $2 AND (restored_id > coalesce((SELECT max(entry_id) FROM ledger_leaf), 0) ' +
  'OR (last_id <> 0 AND NOT EXISTS (SELECT 1 FROM ledger_leaf WHERE entry_id = last_id)) ' +
  'OR EXISTS (SELECT 1 FROM ledger_entry WHERE id = last_id AND id > restored_id AND xid <> last_xid))) ' +
  'OR EXISTS (SELECT 1 FROM ledger_head AS head WHERE head.log = $1 AND head.incarnation <> sequence.incarnation) AS misplaced ' +
  'FROM ledger_sequence AS sequence';

/**
 * Looks at what the sequencer goes by and no signature covers: its position, the incarnation, the nodes that it keeps above
 * the leaves. Null: in order. `index` null where it cannot be told.
 */
export async function stateFault(database: Queryable, log: string): Promise<{ readonly index: number | null } | null> {
  const [stray] = await database.query<{ index: string }>(strays(log));
  if (stray !== undefined) return { index: Number(stray.index) };
  const levels = await database.query<{ level: number; holed: boolean }>({ text: HOLES, values: [log] });
  for (const { level } of levels.filter(({ holed }) => holed)) {
    const [hole] = await database.query<{ index: string }>({ text: FIRST_HOLE, values: [log, level] });
    return { index: hole === undefined ? null : Number(hole.index) };
  }
  const [state] = await database.query<{ misplaced: boolean }>({ text: MISPLACED, values: [log, SYSTEM_LOG] });
  return state?.misplaced === false ? null : { index: null };
}
