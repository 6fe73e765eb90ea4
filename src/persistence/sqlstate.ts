/**
 * What a statement can fail of, as far as the callers treat it differently.
 * `connection`: the connection was lost; whether the statement (or the COMMIT) happened is not known.
 */
export type FaultKind =
  | 'unique'
  | 'exclusion'
  | 'reference'
  | 'check'
  | 'serialization'
  | 'deadlock'
  | 'tenant'
  | 'timeout'
  | 'exhausted'
  | 'privilege'
  | 'connection'
  | 'other';

const KINDS: Readonly<Record<string, FaultKind>> = {
  '23505': 'unique',
  '23P01': 'exclusion',
  '23503': 'reference',
  '23514': 'check',
  '23502': 'check',
  '40001': 'serialization',
  '40P01': 'deadlock',
  CU001: 'tenant',
  '57014': 'timeout',
  '55P03': 'timeout',
  '53300': 'exhausted',
  '42501': 'privilege',
  '57P01': 'connection',
  '57P02': 'connection',
  '57P03': 'connection',
  '25P03': 'connection',
  '25P04': 'connection',
};

/**
 * A failed statement without anything of what it carried: PostgreSQL's own message and detail quote values
 * ("Key (email)=(…) already exists"), so neither they nor the driver's error are kept. Messages of class 42 (syntax,
 * unknown names, privileges) quote identifiers only and stay.
 */
export class DatabaseFault extends Error {
  override readonly name = 'DatabaseFault';

  constructor(
    readonly kind: FaultKind,
    readonly sqlstate: string | null,
    readonly constraint: string | null,
    message: string,
  ) {
    super(message);
  }

  /** SQLSTATE 40001 and 40P01: the same transaction, tried again, may succeed. */
  get retryable(): boolean {
    return this.kind === 'serialization' || this.kind === 'deadlock';
  }
}

/** Classifies what the driver threw. An error without a SQLSTATE came from the socket: the connection is gone. */
export function databaseFault(error: unknown): DatabaseFault {
  if (error instanceof DatabaseFault) return error;
  const fields = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {};
  const sqlstate = typeof fields.code === 'string' && /^[0-9A-Z]{5}$/.test(fields.code) ? fields.code : null;
  if (sqlstate === null) {
    const code = typeof fields.code === 'string' && /^[A-Z_]{3,30}$/.test(fields.code) ? ` (${fields.code})` : '';
    return new DatabaseFault('connection', null, null, `The connection to PostgreSQL failed${code}.`);
  }
  const kind = KINDS[sqlstate] ?? (sqlstate.startsWith('08') ? 'connection' : 'other');
  const constraint = typeof fields.constraint === 'string' ? fields.constraint : null;
  const named = constraint === null ? '' : `, constraint ${constraint}`;
  const detail = sqlstate.startsWith('42') && error instanceof Error ? `: ${error.message}` : '';
  return new DatabaseFault(
    kind,
    sqlstate,
    constraint,
    `PostgreSQL refused the statement (${sqlstate}${named})${detail}`,
  );
}
